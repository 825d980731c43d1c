"""The report of an earlier run, from its directory or from a file."""

from pathlib import Path

from runner.model.report import Report
from runner.record import RecordError
from runner.report.document import ReportError, from_json
from runner.report.write import JSON_NAME

_MAX_BYTES = 1 << 30


def read_report(path: Path) -> Report:
    """Of the run in the directory `path`, or in the file. Raises RecordError."""
    file = path / JSON_NAME if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecordError(_missing(path, file)) from None
    except OSError as error:
        raise RecordError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_BYTES:
        raise RecordError(f"{file}: larger than {_MAX_BYTES >> 20} MiB")
    try:
        return from_json(raw)
    except ReportError as error:
        raise RecordError(f"{file}: {error}") from error


def _missing(path: Path, file: Path) -> str:
    if file == path:
        return f"{path}: there is no such file or directory"
    return (
        f"{path} has no {JSON_NAME}: either it is not the directory of a run, or the run did not "
        "get as far as a report (then `podmedic resume` finishes it)"
    )
