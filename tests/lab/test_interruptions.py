"""Ended in the middle: what was seen is kept, and nothing is injected twice."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.waiting import until

SLEEP = pm.SLEEP
PODS = 6
# All replicas at once, which a sweep by default never does.
TOGETHER = ("--max-per-workload=0", "--no-canary")


def journal_events(directory: Path, event: str) -> list[dict[str, str]]:
    path = directory / "journal.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [v for v in map(json.loads, lines) if v["event"] == event]


def wait_injected(
    lab: Lab, namespace: str, process: subprocess.Popen[str], directory: Path, count: int
) -> None:
    """Until so many containers are in pods: the journal has them before they are asked for, and a
    run that ends in between has touched none."""

    def are_there() -> bool:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        if len(journal_events(directory, "injecting")) < count:
            return False
        carried = pm.ephemeral_containers(lab, namespace).values()
        return sum(map(len, carried)) >= count

    until(are_there, f"fewer than {count} containers are injected", every_seconds=0.05)


@pytest.fixture
def shop(lab: Lab, namespace: str) -> str:
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=PODS))
    pm.wait_ready(lab, namespace, "web")
    return namespace


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A playbook whose one step takes long enough to be interrupted."""
    return pm.playbook(
        tmp_path, [{"name": "slow", "script": "sleep 8; echo done", "timeoutSeconds": 30}]
    )


def test_sigterm_leaves_a_partial_report(lab: Lab, shop: str, slow: Path, tmp_path: Path) -> None:
    """Within five seconds, with every selected pod in it, and nothing injected afterwards."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, slow, *TOGETHER, "--max-in-flight=3", directory=out)
    wait_injected(lab, shop, process, out, 3)
    started = time.monotonic()
    # A terminal and a wrapper that both hand it on do not take the report away.
    process.send_signal(signal.SIGINT)
    code, _, stderr = pm.kill(process, signal.SIGTERM)
    took_seconds = time.monotonic() - started
    report = json.loads((out / "report.json").read_bytes())

    assert code == 2, stderr
    assert stderr.endswith(
        f"podmedic: `podmedic resume {out}` examines the 6 pods that are missing\n"
    )
    assert took_seconds < 5
    assert report["run"]["interrupted"] is True
    assert len(report["pods"]) == PODS
    outcomes = sorted((p["outcome"], bool(p["container"])) for p in report["pods"])
    assert outcomes == [("skipped", False)] * 3 + [("unknown", True)] * 3
    # The signal may come between the journal and the request: what is in a pod is in the report.
    injected = {c for found in pm.ephemeral_containers(lab, shop).values() for c in found}
    assert injected <= {p["container"] for p in report["pods"]}


def test_s03_sigkill_then_the_same_command_again(
    lab: Lab, shop: str, slow: Path, tmp_path: Path
) -> None:
    """The second run finds the containers of the first, injects only what is missing, and
    collects the results of all."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, slow, *TOGETHER, "--max-in-flight=3", directory=out)
    wait_injected(lab, shop, process, out, 3)
    pm.kill(process, signal.SIGKILL)
    assert not (out / "report.json").exists()

    outcome = pm.run(lab, shop, slow, *TOGETHER, "--max-in-flight=3", directory=out)
    report = outcome.report
    assert outcome.code == 0, outcome.stderr
    assert report["run"]["resumed"] is True
    assert [p["outcome"] for p in report["pods"]] == ["passed"] * PODS
    assert {p["steps"][0]["stdout"] for p in report["pods"]} == {"done\n"}
    containers = pm.ephemeral_containers(lab, shop)
    assert {name: len(found) for name, found in containers.items()} == dict.fromkeys(containers, 1)

    # A run that has finished is not taken up again: this is new work.
    again = pm.run(lab, shop, slow, *TOGETHER, directory=out)
    assert again.report["run"]["resumed"] is False
    assert again.report["run"]["id"] != report["run"]["id"]


def test_s23_a_deleted_pod_is_said(lab: Lab, shop: str, slow: Path, tmp_path: Path) -> None:
    """A pod that goes away meanwhile ends as unknown, not as passed; the others are not held up."""
    out = tmp_path / "out"
    process = pm.start_run(lab, shop, slow, *TOGETHER, directory=out)
    wait_injected(lab, shop, process, out, PODS)
    (name, *_) = pm.ephemeral_containers(lab, shop)
    lab.kubectl("delete", "pod", name, "-n", shop, "--wait=false", "--grace-period=1")
    process.communicate(timeout=90)
    report = json.loads((out / "report.json").read_bytes())
    by_name = {p["name"]: p for p in report["pods"]}

    assert by_name.pop(name)["outcome"] == "unknown"
    assert {p["outcome"] for p in by_name.values()} == {"passed"}


def test_an_idle_cluster_is_left_by_its_own_deadline(
    lab: Lab, shop: str, slow: Path, tmp_path: Path
) -> None:
    """--timeout ends the sweep with a report and exit code 3."""
    outcome = pm.run(lab, shop, slow, *TOGETHER, "--timeout=3", directory=tmp_path / "out")
    assert outcome.code == 3
    assert {p["outcome"] for p in outcome.report["pods"]} == {"timeout"}
    assert {p["reason"] for p in outcome.report["pods"]} == {"SweepDeadline"}
