"""What is read once for many pods: events per namespace, app logs of a few replicas."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from runner.cluster import Cluster, ClusterError, ErrorReason
from runner.examine import Examined
from runner.model.examination import LogExcerpt, TargetCondition
from runner.model.pod import Event
from runner.plan import PodPlan
from runner.select import app_statuses

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


def _alike(plan: PodPlan) -> tuple[object, ...]:
    """Equal for replicas that may share a log: same workload and container, ended the same way."""
    workload = plan.workload
    # Replicas of a StatefulSet have their own volumes and names, and so their own causes.
    own = plan.pod.metadata.name if workload.kind == "StatefulSet" else ""
    key = (workload.namespace, workload.kind, workload.name, plan.target, own)
    for status, _ in app_statuses(plan.pod):
        if status.name == plan.target:
            ended = status.state.terminated or status.last_state.terminated
            waiting = status.state.waiting.reason if status.state.waiting is not None else ""
            how = (ended.exit_code, ended.reason) if ended is not None else (waiting,)
            return (*key, *how)
    return key


def _is_healthy(plan: PodPlan) -> bool:
    return HEALTHY.issuperset(plan.conditions)


def choose_for_logs(plans: Sequence[PodPlan]) -> frozenset[str]:
    """Uids of the pods whose app log is read: of each workload, container and way of ending the
    first few. Replicas that end alike do so for the same cause, and a request per pod is dear."""
    chosen: set[str] = set()
    taken: Counter[tuple[object, ...]] = Counter()
    for plan in plans:
        per_owner = max((p.spec.evidence.logs.per_owner for p in plan.playbooks), default=0)
        # A healthy replica's log says nothing of how the others end.
        key = (*_alike(plan), _is_healthy(plan))
        if taken[key] < per_owner:
            taken[key] += 1
            chosen.add(plan.pod.metadata.uid)
    return frozenset(chosen)


def share_logs(examined: Sequence[Examined]) -> list[Examined]:
    """Give replicas whose log was not read the log of one that ended in the same way."""
    read: dict[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]] = {}
    for one in examined:
        if one.examination.logs and not _is_healthy(one.plan):
            read.setdefault(_alike(one.plan), (one.plan.pod.metadata.name, one.examination.logs))
    return [_with_log(one, read) for one in examined]


def _with_log(
    one: Examined, read: Mapping[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]]
) -> Examined:
    source = read.get(_alike(one.plan))
    if one.examination.logs or source is None or _is_healthy(one.plan):
        return one
    name, logs = source
    borrowed = tuple(msgspec.structs.replace(log, read_from=name) for log in logs)
    return replace(one, examination=msgspec.structs.replace(one.examination, logs=borrowed))
