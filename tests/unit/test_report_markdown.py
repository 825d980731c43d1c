"""The report for a chat."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model.report import PodOutcome, Report
from runner.report import render
from runner.report.markdown import MAX_CHARACTERS, to_markdown
from tests.unit.report_samples import HOSTILE, pod, report_of, rich_report, workload

RICH = to_markdown(rich_report())


def test_the_rows_of_the_page() -> None:
    lines = RICH.splitlines()
    assert lines[0] == "### 2 workloads broken, 2 suspicious, 4 healthy, 2 not examined"
    broken = [line for line in lines if line.startswith("- **broken**")]
    assert broken[0].startswith("- **broken** **Deployment/ledger** in shop (6 of 6 pods, ")
    assert lines[lines.index(broken[0]) + 2] == (
        r"  - What to do: Set LEDGER\_URL, for example: kubectl set env deployment/ledger -n shop "
        r"LEDGER\_URL=… This restarts its pods."
    )
    assert "Not examined or not evaluated:" in lines
    assert "healthy**" not in RICH
    assert render(rich_report(), "markdown") == RICH


def broken(count: int, name: str = "web", message: str = "m" * 300) -> Report:
    return report_of(
        *(
            pod(f"{name}-{i}", workload(f"{name}-{i}"), PodOutcome.ERROR, message=message)
            for i in range(count)
        )
    )


def test_many_workloads_are_counted() -> None:
    text = to_markdown(broken(500))
    assert len(text) <= MAX_CHARACTERS
    told = len(re.findall("(?m)^- .*Deployment/web-", text))
    assert 3 <= told < 500
    assert f"- … and {500 - told} other workloads" in text


def test_all_causes_come_before_what_is_said_of_each() -> None:
    """Where there is no room for both."""
    report = rich_report()
    whole = to_markdown(report)
    assert ["Ruled out:" in whole, "What to do:" in whole] == [True, True]
    for limit, said in ((len(whole) + 50, [False, True]), (len(whole) - 300, [False, False])):
        text = to_markdown(report, limit)
        assert len(text) <= limit
        assert ["Ruled out:" in text, "What to do:" in text] == said
        assert text.count("\n- **") == whole.count("\n- **") == 6


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_pod_becomes_markup(hostile: str) -> None:
    _is_harmless(to_markdown(broken(1, hostile, hostile)))


@settings(max_examples=100)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_whatever_it_is(text: str) -> None:
    _is_harmless(to_markdown(broken(1, text, text)))


def _is_harmless(text: str) -> None:
    """Every line is one of ours, and no character of markup stands alone."""
    for line in text.splitlines():
        assert re.match(r"### |- |  - |\*\*|[^-#>\s]|$", line), line
        bare = re.sub(r"`+ ?.*? ?`+|\\.|\*\*(?=[a-z])|\*\*", "", line)
        assert not re.search(r"[<>@`_\[\]]|://", bare.removeprefix("### ")), line


def test_mentions_and_links_are_broken() -> None:
    text = to_markdown(broken(1, "web", "ask @channel at https://evil.example/ *now* <b>"))
    assert "ask &#64;channel at https&#58;//evil.example/ \\*now\\* &lt;b&gt;" in text


def test_evidence_is_code_that_cannot_be_left() -> None:
    report = rich_report()
    first = report.findings[0]
    said = msgspec.structs.replace(first.evidence[0], excerpt=f"``` {first.message}")
    finding = msgspec.structs.replace(first, evidence=(said,))
    text = to_markdown(msgspec.structs.replace(report, findings=(finding, *report.findings[1:])))
    assert "  - ```` ``` " in text
