"""`podmedic keygen`: a pair of keys to sign bundles with."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.exit_codes import ExitCode
from runner.report.files import OutputError

if TYPE_CHECKING:
    from runner.bundle.signing import KeyType

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@click.command(short_help="Make a pair of keys to sign bundles with.")
@click.option(
    "-o", "--output", "name", required=True, metavar="NAME", help="Write NAME.key and NAME.pub."
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "ecdsa-p256"]),
    default="ed25519",
    show_default=True,
    help="With ecdsa-p256 the same run signed twice gives two different signatures.",
)  # fmt: skip
def keygen(name: str, kind: "KeyType") -> int:
    """Make NAME.key, which signs (`podmedic bundle RUN --key NAME.key`) and only its owner may
    read, and NAME.pub, which verifies (`podmedic verify BUNDLE --key NAME.pub`). Files that are
    there already are never overwritten.
    """
    from runner.bundle import signing  # noqa: PLC0415

    if not Path(name).name or name.endswith("/"):
        raise click.UsageError(f"-o {name!r}: a name is expected, such as ./podmedic")
    private, public = Path(f"{name}.key"), Path(f"{name}.pub")
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise click.UsageError(
                f"{path} is there already and is not overwritten: what was signed with it could "
                "not be verified any more; name another one"
            )
    secret, shown = signing.generate(kind)
    _write(private, secret, 0o600)
    try:
        _write(public, shown, 0o644)
    except OutputError:
        # It would be in the way the next time.
        private.unlink(missing_ok=True)
        raise
    click.echo(f"{private} signs: keep it secret. {public} verifies: give it to everybody.")
    return ExitCode.OK


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, _NEW, mode)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
