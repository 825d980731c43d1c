"""The end of a run: the result is there first, then others are told of it."""

import asyncio
import io
import json
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from runner.cli import deliver as module
from runner.cli.deliver import Delivered, deliver
from runner.cli.exit_codes import ExitCode
from runner.cli.request import request_of
from runner.cluster import Objects
from runner.model.report import API_VERSION
from runner.model.seen import Seen
from runner.policy import DEFAULT
from runner.report import write
from tests.unit.report_samples import FINISHED, rich_report
from tests.unit.test_resume import OPTIONS


def _delivered(
    directory: Path, told: Callable[[], bool], monkeypatch: pytest.MonkeyPatch, **given: Any
) -> Delivered:
    monkeypatch.setattr(module, "notified", lambda *_: told())
    report = rich_report()
    request = request_of(
        msgspec.structs.replace(OPTIONS, **given), (), DEFAULT, directory=directory
    )
    seen = Seen(api_version=API_VERSION, run=report.run, at=FINISHED)
    return asyncio.run(deliver(request, seen, report, {}, {}, cast("Objects", None)))


def test_people_read_the_result_before_a_service_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def told() -> bool:
        read.append(capsys.readouterr().out)
        assert (tmp_path / "report.json").exists()
        return True

    done = _delivered(tmp_path, told, monkeypatch)
    assert read[0].startswith("2 workloads broken, 2 suspicious, 4 healthy, 2 not examined")
    assert read[0].endswith(f"Report: {tmp_path}/report.html\n")
    assert done == Delivered(ExitCode.FINDINGS, (), tmp_path / "report.html")


def test_a_baseline_of_many_runs_tells_what_comes_and_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run -o nights --keep 30 --baseline nights`: found, not found, found again."""
    nights, report = tmp_path / "nights", rich_report()
    for night, findings in enumerate((report.findings, report.findings[1:])):
        earlier = report.run.started_at - timedelta(days=2 - night)
        dated = msgspec.structs.replace(report.run, id=f"night-{night}", started_at=earlier)
        write(nights / dated.id, msgspec.structs.replace(report, run=dated, findings=findings))
    _delivered(nights / "night-2", lambda: True, monkeypatch, baseline=str(nights))
    found = json.loads((nights / "night-2" / "diff.json").read_bytes())
    assert [run["id"] for run in found["runs"]] == ["night-0", "night-1", report.run.id]
    assert [each["history"] for each in found["findings"] if each["flapping"]] == [
        ["found", "clear", "found"]
    ]
    assert "1 new finding, 3 persisting" in capsys.readouterr().out


@pytest.mark.usefixtures("capfd")
def test_a_reader_who_left_keeps_nobody_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`podmedic run | head -1`"""

    def left(_: object) -> str:
        raise BrokenPipeError

    def told() -> bool:
        heard.append("told")
        return True

    heard: list[str] = []
    monkeypatch.setattr(module, "summary", left)
    assert _delivered(tmp_path, told, monkeypatch).code is ExitCode.FINDINGS
    assert heard == ["told"]


def test_who_did_not_take_it_stands_in_the_metrics_and_changes_no_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    textfile = tmp_path / "podmedic.prom"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    done = _delivered(
        tmp_path, lambda: False, monkeypatch,
        quiet=True, metrics_textfile=str(textfile), pushgateway=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    assert (done.code, done.failed_sinks) == (ExitCode.FINDINGS, ("notify", "pushgateway"))
    failed = [line for line in textfile.read_text().splitlines() if line.endswith(" 1.0")]
    assert [line for line in failed if line.startswith("podmedic_sink_failures")] == [
        'podmedic_sink_failures{sink="notify"} 1.0',
        'podmedic_sink_failures{sink="pushgateway"} 1.0',
    ]
    assert f"Pushgateway http://127.0.0.1:{port}: Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "colored"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, False),
    ],
)
def test_a_terminal_that_knows_no_colours_gets_none(
    environ: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in module.summary(rich_report())) is colored
