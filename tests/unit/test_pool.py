"""Budgets hold at every instant, and every pod gets exactly one result whatever happens."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from runner.budget import Candidate, Limits, Scheduler, Standing
from runner.cluster import ClusterError, ErrorReason
from runner.examine import Examined
from runner.model.harm import Change, Harm, HarmVerdict
from runner.model.report import Injection, PodOutcome
from runner.plan import PodPlan
from runner.select import workload_of
from runner.sweep.pool import Acts, Cut, Stop, Tally, run_pool, without_examination
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


LIFTED = Limits(in_flight=0, per_node=0, per_workload=0, canary=False)


async def hold_back(one: PodPlan, reason: str, message: str) -> Examined:
    return without_examination(one, PodOutcome.SKIPPED, reason, message)


async def run(
    plans: Sequence[PodPlan],
    examine: Callable[[PodPlan], Awaitable[Examined]],
    limits: Limits = LIFTED,
    budget: Budget | None = None,
    count: Tally | None = None,
    stop: Stop | None = None,
) -> tuple[list[Examined], Cut | None]:
    candidates = [
        Candidate(
            uid=one.pod.metadata.uid, namespace="shop", node=one.pod.spec.node_name, workload="w",
            pool="tools:1", ready=True,
        )
        for one in plans
    ]  # fmt: skip
    scheduler = Scheduler(limits, candidates, ready={c.uid: Standing("w") for c in candidates})
    acts = Acts(examine=examine, hold_back=hold_back)
    return await run_pool(
        plans, acts, scheduler, budget or Budget(), count or tally(), stop or Stop()
    )


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
    limits = Limits(in_flight=5, per_node=2, per_workload=0, canary=False)
    results, cut = await run(plans, examine, limits)

    assert cut is None
    assert [r.result.name for r in results] == [f"p{i}" for i in range(60)]
    assert most["all"] == 5
    assert {most[f"node{i}"] for i in range(3)} == {2}


async def test_interrupt_leaves_a_result_for_each() -> None:
    """Finished ones keep theirs; injected ones are unknown and name the container; the rest
    were skipped."""
    stop = Stop()
    count = tally()

    async def examine(one: PodPlan) -> Examined:
        if one.pod.metadata.name == "p1":
            count.containers["u1"] = "podmedic-x-1"
            stop.set()
            await asyncio.Event().wait()
        return done(one)

    limits = Limits(in_flight=1, per_node=0)
    results, cut = await run([plan(i) for i in range(3)], examine, limits, count=count, stop=stop)

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

    results, cut = await run([plan(1)], examine, budget=Budget(timeout_seconds=0.01))

    assert cut == Cut("SweepDeadline", "the sweep's deadline passed")
    assert results[0].result.reason == "SweepDeadline"


async def test_a_lost_cluster_ends_the_sweep_with_a_report() -> None:
    async def examine(one: PodPlan) -> Examined:
        raise ClusterError(ErrorReason.UNREACHABLE, "the API server is gone")

    results, cut = await run([plan(1)], examine)

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

    results, cut = await run([plan(0), plan(1)], examine)

    assert cut is None
    assert [(r.result.outcome, r.result.reason) for r in results] == [
        (PodOutcome.ERROR, "InternalError"),
        (PodOutcome.PASSED, ""),
    ]
    assert "bug while examining p0" in caplog.text


INJECTION = Injection(container="podmedic-x-1", image="tools:1")
CHANGED = Harm(
    verdict=HarmVerdict.CHANGED,
    changes=(
        Change(what="container app", before="running and ready", after="gone", expected=False),
    ),
)


async def test_a_canary_that_does_not_start_saves_the_others() -> None:
    """They keep a result each, which says which pod it was and why."""
    asked: list[str] = []

    async def examine(one: PodPlan) -> Examined:
        asked.append(one.pod.metadata.name)
        seen = without_examination(one, PodOutcome.ERROR, "ErrImagePull", "not found")
        injected = msgspec.structs.replace(seen.result, injections=(INJECTION,))
        return Examined(plan=one, examination=seen.examination, result=injected)

    results, cut = await run([plan(i) for i in range(4)], examine, Limits())

    assert asked == ["p0"]
    assert cut is None
    assert [(r.result.outcome, r.result.reason) for r in results] == [
        (PodOutcome.ERROR, "ErrImagePull"),
        *[(PodOutcome.SKIPPED, "CanaryFailed")] * 3,
    ]
    assert results[1].result.message == "shop/p0: ErrImagePull: not found"


async def test_the_canary_opens_the_way_when_it_runs_not_when_it_ends() -> None:
    count, both = tally(), asyncio.Event()
    asked: list[str] = []

    async def examine(one: PodPlan) -> Examined:
        asked.append(one.pod.metadata.name)
        count.of_pod(one.pod.metadata.uid, "running")
        if len(asked) == 2:
            both.set()
        async with asyncio.timeout(5):
            await both.wait()
        return done(one)

    results, _ = await run([plan(0), plan(1)], examine, Limits(per_workload=0), count=count)

    assert [r.result.outcome for r in results] == [PodOutcome.PASSED] * 2


async def test_an_app_that_changed_stops_the_sweep() -> None:
    """No further pod is injected; the report says whose app it was."""

    async def examine(one: PodPlan) -> Examined:
        seen = done(one)
        harmed = msgspec.structs.replace(seen.result, injections=(INJECTION,), harm=CHANGED)
        return Examined(plan=one, examination=seen.examination, result=harmed)

    results, cut = await run([plan(i) for i in range(3)], examine, Limits(in_flight=1))

    why = "shop/p0 changed while it was examined: container app was running and ready, now gone"
    assert cut == Cut("BreakerOpen", f"no further pod was touched: {why}")
    assert [(r.result.outcome, r.result.reason) for r in results] == [
        (PodOutcome.PASSED, ""),
        *[(PodOutcome.SKIPPED, "BreakerOpen")] * 2,
    ]


async def test_who_still_waits_to_send_something_is_woken_when_the_breaker_opens() -> None:
    woken, woke = asyncio.Event(), []

    async def examine(one: PodPlan) -> Examined:
        seen = done(one)
        if one.pod.metadata.name == "p1":
            async with asyncio.timeout(5):
                await woken.wait()
            return seen
        harmed = msgspec.structs.replace(seen.result, injections=(INJECTION,), harm=CHANGED)
        return Examined(plan=one, examination=seen.examination, result=harmed)

    def wake() -> None:
        woke.append(1)
        woken.set()

    plans = [plan(0), plan(1)]
    candidates = [
        Candidate(
            uid=one.pod.metadata.uid, namespace="shop", node="n", workload="w", pool="", ready=True
        )
        for one in plans
    ]  # fmt: skip
    scheduler = Scheduler(LIFTED, candidates, ready={})
    acts = Acts(examine=examine, hold_back=hold_back, wake=wake)
    _, cut = await run_pool(plans, acts, scheduler, Budget(), tally(), Stop())
    assert cut is not None
    assert (cut.reason, woke) == ("BreakerOpen", [1])


async def test_a_lost_lease_is_no_interruption() -> None:
    """The first reason counts, whatever comes after it."""
    stop = Stop()

    async def examine(one: PodPlan) -> Examined:
        stop.because(Cut("LeaseLost", "lease shop/x was lost: it is held by b"))
        stop.because(Cut("Interrupted", "the run was interrupted"))
        await asyncio.Event().wait()
        return done(one)

    results, cut = await run([plan(1)], examine, stop=stop)

    assert cut == Cut("LeaseLost", "lease shop/x was lost: it is held by b")
    assert [(r.result.outcome, r.result.reason) for r in results] == [
        (PodOutcome.SKIPPED, "LeaseLost")
    ]


RACED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to create new parent process: namespace path: lstat /proc/7/ns/pid: no "
    "such file or directory: unknown"
)


@pytest.mark.parametrize(
    ("reason", "message", "restarted", "examined"),
    [
        ("RunContainerError", RACED, True, 20),
        ("NoRunningWindow", "container app was not started within 370 s", True, 20),
        # Every app runs: it is the runtime that fails.
        ("RunContainerError", RACED, False, 1),
        ("ErrImagePull", "not found", True, 1),
    ],
)
async def test_apps_that_live_too_short_to_be_entered_hold_nobody_back(
    reason: str, message: str, *, restarted: bool, examined: int
) -> None:
    tried: list[str] = []
    change = Change(what="restarts of container app", before="1", after="2", expected=True)

    async def examine(one: PodPlan) -> Examined:
        tried.append(one.pod.metadata.name)
        bad = without_examination(one, PodOutcome.ERROR, reason, message)
        result = msgspec.structs.replace(
            bad.result,
            strategy="catch",
            injections=(Injection(container="c", image="tools:1", strategy="catch"),),
            harm=Harm(verdict=HarmVerdict.UNCHANGED, changes=(change,) if restarted else ()),
        )
        return Examined(plan=one, examination=bad.examination, result=result)

    limits = Limits(in_flight=1, per_node=0, per_workload=0, canary=True)
    await run([plan(i) for i in range(20)], examine, limits)

    assert len(tried) == examined
