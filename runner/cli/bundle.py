"""`podmedic bundle`: one file that shows later what a run saw."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.verify import read_key

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from runner.bundle.codec import Codec

SUFFIXES = ".tar.zst or .tar.gz"


@click.command(short_help="Seal a run in one file that shows later what was seen.")
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A {SUFFIXES}  [default: RUN.tar.zst]",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="NAME.key",
    help="Sign it: a private key as `podmedic keygen` makes it.",
)
@click.option(
    "--without-artifacts",
    is_flag=True,
    help="Leave out the files that playbooks collected, which are not redacted.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
def bundle(
    directory: Path, file: Path | None, key_file: Path | None, without_artifacts: bool, quiet: bool
) -> int:
    """Seal the run in the directory RUN: manifest with the hash of every file, journal, what was
    seen, report. The same run gives the same file, byte for byte. `podmedic verify` says later
    whether it is still that.
    """
    target = file or default_file(directory)
    codec = codec_of(target)
    signer = signer_from(key_file)
    return seal(directory, target, codec, signer, without_artifacts=without_artifacts, quiet=quiet)


def default_file(directory: Path) -> Path:
    directory = directory.absolute() if directory.name in {"", ".."} else directory
    return directory.with_name(f"{directory.name}.tar.zst")


def codec_of(path: Path) -> "Codec":
    """Raises UsageError."""
    from runner.bundle.codec import codec_for  # noqa: PLC0415

    codec = codec_for(path.name)
    if codec is None:
        raise click.UsageError(f"{path}: a bundle is a {SUFFIXES}")
    return codec


def signer_from(key_file: Path | None) -> "CryptoSigner | None":
    """Raises UsageError."""
    if key_file is None:
        return None
    from runner.bundle.signing import KeyFileError, signer_of  # noqa: PLC0415

    try:
        return signer_of(read_key(key_file))
    except KeyFileError as error:
        raise click.UsageError(f"--key {key_file} {error}") from error


def seal(
    directory: Path, target: Path, codec: "Codec", signer: "CryptoSigner | None", *,
    without_artifacts: bool = False, quiet: bool = False,
) -> ExitCode:  # fmt: skip
    """Raises RecordError, OutputError, UsageError."""
    from runner.bundle.seal import describe, write_bundle  # noqa: PLC0415

    if directory.resolve() in target.resolve().parents:
        raise click.UsageError(f"{target} lies in the run that it is to hold; name another place")
    sealed = describe(directory, signer, without=("artifacts/",) if without_artifacts else ())
    for path in sealed.manifest.changed_since_run:
        complain(f"{directory / path} was changed since the run ended; the bundle says so")
    if sealed.broken_at:
        complain(
            f"{directory / 'journal.jsonl'}:{sealed.broken_at} does not follow from the line "
            "before it: it was changed, and `podmedic verify` will say so"
        )
    write_bundle(directory, target, codec, sealed, signer)
    if not quiet:
        signed = "signed" if signer is not None else "not signed: see --key"
        click.echo(f"Bundle: {target} ({len(sealed.manifest.files)} files, {signed})", err=True)
    return ExitCode.OK
