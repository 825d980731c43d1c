"""What a person sees of a run: each output is a pure function of the Report."""

from runner.model.report import Report
from runner.report.document import ReportError, from_json, json_schema, to_json
from runner.report.files import OutputError, write_atomically
from runner.report.output import OUTPUTS, render
from runner.report.plain import one_line, plain
from runner.report.summary import Verdict, summarize, verdicts
from runner.report.terminal import summary_text
from runner.report.view import plural
from runner.report.write import HTML_NAME, JSON_NAME, write

__all__ = [
    "HTML_NAME",
    "JSON_NAME",
    "OUTPUTS",
    "OutputError",
    "ReportError",
    "Verdict",
    "from_json",
    "json_schema",
    "one_line",
    "plain",
    "plural",
    "render",
    "summarize",
    "summary_text",
    "to_html",
    "to_json",
    "verdicts",
    "write",
    "write_atomically",
]


def to_html(report: Report) -> str:
    """The page. What makes it is read by whoever wants it, not at each command's start."""
    from runner.report.html import to_html as page  # noqa: PLC0415

    return page(report)
