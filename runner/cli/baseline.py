"""`run --baseline`: the run beside the one before it, which may lie in the same directory."""

from pathlib import Path

import click

from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.request import Request
from runner.model.report import Finding, Report
from runner.report.files import write_atomically

JSON_NAME = "diff.json"
HTML_NAME = "diff.html"


class Compared:
    """Made before the report is written: that may take the place of the baseline."""

    def __init__(self, request: Request, report: Report, baseline: Path) -> None:
        from runner.cli.diff import Kept, comparison  # noqa: PLC0415
        from runner.compare import compare  # noqa: PLC0415
        from runner.record import RecordError  # noqa: PLC0415

        self._request = request
        try:
            self.found = comparison([baseline], Kept(report, None), playbooks=request.playbooks)
        except RecordError as error:
            complain(f"--baseline {baseline}: {error}; everything counts as new")
            self.found = compare((), report)

    def write(self, directory: Path) -> None:
        """Raises OutputError."""
        from runner.compare.page import to_html  # noqa: PLC0415
        from runner.report.document import line_of  # noqa: PLC0415

        write_atomically(directory / JSON_NAME, line_of(self.found))
        write_atomically(directory / HTML_NAME, to_html(self.found).encode())

    def say(self, *, stored: bool) -> None:
        from runner.compare.text import headline, runs_sentence  # noqa: PLC0415

        to_stderr = self._request.output is not None
        from runner.cli import logs  # noqa: PLC0415

        if (log := logs.current()) is not None:
            log.write("info", headline(self.found), comparison=self.found.summary)
            return
        said = f"{runs_sentence(self.found)}: {headline(self.found)}"
        click.echo(f"{said}." if not stored else f"{said}: {self._request.directory / HTML_NAME}",
                   err=to_stderr)  # fmt: skip

    @property
    def news(self) -> tuple[Finding, ...]:
        from runner.compare.runs import is_news  # noqa: PLC0415

        return tuple(each.finding for each in self.found.findings if is_news(each))

    def code(self, code: ExitCode) -> ExitCode:
        """With --fail-on new what is not new is no failure."""
        from runner.compare import fails  # noqa: PLC0415

        if code is ExitCode.FINDINGS and self._request.fail_on == "new" and not fails(self.found):
            return ExitCode.OK
        return code


def compared(request: Request, report: Report) -> Compared | None:
    return None if request.baseline is None else Compared(request, report, request.baseline)
