"""The end of a target that took our container with it, as far as the API still knows it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from runner.cluster import ClusterError, ErrorReason, Scope
from runner.examine import Context, examine_pod
from runner.examine.catch import Caught
from runner.examine.classify import Stage
from runner.examine.context import Limits
from runner.examine.ending import TargetEnd, shared_end
from runner.examine.inject import Injected, wait_for
from runner.model.pod import ContainerStatus, Pod
from runner.model.report import Injection, PodOutcome, StepOutcome, StepResult
from runner.plan import InjectionPlan, PodPlan
from tests.unit.pods import NOW, ago, pod, running, terminated
from tests.unit.turns import context, hub_of, plan_of

ENDED = {"exitCode": 3, "reason": "Error"}


def life(began: float, ended: float) -> dict[str, Any]:
    times = {"startedAt": ago(seconds=began), "finishedAt": ago(seconds=ended)}
    return {"terminated": ENDED | times}


def alive(began: float) -> dict[str, Any]:
    return {"running": {"startedAt": ago(seconds=began)}}


@pytest.mark.parametrize(
    ("state", "last_state", "found"),
    [
        (life(70, 61), {}, TargetEnd(3, "Error")),
        (alive(40), life(70, 59), TargetEnd(3, "Error")),
        # Two lives later: the API has forgotten the one that we shared.
        (alive(20), life(40, 30), TargetEnd()),
        (life(40, 30), {}, TargetEnd()),
        # It was not the target: that lives, or died before ours began.
        (alive(90), {}, None),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, life(100, 90), None),
    ],
)
def test_the_life_that_ours_ended_with(
    state: dict[str, Any], last_state: dict[str, Any], found: TargetEnd | None
) -> None:
    value = {"name": "app", "state": state, "lastState": last_state}
    status = msgspec.convert(value, ContainerStatus)
    assert shared_end(status, NOW - timedelta(seconds=60)) == found


def test_the_next_way_is_chosen_by_what_the_pod_is_once_the_target_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The runtime said first that there is nobody to enter; the status came after it."""
    subject = pod(running())
    text = PLAYBOOK.replace("[target]", "[target, catch]")
    plan = plan_of(subject, text)
    hub = hub_of(subject)
    dead = pod({"state": life(60, 0), "containerID": "containerd://1", "restartCount": 1})

    async def lost(*_: object) -> Injected:
        asyncio.get_running_loop().call_later(0.05, hub.seen, dead)
        return Injected(
            injection=None, steps=(), outcome=PodOutcome.ERROR, reason="RunContainerError",
            unreached=True,
        )  # fmt: skip

    async def caught(*_: object) -> Caught:
        done = StepResult(playbook="probe", name="who", outcome=StepOutcome.PASSED)
        return Caught(Injected(injection=None, steps=(done,)), (), ())

    monkeypatch.setattr("runner.examine.pod.run_injection", lost)
    monkeypatch.setattr("runner.examine.pod.run_catch", caught)
    examined = asyncio.run(examine_pod(context(hub), plan, with_logs=False))
    assert examined.result.outcome is PodOutcome.PASSED


PLAYBOOK = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  debugger: {image: "web:1", strategy: [target]}
  steps:
    - {name: who, run: [ls, /proc/1], needs: {target: true}}
"""


@pytest.mark.parametrize(("reused", "tries"), [(True, [1, 2]), (False, [1])])
def test_what_an_earlier_process_sent_was_not_this_ones_try(
    monkeypatch: pytest.MonkeyPatch, *, reused: bool, tries: list[int]
) -> None:
    """The target died with it, and lives again: then it is entered once more, by a new name."""
    subject = pod(running())
    plan = plan_of(subject, PLAYBOOK)
    hub = hub_of(subject)
    numbers: list[int] = []

    async def sent(_: Context, __: PodPlan, one: InjectionPlan, number: int) -> Injected:
        numbers.append(number)
        died = number == 1
        injection = Injection(
            container=f"c-{number}", image="web:1", strategy=one.choice.strategy,
            reused=reused and died, started_at=NOW,
        )  # fmt: skip
        answer = StepOutcome.ERROR if died else StepOutcome.PASSED
        return Injected(
            injection=injection,
            steps=(StepResult(playbook="probe", name="who", outcome=answer),),
            outcome=PodOutcome.UNKNOWN if died else None,
            target_died=died,
        )

    monkeypatch.setattr("runner.examine.pod.run_injection", sent)
    examined = asyncio.run(examine_pod(context(hub), plan, with_logs=False))
    assert numbers == tries
    assert examined.result.outcome is (PodOutcome.PASSED if reused else PodOutcome.UNKNOWN)


@pytest.mark.parametrize(
    ("by_then", "reason"),
    [
        (pod(terminated(0), phase="Succeeded"), "Finished"),
        (pod(running(), metadata={"deletionTimestamp": ago(seconds=1)}), "PodGone"),
    ],
)
def test_a_pod_that_ended_before_its_turn_gets_nothing(by_then: Pod, reason: str) -> None:
    """The API server would take the container: any request, and any line of the journal, fails."""
    text = PLAYBOOK.replace("[target]", "[target, shared]")
    plan = plan_of(pod(running()), text)
    hub = hub_of(by_then)
    result = asyncio.run(examine_pod(context(hub), plan, with_logs=False)).result
    assert (result.outcome, result.reason) == (PodOutcome.UNKNOWN, reason)
    assert result.injections == ()
    assert [(s.outcome, s.reason) for s in result.steps] == [(StepOutcome.NOT_EVALUATED, reason)]


class _Silent:
    """A cluster whose watch says nothing; a LIST is answered with these, in order."""

    def __init__(self, *answers: Pod | ClusterError | None) -> None:
        self._answers = list(answers)

    async def list_pods(self, scope: Scope) -> AsyncIterator[tuple[list[Pod], str]]:
        assert scope == Scope(namespace="shop", field_selector="metadata.name=web-1")
        answer = self._answers.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        yield [] if answer is None else [answer], "9"


def _with_ours(**state: Any) -> Pod:
    status = {"name": "c-1", "state": state}
    return pod(running(), metadata={"resourceVersion": "9"}, status={
        "ephemeralContainerStatuses": [status]
    })  # fmt: skip


BEGUN = _with_ours(running={"startedAt": ago(seconds=1)})
DONE = _with_ours(terminated={"exitCode": 0, "reason": "Completed"})
AWAY = ClusterError(ErrorReason.UNREACHABLE, "connection refused")


@pytest.mark.parametrize(
    ("answers", "stage"),
    [
        ([DONE], Stage.ENDED),
        ([BEGUN, DONE], Stage.ENDED),
        ([BEGUN, BEGUN], Stage.RUNNING),
        ([None], Stage.POD_ENDED),
        ([pod(running())], Stage.WAITING),
        ([AWAY], Stage.WAITING),
    ],
)
async def test_s31_what_a_silent_watch_did_not_say_is_asked_for_before_it_is_given_up(
    answers: list[Pod | ClusterError | None], stage: Stage
) -> None:
    """The API server was away for longer than the container may take to start."""
    limits = Limits(start_seconds=0.01, grace_seconds=0)
    ctx = context(hub_of(pod(running())), cluster=_Silent(*answers), limits=limits)
    verdict = await wait_for(ctx, "u1", "c-1", 1, deadline_seconds=0.01)
    assert verdict.stage is stage
