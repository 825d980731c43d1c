"""Strategy `catch` without a window: a value with a reason, in time."""

import asyncio
from typing import Any

import pytest

from runner.examine.catch import run_catch
from runner.examine.context import Limits
from runner.examine.inject import unreached
from runner.model.pod import Pod
from runner.model.report import PodOutcome, StepOutcome
from runner.plan import PodPlan
from runner.select import Skip
from tests.unit.pods import NOW, crashed_before, pod, waiting
from tests.unit.turns import context, hub_of, plan_of

FAILED = "failed to create containerd task: OCI runtime create failed: runc create failed"
STARTING = "unable to start container process"
GONE = "namespace path: lstat /proc/216810/ns/pid: no such file or directory"
PLAYBOOK = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  debugger: {image: "web:1", strategy: [catch, shared]}
  steps:
    - {name: who, run: [ls, /proc/1], needs: {target: true}}
"""
CRASHED = pod(
    waiting(
        "CrashLoopBackOff", lastState=crashed_before(), imageID="web@sha256:aa", restartCount=4
    ),
    container={"image": "web:1"},
)


def caught(given: Pod, catch_seconds: float) -> tuple[Any, PodPlan]:
    plan = plan_of(given, PLAYBOOK)
    hub = hub_of(given)

    async def run() -> Any:
        ctx = context(hub, limits=Limits(catch_seconds=catch_seconds))
        return await run_catch(ctx, plan, plan.injections[0], 1)

    return asyncio.run(run()), plan


def test_no_window_before_the_deadline_is_a_value_with_a_reason() -> None:
    """Nothing was sent; the next strategy may be tried."""
    result, plan = caught(CRASHED, 0.05)
    assert plan.injections[0].choice.strategy == "catch"
    assert result.injections == ()
    (window,) = result.windows
    assert (window.outcome, window.reason, window.message, window.unreached) == (
        PodOutcome.TIMEOUT,
        "NoRunningWindow",
        "container app was not started within 0 s",
        True,
    )
    (step,) = result.injected.steps
    assert (step.name, step.outcome, step.reason) == (
        "who",
        StepOutcome.NOT_EVALUATED,
        "NoRunningWindow",
    )


def test_a_window_is_waited_for_in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be over before changes that are gathered arrive."""
    plan, hub, urgent = plan_of(CRASHED, PLAYBOOK), hub_of(CRASHED), []
    changed = hub.changed

    async def watched(uid: str, timeout_seconds: float, *, is_urgent: bool = False) -> bool:
        urgent.append(is_urgent)
        return await changed(uid, timeout_seconds, is_urgent=is_urgent)

    monkeypatch.setattr(hub, "changed", watched)
    ctx = context(hub, limits=Limits(catch_seconds=0.01))
    asyncio.run(run_catch(ctx, plan, plan.injections[0], 1))

    assert urgent == [True]


def test_a_pod_that_is_being_deleted_is_not_waited_for() -> None:
    gone = pod(
        waiting("CrashLoopBackOff", lastState=crashed_before(), imageID="web@sha256:aa"),
        metadata={"deletionTimestamp": NOW.isoformat()},
    )
    plan = plan_of(CRASHED, PLAYBOOK)
    hub = hub_of(gone)
    result = asyncio.run(run_catch(context(hub), plan, plan.injections[0], 1))
    assert (result.injected.outcome, result.injected.reason) == (PodOutcome.UNKNOWN, "Terminating")
    assert not result.injected.unreached


async def test_the_breaker_ends_the_waiting_for_a_window() -> None:
    """Minutes before the window that it waits for, in which nothing may be sent any more."""
    plan = plan_of(CRASHED, PLAYBOOK)
    hub = hub_of(CRASHED)
    opened: list[Skip] = []
    ctx = context(hub, stopped=lambda: opened[0] if opened else None)
    waits = asyncio.create_task(run_catch(ctx, plan, plan.injections[0], 1))
    await asyncio.sleep(0)
    assert not waits.done()
    opened.append(Skip("BreakerOpen", "shop/web-7 changed"))
    hub.wake()
    async with asyncio.timeout(5):
        result = await waits
    assert result.injections == ()
    told = result.injected
    assert (told.outcome, told.reason, told.message, told.unreached) == (
        PodOutcome.SKIPPED,
        "BreakerOpen",
        "shop/web-7 changed",
        False,
    )


@pytest.mark.parametrize(
    ("strategy", "message", "told"),
    [
        ("target", f"{FAILED}: unable to create new parent process: {GONE}: unknown", True),
        ("target", 'failed to start containerd task "6bf5": cannot start a stopped process', True),
        ("target", f"{FAILED}: {STARTING}: can't get final child's PID from pipe: EOF", True),
        ("target", f"{FAILED}: {STARTING}: error during container init: %!w(<nil>): unknown", True),
        ("catch", 'invalid target container: container "e9a1" is not running', True),
        # Our own command, not the target.
        ("target", f'{FAILED}: {STARTING}: exec: "nosuch": executable file not found', False),
        ("shared", f"{FAILED}: {STARTING}: can't get final child's PID from pipe: EOF", False),
    ],
)
def test_s19_a_target_that_ended_before_ours_began_is_told_by_the_runtimes_words(
    strategy: str, message: str, *, told: bool
) -> None:
    """As containerd 1.6 and runc 1.1 say it: another strategy may still reach the pod."""
    assert unreached(strategy, message) is told
