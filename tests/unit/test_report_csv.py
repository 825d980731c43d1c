"""CSV, read back by Python's own reader and looked at as a spreadsheet would."""

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.report import Report
from runner.report.findings_csv import COLUMNS, to_csv
from tests.unit.report_samples import HOSTILE, report_of, rich_report


def _lines(report: Report) -> list[dict[str, str]]:
    text = to_csv(report)
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_for_each_finding() -> None:
    first = _lines(rich_report())[0]

    assert tuple(first) == COLUMNS
    assert first == {
        "severity": "critical", "confidence": "certain", "namespace": "shop", "kind": "Deployment",
        "workload": "ledger", "container": "app",
        "message": "app exits with code 1 because LEDGER_URL is not set.",
        "title": "A variable is missing",
        "remediation": "Set LEDGER_URL, for example: kubectl set env deployment/ledger -n shop LEDGER_URL=… This restarts its pods.",
        "pods": "6", "first pod": "ledger-6d9f7c5b9-2xkq8", "evidence": "KeyError: 'LEDGER_URL'",
        "source": "log of container app, line 41", "playbook": "crashloop", "rule": "missing-env",
        "fingerprint": "fp-ledger", "run": "20261123-031240-k3f9",
        "started": "2026-11-23T03:12:40+00:00",
    }  # fmt: skip


def test_what_was_not_examined_has_lines_too() -> None:
    lines = [line for line in _lines(rich_report()) if line["severity"] == "not evaluated"]

    assert (
        "pod could not be examined: Forbidden: may not patch pods/ephemeralcontainers in namespace shop",
        "2", "shop", "cart-5c0",
    ) in [(line["message"], line["pods"], line["namespace"], line["first pod"]) for line in lines]  # fmt: skip


def test_a_run_that_was_cut_short_says_so() -> None:
    report = report_of()
    run = msgspec.structs.replace(report.run, aborted="30 % errors")
    [line] = _lines(msgspec.structs.replace(report, run=run))
    assert line["message"] == "The sweep was aborted: 30 % errors"


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("https://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", " =1",
        "＝1+1", "|calc", "%0A", "'=1", '"=1"', "\n=cmd|' /C calc'!A0",
    ],
)  # fmt: skip
def test_nothing_is_a_formula(text: str) -> None:
    report = rich_report()
    found = msgspec.structs.replace(report.findings[0], message=text)

    [line, *_] = _lines(msgspec.structs.replace(report, findings=(found,)))

    assert line["message"].startswith("'")


@given(st.text() | st.sampled_from(HOSTILE))
def test_any_text_stays_in_its_cell(text: str) -> None:
    report = rich_report()
    found = msgspec.structs.replace(report.findings[0], message=text, container=text)

    lines = _lines(msgspec.structs.replace(report, findings=(found,)))

    assert lines[0]["fingerprint"] == "fp-ledger"
    assert not lines[0]["message"].startswith(("=", "+", "-", "@", "\t", "\r"))
