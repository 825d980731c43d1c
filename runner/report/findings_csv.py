"""The findings as CSV, for spreadsheets. A line for each finding, then one for each reason why
something was not examined: an empty table must not look like health."""

import csv
import io
import re
from collections.abc import Iterator

from runner.model.report import Finding, Report
from runner.report.plain import one_line
from runner.report.view import notices, shown_by, unanswered

COLUMNS = (
    "severity", "confidence", "namespace", "kind", "workload", "container", "message", "title",
    "remediation", "pods", "first pod", "evidence", "source", "playbook", "rule", "fingerprint",
    "run", "started",
)  # fmt: skip
NOT_EVALUATED = "not evaluated"
# What a spreadsheet takes for a formula at the beginning of a cell, also after blanks, in the
# forms that full-width keyboards write, and behind a quote.
_FORMULA = re.compile(r"[\s'\"]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]")


def to_csv(report: Report) -> str:
    """RFC 4180, every cell quoted and on one line; none of them is a formula."""
    made = io.StringIO()
    writer = csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    end = (report.run.id, report.run.started_at.isoformat())
    for cells in (*map(_finding, report.findings), *_open(report)):
        writer.writerow([harmless(one_line(cell)) for cell in (*cells, *end)])
    return made.getvalue()


def harmless(cell: str) -> str:
    """Text for a spreadsheet, which shows the apostrophe that keeps a formula from being one only
    where it is imported as text."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _finding(finding: Finding) -> tuple[str, ...]:
    workload = finding.workload
    evidence, line = shown_by(finding)
    return (
        finding.severity.value,
        finding.confidence.value,
        workload.namespace,
        workload.kind,
        workload.name,
        finding.container,
        finding.message,
        finding.title,
        finding.remediation,
        str(len(finding.pods)),
        finding.pods[0].name if finding.pods else "",
        line,
        evidence.source if evidence else "",
        finding.playbook,
        finding.rule,
        finding.fingerprint,
    )


def _open(report: Report) -> Iterator[tuple[str, ...]]:
    said = [(notice, "", 0, "") for notice in notices(report)]
    said += [(item.what, item.why, item.pods, item.example) for item in unanswered(report)]
    for what, why, pods, example in said:
        namespace, _, name = example.rpartition("/")
        message = ": ".join(filter(None, (what, why)))
        yield (
            NOT_EVALUATED, "", namespace, "", "", "", message, what, "", str(pods), name,
            *("",) * 5,
        )  # fmt: skip
