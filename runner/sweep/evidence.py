"""What is read once for many pods: events per namespace, app logs of a few replicas."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from runner.cluster import Cluster, ClusterError
from runner.model.examination import Examination, LogExcerpt
from runner.model.pod import Event, Pod
from runner.model.report import Workload
from runner.plan import PodPlan
from runner.select import app_statuses, is_healthy

_EVENTS_OF_PODS = "involvedObject.kind=Pod"
_EVENTS_OF_CLAIMS = "involvedObject.kind=PersistentVolumeClaim"
# Above this many namespaces one request for all is cheaper than one for each.
MAX_NAMESPACES = 10


class EventLists:
    """Events by pod uid, where to watch on from, and what was refused."""

    def __init__(self) -> None:
        self.by_uid: dict[str, list[Event]] = {}
        self.versions: list[tuple[str | None, str]] = []
        self.unknown = ""


def to_list(namespaces: Iterable[str]) -> Sequence[str | None]:
    """Where to LIST what these namespaces have: in each, or, where that is cheaper, in all at
    once (None)."""
    named = sorted(set(namespaces))
    return named if len(named) <= MAX_NAMESPACES else [None]


async def list_events(
    cluster: Cluster, namespaces: Sequence[str], pods: Iterable[Pod] = ()
) -> EventLists:
    """Those of `pods` that wait for their volumes have the events of their claims, too."""
    found = EventLists()

    async def read(namespace: str | None) -> tuple[Sequence[Event], str] | ClusterError:
        try:
            return await cluster.list_events(namespace, _EVENTS_OF_PODS)
        except ClusterError as error:
            return error

    scopes = to_list(namespaces)
    answers = await asyncio.gather(*map(read, scopes))
    for namespace, answer in zip(scopes, answers, strict=True):
        if isinstance(answer, ClusterError):
            found.unknown = answer.why_unknown("list events")
            continue
        events, version = answer
        found.versions.append((namespace, version))
        for event in events:
            found.by_uid.setdefault(event.involved_object.uid, []).append(event)
    if namespaces:
        await _add_claim_events(cluster, pods, found)
    return found


async def _add_claim_events(cluster: Cluster, pods: Iterable[Pod], found: EventLists) -> None:
    """Why a claim gets no volume is told of the claim, not of the pod that waits for it."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for pod in pods:
        for claim in _claims_waited_for(pod):
            waiting.setdefault((pod.metadata.namespace, claim), []).append(pod.metadata.uid)
    for namespace in to_list(namespace for namespace, _ in waiting):
        try:
            events, _ = await cluster.list_events(namespace, _EVENTS_OF_CLAIMS)
        except ClusterError as error:
            found.unknown = error.why_unknown("list events")
            continue
        for event in events:
            about = event.involved_object
            for uid in waiting.get((about.namespace, about.name), ()):
                found.by_uid.setdefault(uid, []).append(event)


def _claims_waited_for(pod: Pod) -> Iterator[str]:
    if pod.status.phase != "Pending" or pod.spec.node_name:
        return
    for volume in pod.spec.volumes:
        name = (volume.persistent_volume_claim or {}).get("claimName")
        if isinstance(name, str):
            yield name


def _alike(pod: Pod, workload: Workload, target: str) -> tuple[object, ...]:
    """Equal for replicas that may share a log: same workload and container, ended the same way."""
    # Replicas of a StatefulSet have their own volumes and names, and so their own causes.
    own = pod.metadata.name if workload.kind == "StatefulSet" else ""
    key = (workload.namespace, workload.kind, workload.name, target, own)
    for status, _ in app_statuses(pod):
        if status.name == target:
            ended = status.state.terminated or status.last_state.terminated
            waiting = status.state.waiting.reason if status.state.waiting is not None else ""
            how = (ended.exit_code, ended.reason) if ended is not None else (waiting,)
            return (*key, *how)
    return key


def _alike_to(one: Examination) -> tuple[object, ...]:
    return _alike(one.pod, one.workload, one.target_container)


def choose_for_logs(plans: Sequence[PodPlan]) -> frozenset[str]:
    """Uids of the pods whose app log is read: of each workload, container and way of ending the
    first few. Replicas that end alike do so for the same cause, and a request per pod is dear."""
    chosen: set[str] = set()
    taken: Counter[tuple[object, ...]] = Counter()
    for plan in plans:
        per_owner = max((p.spec.evidence.logs.per_owner for p in plan.playbooks), default=0)
        # A healthy replica's log says nothing of how the others end.
        key = (*_alike(plan.pod, plan.workload, plan.target), is_healthy(plan.conditions))
        if taken[key] < per_owner:
            taken[key] += 1
            chosen.add(plan.pod.metadata.uid)
    return frozenset(chosen)


def share_logs(examinations: Sequence[Examination]) -> list[Examination]:
    """Give replicas whose log was not read the log of one that ended in the same way."""
    read: dict[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]] = {}
    for one in examinations:
        if one.logs and not is_healthy(one.conditions):
            read.setdefault(_alike_to(one), (one.pod.metadata.name, one.logs))
    return [_with_log(one, read) for one in examinations]


def _with_log(
    one: Examination, read: Mapping[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]]
) -> Examination:
    source = read.get(_alike_to(one))
    if one.logs or source is None or is_healthy(one.conditions):
        return one
    name, logs = source
    borrowed = tuple(msgspec.structs.replace(log, read_from=name) for log in logs)
    return msgspec.structs.replace(one, logs=borrowed)
