"""Logs as JSON: one object a line, whatever is in it."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.cli import logs
from runner.cli.exit_codes import ExitCode
from runner.cli.logs import JsonProgress, Log
from runner.cli.main import complain, tell
from runner.model.report import PodOutcome
from tests.unit.report_samples import HOSTILE, pod, rich_report, workload

NOW = datetime(2026, 11, 23, 3, 12, 40, 120, tzinfo=UTC)


def _log() -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(stream, lambda: NOW), stream


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_pod_has_its_ids_and_those_of_the_run() -> None:
    log, stream = _log()
    log.run = "run-1"
    log.pod(pod("web-0", workload("web"), PodOutcome.ERROR, reason="Forbidden"))

    assert _lines(stream) == [
        {
            "time": "2026-11-23T03:12:40.000120Z", "level": "info", "message": "pod examined",
            "run": "run-1", "namespace": "shop", "pod": "web-0", "podUid": "5a1c0f3e-web-0",
            "node": "node-b", "workload": "Deployment/web", "outcome": "error",
            "reason": "Forbidden", "container": "",
        }
    ]  # fmt: skip


def test_the_end_of_a_run(tmp_path: Path) -> None:
    log, stream = _log()
    page = tmp_path / "report.html"
    log.report(rich_report(), ExitCode.FINDINGS, page)
    page.touch()
    log.report(rich_report(), ExitCode.FINDINGS, page)
    log.report(rich_report(), ExitCode.NOT_STORED, None)

    lines = _lines(stream)
    assert [line.get("finding") for line in lines[:2]] == ["fp-ledger", "fp-orders"]
    assert lines[-1]["message"] == "2 workloads broken, 2 suspicious, 4 healthy, 2 not examined"
    ends = [line for line in lines if "exitCode" in line]
    assert [(line["exitCode"], line["report"]) for line in ends] == [
        (1, ""), (1, str(page)), (6, ""),
    ]  # fmt: skip


@pytest.mark.parametrize("text", [*HOSTILE, "two\nlines", "\u2028"])
def test_any_text_is_one_ascii_line(text: str) -> None:
    log, stream = _log()
    log.write("info", text, pod=text)
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    assert _lines(stream)[0]["pod"] == text


def test_what_is_complained_of_is_a_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, stream = _log()
    monkeypatch.setattr(logs._State, "log", log)
    complain("the disk is full")
    complain("forbidden", "error")
    tell("Bundle: run.tar.zst")
    assert [(line["level"], line["message"]) for line in _lines(stream)] == [
        ("warning", "the disk is full"), ("error", "forbidden"), ("info", "Bundle: run.tar.zst"),
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_progress_is_told_now_and_then() -> None:
    log, stream = _log()
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    progress = JsonProgress(log, lambda: next(clock))
    progress.start(10)
    progress.update(selected=10, injected=1, running=1, done=0, failed=0)
    progress.update(selected=10, injected=5, running=2, done=3, failed=1)
    progress.update(selected=10, injected=6, running=2, done=4, failed=1)

    assert [line["message"] for line in _lines(stream)] == [
        "10 pods selected", "3 of 10 pods done",
    ]  # fmt: skip
