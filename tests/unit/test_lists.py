"""What is LISTed in several namespaces is asked for at once, and told as if one by one."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from runner.cluster import Cluster, ClusterError, ErrorReason
from runner.examine.context import Redact
from runner.model.examination import TargetCondition
from runner.model.pod import Event
from runner.model.subject import Workload
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.playbook.reading import made
from runner.sweep.configuration import list_configuration_changes
from runner.sweep.events import list_events
from runner.sweep.revisions import list_changes
from tests.unit.pods import crashed_before, pod, waiting

NAMESPACES = ("cellar", "mine", "shop")
DENIED = ("mine", "shop")


class Together:
    """A cluster that answers none of `count` LISTs before it was asked for all of them."""

    def __init__(self, count: int) -> None:
        self.objects = self
        self.asked: list[tuple[str, str | None]] = []
        self._all = asyncio.Barrier(count)

    async def list(
        self, resource: Any, namespace: str | None, as_: Any, **_: object
    ) -> Sequence[Any]:
        await self._answer(resource.plural, namespace)
        return ()

    async def list_events(self, namespace: str | None, _: str) -> tuple[Sequence[Event], str]:
        await self._answer("events", namespace)
        about = {"kind": "Pod", "uid": f"uid-{namespace}"}
        event = {"metadata": {"name": "e"}, "involvedObject": about}
        return [msgspec.convert(event, Event)], f"at-{namespace}"

    async def _answer(self, what: str, namespace: str | None) -> None:
        self.asked.append((what, namespace))
        async with asyncio.timeout(10):
            await self._all.wait()
        if namespace in DENIED:
            raise ClusterError(ErrorReason.FORBIDDEN, "no")


def plan(namespace: str, kind: str = "Deployment") -> PodPlan:
    """Of a pod that crash loops, uses a ConfigMap, and whose playbook asks what changed."""
    document = {
        "apiVersion": "podmedic.io/v1alpha1", "kind": "Playbook", "metadata": {"name": "probe"},
        "spec": {"steps": [{"name": "look", "run": ["true"]}], "evidence": {"changes": True}},
    }  # fmt: skip
    sick = waiting("CrashLoopBackOff", restartCount=3, lastState=crashed_before())
    uses = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
    return PodPlan(
        pod=pod(sick, metadata={"namespace": namespace}, container=uses),
        playbooks=(made(Playbook, document),),
        workload=Workload(kind=kind, namespace=namespace, name="web"),
        target="app",
        conditions=(TargetCondition.CRASH_LOOP_BACK_OFF,),
    )


async def test_events() -> None:
    cluster = Together(3)
    found = await list_events(cast(Cluster, cluster), NAMESPACES)
    assert cluster.asked == [("events", name) for name in NAMESPACES]
    assert found.versions == [("cellar", "at-cellar")]
    assert [*found.by_uid] == ["uid-cellar"]
    assert found.unknown == "forbidden: list events"


async def test_config_maps() -> None:
    cluster = Together(3)
    plans = [plan(name) for name in reversed(NAMESPACES)]
    found = await list_configuration_changes(cast(Cluster, cluster), plans)
    assert cluster.asked == [("configmaps", name) for name in NAMESPACES]
    assert found == ((), "forbidden: list configmaps")


async def test_revisions() -> None:
    cluster = Together(4)
    plans = [*(plan(name) for name in NAMESPACES), plan("shop", "StatefulSet")]
    found = await list_changes(cast(Cluster, cluster), plans, (), cast(Redact, None))
    assert cluster.asked == [
        *(("replicasets", name) for name in NAMESPACES), ("controllerrevisions", "shop"),
    ]  # fmt: skip
    assert found == (
        (), "forbidden: list replicasets.apps; forbidden: list controllerrevisions.apps",
    )  # fmt: skip
