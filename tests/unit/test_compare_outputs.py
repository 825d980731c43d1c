"""What a person reads of a comparison, and `podmedic diff` as a user calls it."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from runner.cli.exit_codes import ExitCode
from runner.cli.main import podmedic
from runner.compare import compare
from runner.compare.page import to_html
from runner.compare.text import MAX_MARKDOWN, to_markdown, to_text
from runner.report import write
from runner.report.plain import is_terminal_safe
from tests.unit.report_samples import HOSTILE, pod, rich_report, workload
from tests.unit.test_compare import E, F, P, finding, run, web

OLD = run(0, [web(F), pod("api-0", workload("api"), P)], [finding("stays"), finding("goes")])
NEW = run(
    1,
    [web(F), web(P, 1), pod("api-0", workload("api"), E, message="refused")],
    [finding("comes"), finding("stays")],
)


def test_the_terminal() -> None:
    assert (
        to_text(compare([OLD], NEW), width=100)
        == """\
1 new finding, 1 resolved, 1 persisting
Run run-1 (2026-11-24 03:12 UTC) compared with run-0 (2026-11-23 03:12 UTC)
New:
  + Deployment/web (shop): comes in web
      critical, certain
Persisting:
  = Deployment/web (shop): stays in web
      critical, certain; since 2026-11-23 03:12 UTC
Resolved:
  - Deployment/web (shop): goes in web
      critical, certain
Worse than before, without a new finding:
  Deployment/api (shop): healthy -> not examined
1 pod came, 0 went.
"""
    )


def test_a_cause_is_whole_on_a_narrow_terminal() -> None:
    cause = "Container app exits with code 1 because the environment variable LEDGER_URL is unset."
    said = to_text(compare([], run(0, [web(F)], [finding(message=cause)])), width=80)
    assert said.splitlines()[2:5] == [
        "New:",
        "  + Deployment/web (shop): Container app exits with code 1 because the",
        "    environment variable LEDGER_URL is unset.",
    ]


def test_markdown_is_short_and_says_the_same() -> None:
    said = to_markdown(compare([OLD], NEW))
    assert said.startswith("### 1 new finding, 1 resolved, 1 persisting\n")
    assert "- Deployment/web (shop): comes in web (critical, certain)" in said.replace("\\", "")
    many = run(1, [web(F)], [finding(f"rule-{number}", message="x" * 300) for number in range(200)])
    assert len(to_markdown(compare([OLD], many))) <= MAX_MARKDOWN


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_a_pod_is_obeyed(text: str) -> None:
    evil = run(1, [web(F)], [finding(message=text, workload=workload(text), container=text)])
    found = compare([OLD], evil)

    assert is_terminal_safe(to_text(found, width=100).replace("\n", ""))
    page = to_html(found).partition("<body>")[2]
    assert "<script" not in page
    assert "<img" not in page
    assert "onmouseover='" not in page


def test_the_page_needs_nothing_and_names_each_finding() -> None:
    page = to_html(compare([OLD], NEW))
    assert "default-src &#39;none&#39;" in page
    assert "<script" not in page
    assert [name for name in ("comes", "stays", "goes") if f"{name} in web" not in page] == []
    assert '<section id="new">' in page
    assert '<header class="bad">' in page


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for day, report in enumerate((OLD, OLD, NEW)):
        dated = msgspec.structs.replace(report.run, id=f"run-{day}")
        write(tmp_path / f"run-{day}", msgspec.structs.replace(report, run=dated))
    return tmp_path


def _diff(*arguments: str | Path) -> Result:
    return CliRunner().invoke(podmedic, ["diff", *map(str, arguments)], standalone_mode=False)


def test_two_runs(runs: Path) -> None:
    done = _diff(runs / "run-0", runs / "run-2")
    assert done.stdout.startswith("1 new finding, 1 resolved, 1 persisting\n")
    assert done.return_value == ExitCode.FINDINGS
    assert _diff(runs / "run-0", runs / "run-2", "--exit-zero").return_value == ExitCode.OK
    assert _diff(runs / "run-0", runs / "run-1").return_value == ExitCode.OK


def test_a_directory_of_runs_leaves_out_the_new_one(runs: Path) -> None:
    done = _diff(runs, runs / "run-2", "-o", "json")
    found = json.loads(done.stdout)
    assert [each["id"] for each in found["runs"]] == ["run-0", "run-1", "run-2"]
    assert found["kind"] == "Diff"
    assert [each["history"] for each in found["findings"]] == [
        ["clear", "clear", "found"], ["found", "found", "found"], ["found", "found", "clear"],
    ]  # fmt: skip
    last = json.loads(_diff(runs, runs / "run-2", "-o", "json", "--last", "1").stdout)
    assert [each["id"] for each in last["runs"]] == ["run-1", "run-2"]


def test_formats(runs: Path) -> None:
    assert _diff(runs / "run-0", runs / "run-2", "-o", "markdown").stdout.startswith("### 1 new")
    assert _diff(runs / "run-0", runs / "run-2", "-o", "html").stdout.startswith("<!doctype html>")


def test_a_real_report_compared_with_itself_has_no_news() -> None:
    report = rich_report()
    later = msgspec.structs.replace(report.run, id="later")
    found = compare([report], msgspec.structs.replace(report, run=later))
    assert found.summary["persisting"] == len(report.findings)
    assert sum(found.summary.values()) == len(report.findings)
