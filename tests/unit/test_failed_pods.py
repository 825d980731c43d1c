"""Failed pods that are examined though nothing can be started in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from runner.model.objects import Controller, Objects
from runner.model.pod import (
    Container,
    ContainerState,
    ContainerStatus,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    StateTerminated,
)
from runner.model.subject import Workload
from runner.plan import PodPlan
from runner.select import Skip
from runner.sweep.objects import with_failed_pods

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
OVER = Skip("Finished", "its containers have ended")
SET = OwnerReference(kind="ReplicaSet", name="web-5d9c7", uid="uid-set", controller=True)
JOB = OwnerReference(kind="Job", name="load", uid="uid-job", controller=True)


def plan(
    name: str,
    *owners: OwnerReference,
    reason: str = "",
    phase: str = "Failed",
    minutes_ago: int = 5,
) -> PodPlan:
    ended = StateTerminated(exit_code=1, finished_at=NOW - timedelta(minutes=minutes_ago))
    status = ContainerStatus(name="app", state=ContainerState(terminated=ended))
    return PodPlan(
        pod=Pod(
            metadata=ObjectMeta(
                name=name,
                namespace="shop",
                uid=f"uid-{name}",
                owner_references=owners,
                creation_timestamp=NOW - timedelta(minutes=minutes_ago, hours=9),
            ),
            spec=PodSpec(containers=(Container(name="app"),)),
            status=PodStatus(phase=phase, reason=reason, container_statuses=(status,)),
        ),
        playbooks=(),
        workload=Workload(kind="Pod", namespace="shop", name=name),
        target="app",
        conditions=(),
        skip=OVER,
    )


def given_up(*kinds: str) -> Objects:
    failed = PodCondition(type="Failed", status="True", reason="BackoffLimitExceeded")
    controller = Controller(metadata=ObjectMeta(name="load", namespace="shop", uid="uid-job"))
    status = type(controller.status)(conditions=(failed,))
    return Objects(
        controllers=tuple(
            Controller(metadata=controller.metadata, status=status, kind=kind) for kind in kinds
        )
    )


@pytest.mark.parametrize(
    ("plans", "objects", "examined"),
    [
        ([plan("smoke")], Objects(), ["smoke"]),
        ([plan("smoke", phase="Succeeded")], Objects(), []),
        ([plan("web-1", SET)], Objects(), []),
        ([plan("web-1", SET, reason="NodeShutdown")], Objects(), []),
        ([plan("web-1", SET, reason="Evicted", minutes_ago=61)], Objects(), []),
        (
            [
                plan("web-1", SET, reason="Evicted", minutes_ago=9),
                plan("web-2", SET, reason="Evicted", minutes_ago=2),
            ],
            Objects(),
            ["web-2"],
        ),
        ([plan("web-1", SET, reason="SysctlForbidden", minutes_ago=2)], Objects(), ["web-1"]),
        ([plan("load-1", JOB), plan("load-2", JOB, minutes_ago=1)], given_up("Job"), ["load-2"]),
        ([plan("load-1", JOB)], Objects(), []),
    ],
)
def test_which_are_examined(
    plans: Sequence[PodPlan], objects: Objects, examined: Sequence[str]
) -> None:
    """They are looked at as the API shows them, and count as held back."""
    found = with_failed_pods(plans, objects, NOW)
    assert [each.pod.metadata.name for each in found if each.skip is None] == examined
    assert all(each.held_back == OVER for each in found if each.skip is None)
    assert [each.pod for each in found] == [each.pod for each in plans]
