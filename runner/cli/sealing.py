"""`run --bundle` and `--key`: the end of a run's directory."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.request import Request
from runner.record import RecordError
from runner.report.files import OutputError

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
    metavar="NAME.key",
    help="Sign the run's manifest, and the bundle.",
)


def checked(given: Mapping[str, Any], directory: Path) -> Path | None:
    """The bundle's file. Raises UsageError, before the sweep and not after it."""
    from runner.cli.bundle import codec_of, default_file, signer_from  # noqa: PLC0415

    if given["key"] is not None:
        signer_from(Path(given["key"]))
    if given["bundle"] is None:
        return None
    if not given["bundle"]:
        return default_file(directory)
    target = Path(given["bundle"])
    try:
        codec_of(target)
    except click.UsageError as error:
        raise click.UsageError(
            f"--bundle {error.message}; a playbook goes before it: `run PLAYBOOK --bundle`"
        ) from None
    return target


def sealed(request: Request, code: ExitCode) -> ExitCode:
    """The directory gets its manifest, the bundle is written if there is to be one. What fails is
    said and never hides the result; the exit code says that something was not stored."""
    if code is ExitCode.NOT_STORED:
        return code
    from runner.bundle.seal import write_beside  # noqa: PLC0415
    from runner.cli.bundle import codec_of, seal, signer_from  # noqa: PLC0415

    try:
        signer = signer_from(request.sealing.key)
        write_beside(request.directory, signer)
        target = request.sealing.bundle
        if target is not None:
            rules = request.redaction.rules
            sealing = seal(
                request.directory,
                target,
                codec_of(target),
                signer,
                rules=rules,
                quiet=request.quiet,
            )
            code = code if sealing is ExitCode.OK else sealing
    except (OutputError, RecordError, click.UsageError) as error:
        again = f"`podmedic bundle {shlex.quote(str(request.directory))}`"
        complain(f"the run is not sealed: {error}; {again} does that later")
        return ExitCode.NOT_STORED
    return code
