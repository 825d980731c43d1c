"""Budgets hold at every instant, and every pod gets exactly one result whatever happens."""

import asyncio
from collections import Counter, defaultdict

import pytest

from runner.cluster import ClusterError, ErrorReason
from runner.examine import Examined
from runner.model.report import PodOutcome
from runner.plan import PodPlan
from runner.select import workload_of
from runner.sweep.pool import Cut, Tally, run_pool, without_examination
from runner.sweep.settings import Budget
from tests.unit.pods import pod, running


def plan(number: int, node: str = "node1") -> PodPlan:
    given = pod(
        running(), metadata={"name": f"p{number}", "uid": f"u{number}"}, spec={"nodeName": node}
    )
    return PodPlan(
        pod=given, playbooks=(), workload=workload_of(given), target="app", conditions=()
    )


def done(one: PodPlan) -> Examined:
    return without_examination(one, PodOutcome.PASSED, "", "")


def tally() -> Tally:
    return Tally(lambda _: None)


async def test_never_more_than_allowed() -> None:
    now: Counter[str] = Counter()
    most: dict[str, int] = defaultdict(int)

    async def examine(one: PodPlan) -> Examined:
        for key in ("all", one.pod.spec.node_name):
            now[key] += 1
            most[key] = max(most[key], now[key])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for key in ("all", one.pod.spec.node_name):
            now[key] -= 1
        return done(one)

    plans = [plan(i, f"node{i % 3}") for i in range(60)]
    budget = Budget(max_in_flight=5, max_per_node=2)
    results, cut = await run_pool(plans, examine, budget, tally(), asyncio.Event())

    assert cut is None
    assert [r.result.name for r in results] == [f"p{i}" for i in range(60)]
    assert most["all"] == 5
    assert {most[f"node{i}"] for i in range(3)} == {2}


async def test_interrupt_leaves_a_result_for_each() -> None:
    """Finished ones keep theirs; injected ones are unknown and name the container; the rest
    were skipped."""
    stop = asyncio.Event()
    count = tally()

    async def examine(one: PodPlan) -> Examined:
        if one.pod.metadata.name == "p1":
            count.containers["u1"] = "podmedic-x-1"
            stop.set()
            await asyncio.Event().wait()
        return done(one)

    budget = Budget(max_in_flight=1, max_per_node=0)
    results, cut = await run_pool([plan(i) for i in range(3)], examine, budget, count, stop)

    assert cut is not None
    assert cut.reason == "Interrupted"
    assert [(r.result.outcome, r.result.container) for r in results] == [
        (PodOutcome.PASSED, ""),
        (PodOutcome.UNKNOWN, "podmedic-x-1"),
        (PodOutcome.SKIPPED, ""),
    ]


async def test_deadline_of_the_sweep() -> None:
    async def examine(one: PodPlan) -> Examined:
        await asyncio.Event().wait()
        return done(one)

    budget = Budget(timeout_seconds=0.01)
    results, cut = await run_pool([plan(1)], examine, budget, tally(), asyncio.Event())

    assert cut == Cut("SweepDeadline", "the sweep's deadline passed")
    assert results[0].result.reason == "SweepDeadline"


async def test_a_lost_cluster_ends_the_sweep_with_a_report() -> None:
    async def examine(one: PodPlan) -> Examined:
        raise ClusterError(ErrorReason.UNREACHABLE, "the API server is gone")

    results, cut = await run_pool([plan(1)], examine, Budget(), tally(), asyncio.Event())

    assert cut == Cut("ClusterLost", "the cluster was lost: the API server is gone")
    assert (results[0].result.outcome, results[0].result.reason) == (
        PodOutcome.SKIPPED,
        "ClusterLost",
    )


async def test_a_bug_costs_one_pod(caplog: pytest.LogCaptureFixture) -> None:
    async def examine(one: PodPlan) -> Examined:
        if one.pod.metadata.name == "p0":
            raise ValueError("oops")
        return done(one)

    results, cut = await run_pool([plan(0), plan(1)], examine, Budget(), tally(), asyncio.Event())

    assert cut is None
    assert [(r.result.outcome, r.result.reason) for r in results] == [
        (PodOutcome.ERROR, "InternalError"),
        (PodOutcome.PASSED, ""),
    ]
    assert "bug while examining p0" in caplog.text
