"""`run --bundle`, `--key`, `--upload`, `--keep`: what becomes of a run's directory at its end."""

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.key import METAVAR, SecretKey, key_of, signer_from
from runner.cli.keyless import keyless_of
from runner.cli.main import complain
from runner.cli.request import DEFAULT_DIRECTORY, Request
from runner.cli.upload import Kept, check_upload, send
from runner.record import RecordError
from runner.report.files import OutputError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from runner.bundle.signing import KeylessSigner

bundle_option = click.option(
    "--bundle",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Seal the run in one .tar.zst or .tar.gz, as `podmedic bundle` does  [FILE: beside the "
    "directory, with .tar.zst after its name]",
)
key_option = click.option(
    "--key",
    default=None,
    metavar=METAVAR,
    help="Sign the run's manifest, and the bundle: with a key in a file, or in a Secret, which is "
    "read before the first pod is changed.",
)
keep_option = click.option(
    "--keep",
    default=0,
    type=click.IntRange(min=0),
    metavar="N",
    help="Give each run a directory of its own below the one of -o, and remove all but the newest "
    "N that have ended.",
)


def checked(given: Mapping[str, Any]) -> str | None:
    """The bundle's file, empty for the usual one. Raises UsageError, before the sweep and not
    after it."""
    from runner.cli.bundle import codec_of  # noqa: PLC0415

    token, trust = (
        None if given[name] is None else Path(given[name])
        for name in ("identity_file", "trust_config")
    )
    key = key_of(given["key"])
    keyless = keyless_of(given["sigstore"], token, trust, key=key)
    if not isinstance(key, SecretKey):
        signer_from(key, keyless)
    target: str | None = given["bundle"]
    kept = Kept(given["retain_seconds"], given["retain_mode"])
    check_upload(given["upload"], "run.tar.zst", kept)
    if given["upload"] is not None:
        target = target or ""
    if target:
        try:
            codec_of(Path(target))
        except click.UsageError as error:
            raise click.UsageError(
                f"--bundle {error.message}; a playbook goes before it: `run PLAYBOOK --bundle`"
            ) from None
    return target


@contextmanager
def own_directory(directory: Path | None, remote: str | None) -> Iterator[tuple[Path, bool]]:
    """Where the files of a run lie, and whether only for its time: who named nothing but an object
    store has no volume."""
    if remote is None or directory is not None:
        yield directory or DEFAULT_DIRECTORY, False
        return
    try:
        made = Path(tempfile.mkdtemp(prefix="podmedic-"))
    except OSError as error:
        raise OutputError(f"cannot make a temporary directory: {error.strerror}") from error
    try:
        yield made, True
    finally:
        # Only if nothing came to be in it: what could not be sent stays.
        with suppress(OSError):
            made.rmdir()


def sealed(
    request: Request,
    run_id: str,
    code: ExitCode,
    now: datetime,
    signer: "CryptoSigner | KeylessSigner | None",
) -> tuple[ExitCode, tuple[str, ...]]:
    """The directory gets its manifest; the bundle is written and sent if it is to be; old runs go.
    What fails is said and never hides the result; the exit code says that something was not
    stored, and which of `bundle` and `upload` were asked for and are missing stands beside it."""
    sealing = request.sealing
    asked = {"bundle": sealing.target(request.directory), "upload": sealing.upload}
    missing = tuple(sink for sink, where in asked.items() if where is not None)
    if code is not ExitCode.NOT_STORED:
        outcome, made = _sealed(request, run_id, signer)
        missing = tuple(sink for sink in missing if sink not in made)
        if outcome is not ExitCode.OK:
            code = outcome
        elif sealing.keep:
            _forget(request.directory.parent, sealing.keep, now)
    return code, missing


def _sealed(
    request: Request, run_id: str, signer: "CryptoSigner | KeylessSigner | None"
) -> tuple[ExitCode, tuple[str, ...]]:
    """What came of it, and what of `bundle` and `upload` there is. `signer`: of a Secret."""
    from runner.bundle.seal import write_beside  # noqa: PLC0415
    from runner.cli.bundle import codec_of, seal  # noqa: PLC0415

    sealing, directory = request.sealing, request.directory
    target, code = sealing.target(directory), ExitCode.OK
    try:
        if not isinstance(sealing.key, SecretKey):
            signer = signer_from(sealing.key, sealing.keyless)
        write_beside(directory, signer)
        if target is not None:
            rules = request.redaction.rules
            code, is_written = seal(
                directory, target, codec_of(target), signer,
                rules=rules, spares_the_rest=True, quiet=request.quiet,
            )  # fmt: skip
            if not is_written:
                return code, ()
    except (OutputError, RecordError, click.UsageError) as error:
        again = f"`podmedic bundle {shlex.quote(str(directory))}`"
        complain(f"the run is not sealed: {error}; {again} does that later")
        return ExitCode.NOT_STORED, ()
    if sealing.upload is not None and target is not None:
        sent = send(target, sealing.upload, run_id, sealing.kept, quiet=request.quiet)
        if sent is not ExitCode.OK:
            return sent, ("bundle",)
        # A file that was left out is nowhere else.
        if sealing.is_temporary and code is ExitCode.OK:
            with suppress(OSError):
                target.unlink()
                shutil.rmtree(directory)
    return code, ("bundle", "upload")


def _forget(base: Path, keep: int, now: datetime) -> None:
    """That an old run stays changes nothing in the result of this one."""
    from runner.bundle.retention import prune  # noqa: PLC0415

    _, failures = prune(base, keep, now)
    for failure in failures:
        complain(f"--keep {keep}: {failure}")
