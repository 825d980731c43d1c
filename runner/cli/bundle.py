"""`podmedic bundle`: one file that shows later what a run saw."""

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from runner import record
from runner.cli import options
from runner.cli.connection import connected
from runner.cli.exit_codes import ExitCode
from runner.cli.key import METAVAR, SecretKey, key_of, signer_from, signer_from_secret
from runner.cli.keyless import Keyless, keyless_of, sign_options
from runner.cli.main import complain, tell
from runner.cli.redaction import own_rules, rules_option
from runner.cli.request import default_file
from runner.cli.upload import Kept, check_upload, send, upload_options
from runner.storage import Mode

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from runner.bundle.codec import Codec
    from runner.bundle.scan import Found
    from runner.bundle.signing import KeylessSigner
    from runner.redact import Rule

SUFFIXES = ".tar.zst or .tar.gz"
ARTIFACTS = "artifacts/"
_MAX_TOLD = 20


class Outcome(NamedTuple):
    """`is_written`: there is a bundle, though the code may say that something is not in it."""

    code: ExitCode
    is_written: bool


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
    "key",
    metavar=METAVAR,
    help="Sign it: a private key as `podmedic keygen` makes it, in a file or in a Secret.",
)
@sign_options
@click.option(
    "--without-artifacts",
    is_flag=True,
    help="Leave out the files that playbooks collected, which are not redacted.",
)
@click.option(
    "--unchecked-artifacts",
    is_flag=True,
    help="Take them along even if they hold what looks like secrets.",
)
@rules_option
@upload_options
@options.connection_options
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
def bundle(
    directory: Path,
    file: Path | None,
    key: str | None,
    sigstore: bool,
    identity_file: Path | None,
    trust_config: Path | None,
    without_artifacts: bool,
    unchecked_artifacts: bool,
    redact_rules: tuple[str, ...],
    upload: str | None,
    retain_seconds: float,
    retain_mode: Mode,
    quiet: bool,
    **connection: Any,
) -> int:
    """Seal the run in the directory RUN: manifest with the hash of every file, journal, what was
    seen, report. The same run gives the same file, byte for byte. `podmedic verify` says later
    whether it is still that. What looks like a secret keeps it from being written: exit code 7.

    No cluster is asked, but for a key in a Secret (--key k8s://NAMESPACE/NAME).
    """
    if without_artifacts and unchecked_artifacts:
        raise click.UsageError("--without-artifacts and --unchecked-artifacts exclude each other")
    target = file or default_file(directory)
    codec = codec_of(target)
    keyless = keyless_of(sigstore, identity_file, trust_config, key=key)
    kept = Kept(retain_seconds, retain_mode)
    check_upload(upload, target.name, kept)
    signer = _signer(key_of(key), keyless, options.Connection(**connection))
    code, _ = seal(
        directory,
        target,
        codec,
        signer,
        rules=own_rules(redact_rules, tell=not quiet),
        without_artifacts=without_artifacts,
        unchecked_artifacts=unchecked_artifacts,
        quiet=quiet,
    )
    if upload is None or code is not ExitCode.OK:
        return code
    return send(target, upload, record.read(directory).run, kept, quiet=quiet)


def codec_of(path: Path) -> "Codec":
    """Raises UsageError."""
    from runner.bundle.codec import codec_for  # noqa: PLC0415

    codec = codec_for(path.name)
    if codec is None:
        raise click.UsageError(f"{path}: a bundle is a {SUFFIXES}")
    return codec


def _signer(
    key: Path | SecretKey | None, keyless: Keyless | None, connection: options.Connection
) -> "CryptoSigner | KeylessSigner | None":
    """Raises UsageError, ClusterError."""
    if not isinstance(key, SecretKey):
        return signer_from(key, keyless)

    async def read() -> "CryptoSigner":
        async with connected(connection) as cluster:
            return await signer_from_secret(cluster.objects, key)

    return asyncio.run(read())


def seal(
    directory: Path,
    target: Path,
    codec: "Codec",
    signer: "CryptoSigner | KeylessSigner | None",
    *,
    rules: "tuple[Rule, ...] | None" = None,
    without_artifacts: bool = False,
    unchecked_artifacts: bool = False,
    spares_the_rest: bool = False,
    quiet: bool = False,
) -> Outcome:
    """With `spares_the_rest` collected files that hold secrets cost themselves and not the bundle.
    Raises RecordError, OutputError, UsageError."""
    from runner.bundle.seal import SecretsFoundError, describe, write_bundle  # noqa: PLC0415
    from runner.redact import Redactor  # noqa: PLC0415

    if directory.resolve() in target.resolve().parents:
        raise click.UsageError(f"{target} lies in the run that it is to hold; name another place")
    sealed = describe(directory, signer, without=(ARTIFACTS,) if without_artifacts else ())
    manifest = sealed.manifest
    for path in manifest.changed_since_run:
        complain(f"{directory / path} was changed since the run ended; the bundle says so")
    if sealed.broken_at:
        complain(
            f"{directory / 'journal.jsonl'}:{sealed.broken_at} does not follow from the line "
            "before it: it was changed, and `podmedic verify` will say so"
        )
    # What the policy allowed to stay as it was is stamped, not searched.
    redactor = Redactor(b"", rules) if manifest.redacted else None
    unchecked = (ARTIFACTS,) if unchecked_artifacts else ()
    code = ExitCode.OK
    left_out: tuple[str, ...] = ()
    try:
        try:
            write_bundle(directory, target, codec, sealed, signer, redactor, unchecked=unchecked)
        except SecretsFoundError as error:
            left_out = tuple(sorted({one.path for one in error.found}))
            if not spares_the_rest or not all(path.startswith(ARTIFACTS) for path in left_out):
                raise
            code = ExitCode.NOT_SEALED
            _tell_places(error.found)
            sealed = describe(directory, signer, without=left_out)
            write_bundle(directory, target, codec, sealed, signer, redactor)
    except SecretsFoundError as error:
        _refuse(target, error.found)
        return Outcome(ExitCode.NOT_SEALED, is_written=False)
    if left_out:
        complain(
            f"{target} was written without {', '.join(left_out)}, as secrets would leave in it; "
            f"`podmedic bundle {shlex.quote(str(directory))} --unchecked-artifacts` takes it along"
        )
    if not quiet:
        signed = "signed" if signer is not None else "not signed: see --key"
        tell(f"Bundle: {target} ({len(sealed.manifest.files)} files, {signed})")
    return Outcome(code, is_written=True)


def _tell_places(found: "Sequence[Found]") -> None:
    for one in found[:_MAX_TOLD]:
        complain(
            f"{one.path}:{one.line}: looks like a secret of {one.length} bytes (rule {one.rule})"
        )
    if len(found) > _MAX_TOLD:
        complain(f"and {len(found) - _MAX_TOLD} more")


def _refuse(target: Path, found: "Sequence[Found]") -> None:
    _tell_places(found)
    mend = "what is none can be allowed by --redact-rules"
    if any(one.path.startswith(ARTIFACTS) for one in found):
        mend = "--without-artifacts leaves out what playbooks collected"
    complain(f"{target} was not written, because secrets would leave in it; {mend}")
