"""`--upload`: a bundle on its way to an object store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from runner.cli.duration import Duration
from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain, tell
from runner.storage import Mode, Place, PlaceError, Retention

_OF_ALL = {
    "gs": "of gs:// the bucket's own retention policy does that",
    "az": "of az:// the container's own immutability policy does that",
    "file": "a folder has none",
}
_upload_option = click.option(
    "--upload",
    default=None,
    metavar="URL",
    help="Send the bundle to s3://BUCKET/PREFIX, gs://…, az://ACCOUNT/CONTAINER/… or file:///…, "
    "named by the run. The local file stays.",
)
_retain_option = click.option(
    "--retain",
    "retain_seconds",
    default=0.0,
    type=Duration(),
    metavar="TIME",
    help="Let nobody delete what was sent to s3://… for so long: 90d. The bucket needs object "
    "lock.",
)
_mode_option = click.option(
    "--retain-mode",
    default="governance",
    type=click.Choice(get_args(Mode)),
    show_default=True,
    help="compliance: not even who may bypass governance.",
)


def upload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _upload_option(_retain_option(_mode_option(command)))


class Kept(msgspec.Struct, frozen=True):
    """How long and how strictly the store is to keep what is sent."""

    seconds: float = 0.0
    mode: Mode = "governance"

    def checked(self, place: Place | None) -> None:
        """Raises UsageError."""
        if not self.seconds:
            return
        if place is None:
            raise click.UsageError("--retain is for what is sent: name a place by --upload s3://…")
        if place.scheme != "s3":
            raise click.UsageError(
                f"--retain: {place.url}: podmedic sets a retention for objects of s3:// alone; "
                + _OF_ALL[place.scheme]
            )

    def retention(self) -> Retention | None:
        """From now on."""
        if not self.seconds:
            return None
        return Retention(self.mode, datetime.now(UTC) + timedelta(seconds=self.seconds))


def place_of(url: str, name: str) -> Place:
    """Raises UsageError."""
    try:
        place = Place.of(url, name)
    except PlaceError as error:
        raise click.UsageError(str(error)) from error
    for library in ("obstore", "awscrt") if place.scheme == "s3" else ("obstore",):
        if find_spec(library) is None:
            raise click.UsageError(f"{url}: takes {library}: pip install 'podmedic[cloud]'")
    return place


def check_upload(url: str | None, name: str, kept: Kept) -> None:
    """Before anything is done. Raises UsageError."""
    kept.checked(None if url is None else place_of(url, name))


def send(file: Path, url: str, run_id: str, kept: Kept, *, quiet: bool) -> ExitCode:
    """The bundle to its place. Raises UsageError."""
    from runner.storage.upload import UploadError, upload  # noqa: PLC0415

    suffix = "".join(file.suffixes[-2:])
    try:
        done = upload(file, place_of(url, f"{run_id}{suffix}"), kept.retention())
    except UploadError as error:
        complain(f"{error}; the bundle is kept in {file}")
        return ExitCode.NOT_STORED
    if not quiet:
        checked_how = "read back and compared" if done.read_back else "may not be read back here"
        tell(f"Uploaded: {done.url} ({done.bytes} bytes, {checked_how})")
        if done.retention is not None:
            how_known = "" if done.retention_seen else " (may not be read back here)"
            tell(f"Retained: {done.retention}{how_known}")
    return ExitCode.OK
