"""The metrics of a run: what they say, and that they stay few."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from runner.metrics import LAST_SUCCESS, build_registry, write_textfile
from runner.metrics.table import SINKS
from runner.model.report import PlaybookRef, PodOutcome, Report
from runner.report import OutputError, summarize
from tests.unit.report_samples import (
    FINISHED,
    HOSTILE,
    large_report,
    pod,
    report_of,
    rich_report,
    step,
    workload,
)

EXPECTED = """\
podmedic_run_duration_seconds 42.0
podmedic_run_last_completion_timestamp_seconds 1.795403602e+09
podmedic_run_last_success_timestamp_seconds 1.795403602e+09
podmedic_build_info{version="0.1.0"} 1.0
podmedic_pods{outcome="passed"} 4.0
podmedic_pods{outcome="warned"} 2.0
podmedic_pods{outcome="failed"} 8.0
podmedic_pods{outcome="error"} 2.0
podmedic_pods{outcome="timeout"} 1.0
podmedic_pods{outcome="skipped"} 1.0
podmedic_pods{outcome="unknown"} 0.0
podmedic_workloads{verdict="broken"} 2.0
podmedic_workloads{verdict="suspicious"} 2.0
podmedic_workloads{verdict="not-examined"} 2.0
podmedic_workloads{verdict="healthy"} 4.0
podmedic_broken_workloads{namespace="evil"} 0.0
podmedic_broken_workloads{namespace="infra"} 0.0
podmedic_broken_workloads{namespace="shop"} 2.0
podmedic_rules{answer="evaluated"} 38.0
podmedic_rules{answer="not-evaluated"} 2.0
podmedic_findings{playbook="crashloop",severity="critical"} 2.0
podmedic_findings{playbook="crashloop",severity="warning"} 1.0
podmedic_findings{playbook="crashloop",severity="info"} 0.0
podmedic_findings{playbook="triage",severity="critical"} 0.0
podmedic_findings{playbook="triage",severity="warning"} 1.0
podmedic_findings{playbook="triage",severity="info"} 0.0
podmedic_findings{playbook="other",severity="critical"} 0.0
podmedic_findings{playbook="other",severity="warning"} 0.0
podmedic_findings{playbook="other",severity="info"} 0.0
podmedic_not_evaluated{playbook="crashloop"} 1.0
podmedic_not_evaluated{playbook="triage"} 1.0
podmedic_not_evaluated{playbook="other"} 0.0
podmedic_steps{outcome="passed",playbook="crashloop",step="config"} 8.0
podmedic_steps{outcome="failed",playbook="crashloop",step="environment"} 6.0
podmedic_steps{outcome="failed",playbook="crashloop",step="resolve"} 2.0
podmedic_steps{outcome="failed",playbook="crashloop",step="say"} 1.0
podmedic_steps{outcome="passed",playbook="triage",step="memory"} 5.0
podmedic_steps{outcome="passed",playbook="triage",step="sockets"} 1.0
podmedic_container_start_seconds_bucket{le="1.0"} 14.0
podmedic_container_start_seconds_bucket{le="2.0"} 14.0
podmedic_container_start_seconds_bucket{le="5.0"} 14.0
podmedic_container_start_seconds_bucket{le="10.0"} 14.0
podmedic_container_start_seconds_bucket{le="20.0"} 14.0
podmedic_container_start_seconds_bucket{le="30.0"} 14.0
podmedic_container_start_seconds_bucket{le="60.0"} 14.0
podmedic_container_start_seconds_bucket{le="+Inf"} 14.0
podmedic_container_start_seconds_count 14.0
podmedic_container_start_seconds_sum 14.0
podmedic_budget_stops{reason="EphemeralBudget"} 0.0
podmedic_budget_stops{reason="CoolDown"} 0.0
podmedic_budget_stops{reason="MemoryHeadroom"} 0.0
podmedic_budget_stops{reason="Policy"} 0.0
podmedic_budget_stops{reason="BreakerOpen"} 0.0
podmedic_budget_stops{reason="SweepDeadline"} 0.0
podmedic_redactions{rule="password"} 7.0
podmedic_run_alerts{alertname="other"} 0.0
podmedic_api_requests{code="200",verb="list"} 3.0
podmedic_api_requests{code="200",verb="patch"} 16.0
podmedic_api_requests{code="429",verb="patch"} 1.0
podmedic_sink_failures{sink="bundle"} 0.0
podmedic_sink_failures{sink="upload"} 0.0
podmedic_sink_failures{sink="notify"} 1.0
podmedic_sink_failures{sink="events"} 0.0
podmedic_sink_failures{sink="traces"} 0.0
podmedic_sink_failures{sink="pushgateway"} 0.0
"""
REQUESTS = {("patch", "200"): 16, ("list", "200"): 3, ("patch", "429"): 1}


def _series(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def _with_run(report: Report, **values: object) -> Report:
    return msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **values))


def test_the_metrics_of_a_rich_report() -> None:
    registry = build_registry(
        rich_report(),
        api_requests=REQUESTS,
        redactions={"password": 7},
        failed_sinks=["notify"],
    )

    assert "\n".join(_series(registry)) + "\n" == EXPECTED


@pytest.mark.parametrize("how", [{"aborted": "30 % errors"}, {"interrupted": True}])
def test_a_run_that_was_cut_short_is_no_success(how: dict[str, object]) -> None:
    registry = build_registry(_with_run(rich_report(), **how), api_requests=REQUESTS)

    assert registry.get_sample_value(LAST_SUCCESS) is None
    assert registry.get_sample_value("podmedic_run_last_completion_timestamp_seconds")


def test_every_family_has_a_sample_so_that_a_push_replaces_it() -> None:
    """A Pushgateway keeps the old samples of a family that a POST does not name."""
    report = _with_run(report_of(), playbooks=())

    families = list(build_registry(report, api_requests={}).collect())

    assert [family.name for family in families if not family.samples] == []
    assert {family.name for family in families} == {
        family.name for family in build_registry(rich_report(), api_requests=REQUESTS).collect()
    }


NAMES = st.text(min_size=1, max_size=300) | st.sampled_from(HOSTILE)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.lists(NAMES, min_size=100, max_size=150), st.lists(NAMES, min_size=100, max_size=150))
def test_there_are_at_most_200_series(names: list[str], others: list[str]) -> None:
    pods = tuple(
        pod(name, workload(name), PodOutcome.FAILED, steps=(step(other, exit_code=position % 2, playbook=name),))
        for position, (name, other) in enumerate(zip(names, others, strict=False))
    )  # fmt: skip
    playbooks = tuple(PlaybookRef(name=name, source="", sha256="") for name in names)
    report = _with_run(report_of(*pods), playbooks=playbooks, namespaces=tuple(names))
    requests = {(name, "200"): 1 for name in names}

    registry = build_registry(
        report, api_requests=requests, redactions=dict.fromkeys(names, 1), failed_sinks=SINKS
    )

    assert len(_series(registry)) <= 200
    counted = {family.name: family.samples for family in registry.collect()}
    assert sum(sample.value for sample in counted["podmedic_steps"]) == len(pods)
    assert sum(sample.value for sample in counted["podmedic_api_requests"]) == len(requests)


def test_ten_thousand_pods_make_no_more_series_than_one() -> None:
    large, small = large_report(10_000, output_bytes=10), large_report(1, output_bytes=10)

    series = _series(build_registry(large, api_requests=REQUESTS))

    namespaces = 7 - 1  # of the large one
    assert len(series) == len(_series(build_registry(small, api_requests=REQUESTS))) + namespaces
    assert 'podmedic_pods{outcome="failed"} 10000.0' in series
    assert not [line for line in series if "app-" in line or "VARIABLE" in line]


def test_overflow_is_added_up_under_other() -> None:
    steps = tuple(step(f"step-{number:03}", exit_code=number % 2) for number in range(120))
    report = report_of(pod("a-0", workload("a"), PodOutcome.PASSED, steps=steps))
    requests = {(f"verb-{number:02}", "200"): number for number in range(33)}

    series = _series(build_registry(report, api_requests=requests))

    assert 'podmedic_steps{outcome="passed",playbook="other",step="other"} 32.0' in series
    assert 'podmedic_steps{outcome="failed",playbook="other",step="other"} 33.0' in series
    assert 'podmedic_api_requests{code="other",verb="other"} 423.0' in series


def test_a_textfile_keeps_the_last_success_of_the_file_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "podmedic.prom"
    good = build_registry(rich_report(), api_requests=REQUESTS)
    later = _with_run(rich_report(), interrupted=True, finished_at=FINISHED + timedelta(hours=6))

    write_textfile(path, good)
    assert path.read_bytes() == generate_latest(good)
    write_textfile(path, build_registry(later, api_requests=REQUESTS))

    lines = path.read_text().splitlines()
    assert f"{LAST_SUCCESS} 1.795403602e+09" in lines
    assert "podmedic_run_last_completion_timestamp_seconds 1.795425202e+09" in lines
    assert [file.name for file in tmp_path.iterdir()] == ["podmedic.prom"]


@pytest.mark.parametrize("before", [None, b"", b"\xff\x00", b"nonsense {{{", b"a" * 10])
def test_a_textfile_that_cannot_be_read_is_replaced(before: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "podmedic.prom"
    if before is not None:
        path.write_bytes(before)
    cut_short = build_registry(_with_run(rich_report(), interrupted=True), api_requests={})

    write_textfile(path, cut_short)

    assert path.read_bytes() == generate_latest(cut_short)


def test_a_textfile_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=r"^cannot make the directory \S+/file: File exists$"):
        write_textfile(tmp_path / "file" / "a.prom", build_registry(report_of(), api_requests={}))


def test_pods_by_outcome_are_those_of_the_summary() -> None:
    report = rich_report()
    registry = build_registry(report, api_requests={})
    summary = summarize(report.pods, report.findings, report.not_evaluated)

    for outcome, count in summary.outcomes.items():
        assert registry.get_sample_value("podmedic_pods", {"outcome": outcome}) == count
