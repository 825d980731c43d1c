"""Other runs of podmedic at work in pods that we look at: one at a time in a pod, and all of them
within the bounds of each."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from runner.budget import Candidate, Scheduler
from runner.cluster import Scope
from runner.debt import at_work
from runner.model.pod import Pod
from runner.select import condition_status, workload_of
from runner.sweep.readiness import Budgets, workload_key


class Others:
    """Hears every pod of the sweep's watches; `news` is called when one of ours may go."""

    def __init__(
        self, run_id: str, budgets: Budgets, scheduler: Scheduler, news: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._run_id = run_id
        self._budgets = budgets
        self._scheduler = scheduler
        self._news = news
        self._now = now
        self._taken: dict[str, Pod] = {}
        self._looks: dict[str, asyncio.TimerHandle] = {}
        # By the pod's uid and the container's name.
        self._first_seen: dict[tuple[str, str], datetime] = {}

    def began(self, pods: Iterable[Pod]) -> None:
        """As they were listed."""
        for pod in pods:
            self.on_pod(pod, gone=False)

    def until(self, pod: Pod) -> datetime | None:
        """Until when, at most, another run is at work in the pod; None where none is."""
        uid, now = pod.metadata.uid, self._now()
        return at_work(
            pod, now, self._run_id,
            first_seen=lambda name: self._first_seen.setdefault((uid, name), now),
        )  # fmt: skip

    def on_pod(self, pod: Pod, gone: bool) -> None:
        uid = pod.metadata.uid
        until = None if gone else self.until(pod)
        if until is None:
            self._left(uid)
            return
        if uid not in self._taken:
            self._scheduler.taken(self._candidate(pod))
        self._taken[uid] = pod
        if uid in self._looks:
            self._looks[uid].cancel()
        seconds = (until - self._now()).total_seconds()
        loop = asyncio.get_running_loop()
        self._looks[uid] = loop.call_later(seconds, self._look_again, uid)

    def on_relist(self, scope: Scope, uids: frozenset[str]) -> None:
        for uid, pod in tuple(self._taken.items()):
            if scope.namespace in (None, pod.metadata.namespace) and uid not in uids:
                self._left(uid)

    def _look_again(self, uid: str) -> None:
        self.on_pod(self._taken[uid], gone=False)

    def _left(self, uid: str) -> None:
        if self._taken.pop(uid, None) is not None:
            self._looks.pop(uid).cancel()
            if self._scheduler.left(uid):
                self._news()

    def _candidate(self, pod: Pod) -> Candidate:
        meta = pod.metadata
        return Candidate(
            uid=meta.uid,
            namespace=meta.namespace,
            node=pod.spec.node_name,
            workload=workload_key(workload_of(pod)),
            pool="",
            ready=condition_status(pod, "Ready") == "True",
            budgets=self._budgets.over(meta.namespace, meta.labels),
        )
