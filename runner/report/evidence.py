"""What a run saw, as a file beside its report: what `podmedic analyze` judges again."""

import gzip
import zlib
from pathlib import Path

from runner.model.seen import Seen
from runner.record import RecordError, decoded
from runner.report.document import encode
from runner.report.files import write_atomically

FILE_NAME = "evidence.json.gz"
# Ten thousand pods with long outputs are some hundred megabytes.
_MAX_READ_BYTES = 1 << 30


def write_evidence(directory: Path, seen: Seen) -> None:
    """The same bytes for the same value. Raises OutputError."""
    write_atomically(directory / FILE_NAME, gzip.compress(encode(seen), 1, mtime=0))


def read_evidence(directory: Path) -> Seen:
    """Raises RecordError."""
    path = directory / FILE_NAME
    try:
        with gzip.open(path) as file:
            data = file.read(_MAX_READ_BYTES + 1)
    except FileNotFoundError:
        raise RecordError(
            f"{directory} has no {FILE_NAME}: either it is not the directory of a run, or the run "
            "did not get as far as a report (then `podmedic resume` finishes it)"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise RecordError(f"{path}: cannot be read: {why}") from error
    if len(data) > _MAX_READ_BYTES:
        raise RecordError(f"{path}: larger than {_MAX_READ_BYTES >> 20} MiB when unpacked")
    return decoded(data, Seen, path, "what a run saw")
