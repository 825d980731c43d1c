"""Events: one LIST for each namespace, or one for all of them."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence

from runner.cluster import Cluster, ClusterError
from runner.model.pod import Event, Pod

_OF_PODS = "involvedObject.kind=Pod"
_OF_CLAIMS = "involvedObject.kind=PersistentVolumeClaim"
# Above this many namespaces one request for all is cheaper than one for each.
MAX_NAMESPACES = 10
# Of a longer list the rest is left out (runner.cluster): what is not in it may yet be there.
_MOST = 5000


class EventLists:
    """Events by pod uid, those about anything else, where all of both are known, where to watch on
    from, and what was refused."""

    def __init__(self) -> None:
        self.by_uid: dict[str, list[Event]] = {}
        self.others: list[Event] = []
        self.whole: set[str | None] = set()
        self.versions: list[tuple[str | None, str]] = []
        self.unknown = ""

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.involved_object.kind == "Pod":
                self.by_uid.setdefault(event.involved_object.uid, []).append(event)
            else:
                self.others.append(event)

    def covers(self, namespace: str | None) -> bool:
        return None in self.whole or namespace in self.whole

    def warned(self, kinds: Collection[str]) -> set[str]:
        """The namespaces with a warning about an object of one of these kinds."""
        return {
            event.involved_object.namespace
            for event in self.others
            if event.type == "Warning" and event.involved_object.kind in kinds
        }


def to_list(namespaces: Iterable[str]) -> Sequence[str | None]:
    """Where to LIST what these namespaces have: in each, or, where that is cheaper, in all at
    once (None)."""
    named = sorted(set(namespaces))
    return named if len(named) <= MAX_NAMESPACES else [None]


async def list_all_events(cluster: Cluster, namespaces: Sequence[str | None]) -> EventLists:
    """About whatever there is. Where there are too many, those of pods have to be listed for
    themselves; where they may not be listed, `list_events` will say so."""
    found = EventLists()

    async def read(scope: str | None) -> tuple[Sequence[Event], str] | None:
        try:
            events, version = await cluster.list_events(scope)
        except ClusterError:
            return None
        return (events, version) if len(events) < _MOST else None

    scopes = [None] if None in namespaces else to_list(n for n in namespaces if n is not None)
    for scope, answer in zip(scopes, await asyncio.gather(*map(read, scopes)), strict=True):
        if answer is not None:
            found.whole.add(scope)
            found.add(answer[0])
            found.versions.append((scope, answer[1]))
    return found


async def list_events(
    cluster: Cluster,
    namespaces: Sequence[str],
    pods: Iterable[Pod] = (),
    found: EventLists | None = None,
) -> EventLists:
    """What is `found` already, and the events of pods of the namespaces that it does not cover.
    Those of `pods` that wait for their volumes have the events of their claims, too."""
    found = found or EventLists()
    named = set(namespaces)
    found.versions = [each for each in found.versions if each[0] is None or each[0] in named]

    async def read(namespace: str | None) -> tuple[Sequence[Event], str] | ClusterError:
        try:
            return await cluster.list_events(namespace, _OF_PODS)
        except ClusterError as error:
            return error

    scopes = to_list(name for name in namespaces if not found.covers(name))
    answers = await asyncio.gather(*map(read, scopes))
    for namespace, answer in zip(scopes, answers, strict=True):
        if isinstance(answer, ClusterError):
            found.unknown = answer.why_unknown("list events")
            continue
        events, version = answer
        found.add(event for event in events if not found.covers(event.involved_object.namespace))
        found.versions.append((namespace, version))
    if namespaces:
        await _add_claim_events(cluster, pods, found)
    return found


async def _add_claim_events(cluster: Cluster, pods: Iterable[Pod], found: EventLists) -> None:
    """Why a claim gets no volume is told of the claim, not of the pod that waits for it."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for pod in pods:
        for claim in _claims_waited_for(pod):
            waiting.setdefault((pod.metadata.namespace, claim), []).append(pod.metadata.uid)
    told = [e for e in found.others if e.involved_object.kind == "PersistentVolumeClaim"]
    for namespace in to_list(name for name, _ in waiting if not found.covers(name)):
        try:
            events, _ = await cluster.list_events(namespace, _OF_CLAIMS)
        except ClusterError as error:
            found.unknown = error.why_unknown("list events")
            continue
        told += (e for e in events if not found.covers(e.involved_object.namespace))
    for event in told:
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
