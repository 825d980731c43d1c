"""How much memory pods use, where the metrics API may be read: what is short of it gets nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.model.base import Value
from runner.model.pod import ObjectMeta
from runner.model.quantity import quantity_bytes
from runner.permissions import METRICS
from runner.plan import InjectionPlan, PodPlan, hold_back, left_in
from runner.preflight import memory_limit_bytes, too_tight
from runner.select import Skip
from runner.sweep.events import MAX_NAMESPACES

_PODS = Resource(plural=METRICS.resource, group=METRICS.group, version="v1beta1")
# An aggregated API that is down is asked again and again; a sweep does not wait for that.
_ANSWER_SECONDS = 5.0


class _Container(Value, frozen=True, kw_only=True):
    usage: dict[str, str] = msgspec.field(default_factory=dict)


class _PodMetrics(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    containers: tuple[_Container, ...] = ()


class MemoryUse(NamedTuple):
    """Bytes by namespace and name of the pod, and why there are none of some."""

    bytes: Mapping[tuple[str, str], int]
    unknown: str = ""

    def of(self, plan: PodPlan) -> int | None:
        return self.bytes.get((plan.pod.metadata.namespace, plan.pod.metadata.name))


NOT_ASKED = MemoryUse({})


def _enters(injection: InjectionPlan) -> bool:
    """A copy of the pod has memory of its own."""
    return bool(injection.steps) and injection.choice.strategy != "copy"


async def list_usage(cluster: Cluster, plans: Sequence[PodPlan]) -> MemoryUse:
    """Of the namespaces where a pod with a limit is to be entered. Asked first, so that a Role that
    leaves it out causes no refusals in anybody's audit log."""
    limited = sorted(
        {
            plan.pod.metadata.namespace
            for plan in plans
            if any(map(_enters, plan.injections)) and memory_limit_bytes(plan.pod) is not None
        }
    )
    if not limited:
        return NOT_ASKED
    found: dict[tuple[str, str], int] = {}
    unknown = ""
    try:
        granted = await _granted(cluster, limited)
        if granted != [None] and len(granted) < len(limited):
            unknown = f"forbidden: list {METRICS.resource}.{METRICS.group}"
        async with asyncio.timeout(_ANSWER_SECONDS):
            for namespace in granted:
                for pod in await cluster.objects.list(_PODS, namespace, _PodMetrics):
                    found[pod.metadata.namespace, pod.metadata.name] = sum(
                        quantity_bytes(c.usage.get("memory", "")) or 0 for c in pod.containers
                    )
    except TimeoutError:
        unknown = "the metrics API does not answer"
    except ClusterError as error:
        absent = error.status == 404
        unknown = "the cluster has no metrics API" if absent else error.message
    return MemoryUse(found, unknown and f"memory in use: {unknown}")


async def _granted(cluster: Cluster, namespaces: Sequence[str]) -> Sequence[str | None]:
    """Where they may be listed: in all namespaces at once, if that is cheaper."""

    def question(namespace: str | None) -> Access:
        return Access(
            verb="list", resource=METRICS.resource, group=METRICS.group, namespace=namespace
        )

    if len(namespaces) > MAX_NAMESPACES and not await cluster.denied([question(None)]):
        return [None]
    denied = {each.namespace for each in await cluster.denied([*map(question, namespaces)])}
    return [namespace for namespace in namespaces if namespace not in denied]


def with_headroom(
    plans: Sequence[PodPlan], use: MemoryUse, now: datetime, run_id: str
) -> tuple[PodPlan, ...]:
    """The same plans, with those held back whose pods have too little memory left for a container
    to start in. One that is there already is looked after."""

    def judged(plan: PodPlan) -> PodPlan:
        why = too_tight(plan.pod, use.of(plan), now)
        if not why:
            return plan
        if any(_enters(i) and left_in(plan, i, run_id) is None for i in plan.injections):
            return hold_back(plan, Skip("MemoryHeadroom", why))
        copies = (i if _enters(i) else replace(i, fallback=()) for i in plan.injections)
        return replace(plan, injections=tuple(copies))

    return tuple(map(judged, plans))
