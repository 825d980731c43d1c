"""A report on disk: `report.json` and `report.html` in one directory."""

from pathlib import Path

from runner.killpoints import reach
from runner.model.report import Report
from runner.report.document import to_json
from runner.report.files import write_atomically

JSON_NAME = "report.json"
HTML_NAME = "report.html"


def write(directory: Path, report: Report) -> None:
    """Both files, each whole or as it was before, JSON first: the page can be made from it again.
    Raises OutputError."""
    write_atomically(directory / JSON_NAME, to_json(report))
    reach("report-json-written")
    from runner.report.html import to_html  # noqa: PLC0415  a command that writes none is quick

    write_atomically(directory / HTML_NAME, to_html(report).encode())
