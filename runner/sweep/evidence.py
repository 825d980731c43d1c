"""What is read once for many pods: events per namespace, app logs of a few replicas."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from runner.cluster import Cluster, ClusterError, ErrorReason
from runner.examine import Examined
from runner.model.examination import LogExcerpt, TargetCondition
from runner.model.pod import Event
from runner.plan import PodPlan

_EVENTS_OF_PODS = "involvedObject.kind=Pod"
# Above this many namespaces one request for all is cheaper than one for each.
_MAX_NAMESPACES = 10
HEALTHY = frozenset({TargetCondition.READY, TargetCondition.RUNNING})


class EventLists:
    """Events by pod uid, where to watch on from, and what was refused."""

    def __init__(self) -> None:
        self.by_uid: dict[str, list[Event]] = {}
        self.versions: list[tuple[str | None, str]] = []
        self.unknown = ""


async def list_events(cluster: Cluster, namespaces: Sequence[str]) -> EventLists:
    found = EventLists()
    asked: Iterable[str | None] = namespaces if len(namespaces) <= _MAX_NAMESPACES else [None]
    for namespace in asked:
        try:
            events, version = await cluster.list_events(namespace, _EVENTS_OF_PODS)
        except ClusterError as error:
            forbidden = error.reason is ErrorReason.FORBIDDEN
            found.unknown = "forbidden: list events" if forbidden else error.message
            continue
        found.versions.append((namespace, version))
        for event in events:
            found.by_uid.setdefault(event.involved_object.uid, []).append(event)
    return found


def _logs_key(plan: PodPlan) -> tuple[str, str, str, str]:
    workload = plan.workload
    return workload.namespace, workload.kind, workload.name, plan.target


def choose_for_logs(plans: Sequence[PodPlan]) -> frozenset[str]:
    """Uids of the pods whose app log is read: per workload and container the first few that are
    not healthy. Replicas die of the same cause, and a request per pod is dear."""
    chosen: set[str] = set()
    taken: dict[tuple[str, str, str, str], int] = {}
    for plan in plans:
        per_owner = max((p.spec.evidence.logs.per_owner for p in plan.playbooks), default=0)
        if HEALTHY.issuperset(plan.conditions) or plan.skip is not None:
            continue
        key = _logs_key(plan)
        if taken.get(key, 0) < per_owner:
            taken[key] = taken.get(key, 0) + 1
            chosen.add(plan.pod.metadata.uid)
    return frozenset(chosen)


def _how_it_ended(examined: Examined) -> tuple[object, ...]:
    """Two replicas may share a log only if their containers ended the same way."""
    for container in examined.result.containers:
        if container.name == examined.plan.target:
            return container.exit_code, container.reason == "OOMKilled"
    return ()


def share_logs(examined: Sequence[Examined]) -> list[Examined]:
    """Give replicas whose log was not read the log of one that ended in the same way."""
    read: dict[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]] = {}
    for one in examined:
        if one.examination.logs:
            key = (*_logs_key(one.plan), *_how_it_ended(one))
            read.setdefault(key, (one.plan.pod.metadata.name, one.examination.logs))
    shared: list[Examined] = []
    for one in examined:
        source = read.get((*_logs_key(one.plan), *_how_it_ended(one)))
        healthy = HEALTHY.issuperset(one.plan.conditions)
        if one.examination.logs or source is None or healthy:
            shared.append(one)
            continue
        name, logs = source
        borrowed = tuple(msgspec.structs.replace(log, read_from=name) for log in logs)
        examination = msgspec.structs.replace(one.examination, logs=borrowed)
        shared.append(replace(one, examination=examination))
    return shared
