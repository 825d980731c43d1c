"""Events on owners, made in a real API server and read as kubectl shows them. No pod is started."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.handle import Lab
from runner.kube import KubeCluster, connect
from runner.model.report import Finding, Severity
from runner.model.subject import Workload
from runner.sweep.owner_events import MOST, tell_owners
from tests.lab import podmedic as pm
from tests.unit.test_compare import F, finding, run, web

NOW = datetime(2026, 11, 24, 3, 12, 40, 120, tzinfo=UTC)


@pytest.fixture
async def cluster(lab: Lab) -> AsyncIterator[KubeCluster]:
    async with await connect(kubeconfig=str(lab.kubeconfig)) as connected:
        yield connected


def _finding(namespace: str, kind: str = "Deployment", name: str = "web", **values: Any) -> Finding:
    owner = Workload(kind=kind, namespace=namespace, name=name)
    return finding(workload=owner, fingerprint=f"fp-{kind.lower()}-{name}", **values)


async def test_a_cause_has_one_event_however_often_it_is_found(
    lab: Lab, cluster: KubeCluster, namespace: str
) -> None:
    pm.apply(lab, namespace, pm.deployment("web", "exit 1", replicas=0))
    found = [
        _finding(namespace, message="exits because LEDGER_URL is not set \x1b[31m" + "ä" * 2000),
        _finding(namespace, kind="Rollout", name="api", pods=()),
        _finding(namespace, name="slow", severity=Severity.WARNING),
    ]
    report = run(0, [web(F)], found)

    for _ in range(3):
        said = await tell_owners(cluster.objects, report, found, "https://r.example/{run}", NOW)
        assert said == []

    events = json.loads(
        lab.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", "json",
                    "--field-selector", "reason=DiagnosticsFailed")
    )["items"]  # fmt: skip
    by_name = {each["metadata"]["name"]: each for each in events}
    assert set(by_name) == {"podmedic-fp-deployment-web", "podmedic-fp-rollout-api"}
    event = by_name["podmedic-fp-deployment-web"]
    assert event["series"]["count"] == 3
    assert event["reportingInstance"] == "run-0"
    assert len(event["note"].encode()) <= 1024
    assert event["note"].endswith(" https://r.example/run-0")
    described = lab.kubectl("describe", "deployment", "web", "-n", namespace)
    assert "exits because LEDGER_URL is not set ^[[31m" in described
    assert "\x1b" not in described


async def test_at_most_so_many_at_a_time(cluster: KubeCluster, namespace: str) -> None:
    found = [_finding(namespace, name=f"web-{number}", pods=()) for number in range(MOST + 2)]
    said = await tell_owners(cluster.objects, run(0, [web(F)], found), found, "", NOW)
    assert said == [f"events: {MOST} of {MOST + 2} critical findings have one"]


async def test_what_may_not_be_written_is_said_once(lab: Lab, namespace: str) -> None:
    user = f"system:serviceaccount:{namespace}:default"
    async with await connect(kubeconfig=str(lab.kubeconfig), impersonate=user) as poor:
        found = [_finding(namespace), _finding(namespace, name="api")]
        [said, *others] = await tell_owners(poor.objects, run(0, [web(F)], found), found, "", NOW)
    assert said.startswith("events: ")
    assert "events.k8s.io" in said or "forbidden" in said.lower()
    assert len(others) <= 1
