"""NDJSON: what a reader of lines gets, while a run is under way and afterwards."""

import json
import os
from typing import Any

import msgspec

from runner.cli.streamed import Streamed
from runner.model.report import PodOutcome
from runner.report.stream import pod_line, rest_of_stream, to_ndjson
from tests.unit.report_samples import pod, report_of, rich_report, workload


def _kinds(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["kind"] for line in lines]


def test_the_whole_report_ends_with_the_run() -> None:
    report = rich_report()
    lines = [json.loads(line) for line in to_ndjson(report).splitlines()]

    assert [line["kind"] for line in lines] == [
        *["Pod"] * len(report.pods), *["Finding"] * len(report.findings),
        *["NotEvaluated"] * 2, *["RuledOut"] * len(report.ruled_out), "Run",
    ]  # fmt: skip
    assert {line["runId"] for line in lines} == {report.run.id}
    assert {line["apiVersion"] for line in lines} == {"podmedic.io/v1alpha1"}
    assert lines[0]["pod"] == json.loads(msgspec.json.encode(report.pods[0]))
    assert lines[-1]["summary"]["pods"] == len(report.pods)


def test_a_pod_is_told_once_and_its_verdict_where_the_rules_gave_it_another() -> None:
    web = workload("web")
    report = report_of(
        pod("web-0", web, PodOutcome.FAILED), pod("web-1", web, PodOutcome.PASSED),
        pod("web-2", web, PodOutcome.SKIPPED),
    )  # fmt: skip
    said = {report.pods[0].uid: PodOutcome.PASSED, report.pods[1].uid: PodOutcome.PASSED}

    lines = [json.loads(line) for line in rest_of_stream(report, said)]

    assert [line["kind"] for line in lines] == ["Pod", "PodVerdict", "Run"]
    assert lines[0]["pod"]["name"] == "web-2"
    assert (lines[1]["name"], lines[1]["outcome"]) == ("web-0", "failed")


def test_a_line_is_one_line_and_safe_to_print() -> None:
    line = pod_line("r", pod("\x1b[31m\u202e\n", workload("w"), PodOutcome.PASSED))
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
    assert "\u202e".encode() not in line


def test_pods_are_printed_as_they_finish(capfd: Any) -> None:
    done = pod("web-0", workload("web"), PodOutcome.PASSED)
    stream = Streamed("r", print)
    stream.pod(done)
    stream.finish(report_of(done, pod("web-1", workload("web"), PodOutcome.ERROR)))

    assert _kinds(capfd.readouterr().out.encode().splitlines()) == ["Pod", "Pod", "Run"]


def test_a_reader_that_left_costs_the_lines_and_is_told_once(monkeypatch: Any) -> None:
    def gone(*_: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    said: list[str] = []
    monkeypatch.setattr(os, "write", gone)
    stream = Streamed("r", said.append)
    for number in range(3):
        stream.pod(pod(f"web-{number}", workload("web"), PodOutcome.PASSED))
    stream.finish(report_of())

    assert said == ["-o ndjson: Broken pipe: the rest is not printed"]
