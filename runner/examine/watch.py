"""One watch per scope for all pods of a sweep: never a request per pod."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence

from runner.cluster import Cluster, ClusterError, Scope
from runner.model.pod import Event, Pod

# The kubelet itself drops events after 25 per pod.
MAX_EVENTS_PER_POD = 64
# Where so many pods are waited for, their changes are gathered for a moment. The last ones of a
# sweep are not kept waiting.
_MANY_WAITERS = 16


def newer(one: Pod, other: Pod) -> Pod:
    def version(pod: Pod) -> tuple[int, str]:
        text = pod.metadata.resource_version
        return len(text), text

    return one if version(one) >= version(other) else other


class _Entry:
    __slots__ = ("changed", "events", "gone", "pod")

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.gone = False
        self.events: list[Event] = []
        self.changed = asyncio.Event()


class PodHub:
    """The latest known view of each tracked pod; one task per pod may wait for its changes.

    Others may hear of every pod in the scopes, tracked or not (`hears`)."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._entries: dict[str, _Entry] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters = 0
        self._urgent = 0
        self.failure: ClusterError | None = None
        self._on_pod: list[Callable[[Pod, bool], None]] = []
        self._on_relist: list[Callable[[Scope, frozenset[str]], None]] = []

    def hears(
        self,
        on_pod: Callable[[Pod, bool], None],
        on_relist: Callable[[Scope, frozenset[str]], None],
    ) -> None:
        """`on_pod` is told each pod that changes, and whether it is gone; after a relist
        `on_relist` which uids are left in a scope."""
        self._on_pod.append(on_pod)
        self._on_relist.append(on_relist)

    def track(self, pod: Pod, events: Iterable[Event] = ()) -> None:
        entry = _Entry(pod)
        entry.events.extend(events)
        self._entries[pod.metadata.uid] = entry

    def start(self, scopes: Sequence[tuple[Scope, str]]) -> None:
        """Follow each scope from its resourceVersion."""
        for scope, resource_version in scopes:
            self._spawn(self._follow_pods(scope, resource_version))

    def start_events(self, namespaces: Sequence[tuple[str | None, str]]) -> None:
        """Events say within half a second what the status says within a minute."""
        for namespace, resource_version in namespaces:
            self._spawn(self._follow_events(namespace, resource_version))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def latest(self, uid: str) -> Pod:
        return self._entries[uid].pod

    def gone(self, uid: str) -> bool:
        return self._entries[uid].gone

    def events(self, uid: str) -> Sequence[Event]:
        return self._entries[uid].events

    def seen(self, pod: Pod) -> None:
        """Take in a newer view that came another way, such as the answer to a PATCH.

        A watch event may have overtaken the answer: its status must not be forgotten again.
        """
        entry = self._entries[pod.metadata.uid]
        if pod.metadata.generation >= entry.pod.metadata.generation and not (
            entry.pod.metadata.generation == pod.metadata.generation
            and entry.pod.status.ephemeral_container_statuses
        ):
            entry.pod = pod
            entry.changed.set()

    def read(self, uid: str, pod: Pod | None) -> None:
        """Take in what a LIST of our own said, None if the pod is no more."""
        entry = self._entries[uid]
        entry.gone = entry.gone or pod is None
        if pod is not None:
            entry.pod = newer(pod, entry.pod)

    def wake(self) -> None:
        """Whoever waits for a change looks again: what else it goes by has changed."""
        for entry in self._entries.values():
            entry.changed.set()

    async def changed(self, uid: str, timeout_seconds: float, *, is_urgent: bool = False) -> bool:
        """Wait for the next change of a pod; False when the time passed without one. An urgent one
        is not to be late by a fraction of a second."""
        entry = self._entries[uid]
        self._waiters += 1
        self._urgent += is_urgent
        try:
            async with asyncio.timeout(timeout_seconds):
                await entry.changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiters -= 1
            self._urgent -= is_urgent
        entry.changed.clear()
        if self.failure is not None:
            raise self.failure
        return True

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(coroutine))

    async def _follow_pods(self, scope: Scope, resource_version: str) -> None:
        try:
            async for event in self._cluster.watch_pods(
                scope, resource_version, may_wait=self._may_wait
            ):
                if event.type == "sync":
                    self._mark_missing(scope, event.uids)
                    for told in self._on_relist:
                        told(scope, event.uids)
                elif event.pod is not None:
                    self._take(event.pod, gone=event.type == "deleted")
                    for tell in self._on_pod:
                        tell(event.pod, event.type == "deleted")
        except ClusterError as error:
            # Everyone who waits would wait in vain.
            self.failure = error
            self.wake()

    async def _follow_events(self, namespace: str | None, resource_version: str) -> None:
        try:
            async for event in self._cluster.watch_events(namespace, resource_version):
                entry = self._entries.get(event.involved_object.uid)
                if entry is not None and len(entry.events) < MAX_EVENTS_PER_POD:
                    entry.events.append(event)
                    entry.changed.set()
        except ClusterError:
            # Events only make failures visible sooner; the status says them later.
            return

    def _may_wait(self) -> bool:
        return self._waiters >= _MANY_WAITERS and not self._urgent

    def _take(self, pod: Pod, *, gone: bool) -> None:
        entry = self._entries.get(pod.metadata.uid)
        if entry is not None:
            entry.pod = pod
            entry.gone = gone
            entry.changed.set()

    def _mark_missing(self, scope: Scope, uids: frozenset[str]) -> None:
        for uid, entry in self._entries.items():
            in_scope = scope.namespace in (None, entry.pod.metadata.namespace)
            if in_scope and not entry.gone and uid not in uids:
                entry.gone = True
                entry.changed.set()
