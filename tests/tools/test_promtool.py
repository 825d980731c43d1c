"""The metrics before the tools that read them: promtool, and a real Pushgateway."""

import json
import os
import re
import select
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from runner.metrics import ALERTS, LAST_SUCCESS, build_registry, push, write_textfile
from runner.model.report import Report
from tests.unit.report_samples import FINISHED, large_report, report_of, rich_report

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.tools

DEADLINE_SECONDS = 30
REQUESTS = {("patch", "200"): 16, ("list", "200"): 3}


def _with_run(report: Report, **values: object) -> Report:
    return msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **values))


INTERRUPTED = _with_run(report_of(), interrupted=True)


@pytest.mark.parametrize("report", [rich_report(), report_of(), INTERRUPTED])
def test_promtool_has_nothing_to_complain_about(report: Report) -> None:
    text = generate_latest(build_registry(report, api_requests=REQUESTS))

    said = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_promtool_accepts_a_textfile_with_a_success_that_was_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "podmedic.prom"
    write_textfile(path, build_registry(rich_report(), api_requests=REQUESTS))
    write_textfile(path, build_registry(INTERRUPTED, api_requests=REQUESTS))

    said = subprocess.run(
        ["promtool", "check", "metrics"], input=path.read_bytes(), capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")
    assert LAST_SUCCESS.encode() in path.read_bytes()


@contextmanager
def _pushgateway() -> Iterator[str]:
    """A Pushgateway on a free port of loopback, which ends with the context."""
    process = subprocess.Popen(
        ["prometheus-pushgateway", "--web.listen-address=127.0.0.1:0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield _address(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_SECONDS)
        assert process.stderr
        process.stderr.close()


def _address(process: subprocess.Popen[bytes]) -> str:
    """Where it says that it listens; raises AssertionError with what it said instead."""
    assert process.stderr
    said, end = b"", time.monotonic() + DEADLINE_SECONDS
    while select.select([process.stderr], [], [], max(end - time.monotonic(), 0))[0]:
        if not (chunk := os.read(process.stderr.fileno(), 4096)):
            break
        said += chunk
        if found := re.search(rb"address=(127\.0\.0\.1:\d+)", said):
            return found.group(1).decode()
    raise AssertionError(said.decode(errors="replace"))


def _samples(address: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("job") == "podmedic"
    }


def test_a_run_that_failed_leaves_the_last_success_and_nothing_else_of_the_run_before() -> None:
    job = (("instance", ""), ("job", "podmedic"))
    with _pushgateway() as address:
        push(
            f"http://{address}", build_registry(rich_report(), api_requests=REQUESTS),
            job="podmedic", timeout_seconds=30,
        )  # fmt: skip
        first = _samples(address)
        push(
            f"http://{address}", build_registry(INTERRUPTED, api_requests={}), job="podmedic",
            timeout_seconds=30,
        )  # fmt: skip
        second = _samples(address)

    assert first[LAST_SUCCESS, job] == second[LAST_SUCCESS, job] == FINISHED.timestamp()
    assert first["podmedic_pods", (*job, ("outcome", "failed"))] == 8
    assert second["podmedic_pods", (*job, ("outcome", "failed"))] == 0
    steps = [key for key in second if key[0] == "podmedic_steps"]
    assert steps == [
        ("podmedic_steps", (*job, ("outcome", "passed"), ("playbook", "other"), ("step", "other")))
    ]
    assert second["push_failure_time_seconds", job] == 0


def test_ten_thousand_pods_arrive_as_few_series() -> None:
    report = large_report(10_000, output_bytes=10)
    with _pushgateway() as address:
        push(
            address, build_registry(report, api_requests=REQUESTS), job="podmedic",
            timeout_seconds=30,
        )  # fmt: skip
        series = _samples(address)

    assert len(series) <= 202  # with the two of the Pushgateway itself
    assert sum(value for (name, _), value in series.items() if name == "podmedic_pods") == 10_000


def test_prometheus_reads_the_rules() -> None:
    said = subprocess.run(
        ["promtool", "check", "rules", ROOT / "deploy/prometheus/podmedic.rules.yaml"],
        capture_output=True, timeout=60, check=False, text=True,
    )  # fmt: skip
    assert (said.returncode, f"{len(ALERTS)} rules found" in said.stdout) == (0, True), said


def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    board = json.loads((ROOT / "deploy/grafana/podmedic.json").read_bytes())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    recorded = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": recorded}]}))

    said = subprocess.run(
        ["promtool", "check", "rules", file],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )

    assert len(queries) >= 15
    assert said.returncode == 0, said.stdout + said.stderr


# What the metrics of a rich report set off, and what those of a run that was cut short do.
RULES_TEST = """
rule_files: [{rules}]
tests:
  - interval: 1m
    input_series:
{series}
    alert_rule_test:
{expected}
"""


def _fires(report: Report, names: set[str], tmp_path: Path) -> None:
    registry = build_registry(report, api_requests={}, failed_sinks=["notify"])
    lines = []
    for family in registry.collect():
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            # As if it had ended when the test's clock starts.
            value = 0 if "timestamp" in sample.name else sample.value
            lines.append(f"      - {{series: '{sample.name}{{{labels}}}', values: '{value}x1800'}}")
    expected = [
        f"      - {{eval_time: 27h, alertname: {alert.name}, exp_alerts: []}}"
        for alert in ALERTS
        if alert.name not in names
    ]
    file = tmp_path / "test.yaml"
    file.write_text(
        RULES_TEST.format(
            rules=ROOT / "deploy/prometheus/podmedic.rules.yaml",
            series="\n".join(lines), expected="\n".join(expected),
        )
    )  # fmt: skip
    said = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, timeout=60, check=False, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
    # And those that are named do fire: with the same expectation of none they fail.
    for name in names:
        one = f"      - {{eval_time: 27h, alertname: {name}, exp_alerts: []}}"
        file.write_text(
            RULES_TEST.format(
                rules=ROOT / "deploy/prometheus/podmedic.rules.yaml",
                series="\n".join(lines), expected=one,
            )
        )  # fmt: skip
        said = subprocess.run(
            ["promtool", "test", "rules", file], capture_output=True, timeout=60, check=False,
            text=True,
        )  # fmt: skip
        assert said.returncode == 1, name
        assert f"alertname: {name}" in said.stdout + said.stderr


def test_alerts_fire_for_what_they_are_for_and_for_nothing_else(tmp_path: Path) -> None:
    _fires(
        rich_report(),
        {
            "PodmedicNotRunRecently", "PodmedicWorkloadsBroken", "PodmedicBlind",
            "PodmedicSinkFailing",
        },
        tmp_path,
    )  # fmt: skip


def test_a_sweep_that_succeeds_hides_none_that_does_not(tmp_path: Path) -> None:
    (alert,) = (each for each in ALERTS if each.name == "PodmedicNotRunRecently")
    file = tmp_path / "test.yaml"
    told = {
        "eval_time": "27h",
        "alertname": alert.name,
        "exp_alerts": [
            {
                "exp_labels": {"severity": alert.severity, "job": "shop"},
                "exp_annotations": {"summary": alert.summary, "description": alert.description},
            }
        ],
    }
    file.write_text(
        RULES_TEST.format(
            rules=ROOT / "deploy/prometheus/podmedic.rules.yaml",
            series=f"""      - {{series: '{LAST_SUCCESS}{{job="shop"}}', values: '0x1800'}}
      - {{series: '{LAST_SUCCESS}{{job="podmedic"}}', values: '0+60x1800'}}""",
            expected=f"      - {json.dumps(told)}",
        )
    )
    said = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, timeout=60, check=False, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
