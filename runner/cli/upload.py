"""`--upload`: a bundle on its way to an object store."""

from importlib.util import find_spec
from pathlib import Path

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain, tell
from runner.storage.place import Place, PlaceError

upload_option = click.option(
    "--upload",
    default=None,
    metavar="URL",
    help="Send the bundle to s3://BUCKET/PREFIX, gs://…, az://ACCOUNT/CONTAINER/… or file:///…, "
    "named by the run. The local file stays.",
)


def place_of(url: str, name: str) -> Place:
    """Raises UsageError."""
    try:
        place = Place.of(url, name)
    except PlaceError as error:
        raise click.UsageError(str(error)) from error
    if find_spec("obstore") is None:
        raise click.UsageError(f"{url}: takes obstore: pip install 'podmedic[cloud]'")
    return place


def send(file: Path, url: str, run_id: str, *, quiet: bool) -> ExitCode:
    """The bundle to its place. Raises UsageError."""
    from runner.storage.upload import UploadError, upload  # noqa: PLC0415

    suffix = "".join(file.suffixes[-2:])
    try:
        done = upload(file, place_of(url, f"{run_id}{suffix}"))
    except UploadError as error:
        complain(f"{error}; the bundle is kept in {file}")
        return ExitCode.NOT_STORED
    if not quiet:
        checked_how = "read back and compared" if done.read_back else "may not be read back here"
        tell(f"Uploaded: {done.url} ({done.bytes} bytes, {checked_how})")
    return ExitCode.OK
