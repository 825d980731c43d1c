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
        self._taken: dict[str, str] = {}

    def began(self, pods: Iterable[Pod]) -> None:
        """As they were listed."""
        for pod in pods:
            self.on_pod(pod, gone=False)

    def on_pod(self, pod: Pod, gone: bool) -> None:
        uid, namespace = pod.metadata.uid, pod.metadata.namespace
        now = self._now()
        until = None if gone else at_work(pod, now, self._run_id)
        if until is not None:
            if uid not in self._taken:
                seconds = (until - now).total_seconds()
                asyncio.get_running_loop().call_later(seconds, self._tired_of, uid)
            self._taken[uid] = namespace
            self._scheduler.taken(self._candidate(pod))
        elif uid in self._taken:
            self._left(uid)

    def on_relist(self, scope: Scope, uids: frozenset[str]) -> None:
        for uid, namespace in tuple(self._taken.items()):
            if scope.namespace in (None, namespace) and uid not in uids:
                self._left(uid)

    def _tired_of(self, uid: str) -> None:
        if uid in self._taken:
            self._left(uid)

    def _left(self, uid: str) -> None:
        del self._taken[uid]
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
