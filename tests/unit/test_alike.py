"""What the API server refuses to one pod is not tried on others of its kind."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from runner.cluster import ErrorReason
from runner.examine import Examined, pod_result
from runner.model.examination import Examination
from runner.model.report import PodOutcome, StrategyAttempt, StrategyOutcome
from runner.plan import PodPlan
from runner.sweep.alike import Alike
from runner.sweep.plans import will_inject
from tests.unit.pods import replica
from tests.unit.turns import plan_of

WHY = "admission webhook says no"


def three() -> list[PodPlan]:
    return [plan_of(replica(name)) for name in ("web-5-a", "web-5-b", "web-5-c")]


def examined(
    plan: PodPlan, reason: ErrorReason, *, strategy: str = "shared", container: str = ""
) -> Examined:
    tried = StrategyAttempt(strategy=strategy, outcome=StrategyOutcome.FAILED)
    result = pod_result(plan, PodOutcome.ERROR, reason.value, WHY, container=container)
    return Examined(
        plan=plan,
        examination=Examination(pod=plan.pod, workload=plan.workload),
        result=msgspec.structs.replace(result, strategies=(tried,)),
    )


async def test_the_others_wait_for_the_word_and_are_not_tried() -> None:
    """Nor does the first one count as one that failed: it was what the pod is."""
    first, *others = three()
    alike = Alike([first, *others], "r1")
    assert await alike.allowed(first) == first
    waiting = [asyncio.create_task(alike.allowed(each)) for each in others]
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, False]

    one = alike.ended(examined(first, ErrorReason.ADMISSION))
    assert not will_inject(one.plan)
    for task in waiting:
        (injection,) = (await task).injections
        assert injection.impossible
        assert (injection.choice.reason, injection.choice.message) == ("AdmissionRefused", WHY)


async def test_an_accepted_one_lets_the_others_go() -> None:
    first, *others = three()
    alike = Alike([first, *others], "r1")
    await alike.allowed(first)
    waiting = [asyncio.create_task(alike.allowed(each)) for each in others]
    alike.accepted(first.pod.metadata.uid)
    assert [await task for task in waiting] == others
    one = examined(first, ErrorReason.ADMISSION)
    assert alike.ended(one) == one


@pytest.mark.parametrize(
    ("reason", "strategy", "container"),
    [
        # That the server did not answer says nothing of the others.
        (ErrorReason.UNREACHABLE, "shared", ""),
        # The pod was another one by then.
        (ErrorReason.ADMISSION, "target", ""),
        # A container was sent, and something else was refused.
        (ErrorReason.FORBIDDEN, "shared", "podmedic-x-1"),
    ],
)
async def test_what_concerns_one_pod_alone(
    reason: ErrorReason, strategy: str, container: str
) -> None:
    first, second, _ = plans = three()
    alike = Alike(plans, "r1")
    await alike.allowed(first)
    one = examined(first, reason, strategy=strategy, container=container)
    assert alike.ended(one) == one
    assert await alike.allowed(second) == second


async def test_pods_of_other_kinds_wait_for_nobody() -> None:
    first, second, _ = three()
    other = replace(second, target="sidecar")
    alike = Alike([first, other], "r1")
    assert await alike.allowed(first) == first
    alike.ended(examined(first, ErrorReason.ADMISSION))
    assert await alike.allowed(other) == other
