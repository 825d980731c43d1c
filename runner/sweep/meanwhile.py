"""Apps that end while they are examined: the breaker hears of it when it happens, not when the
examination is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from runner.budget import Scheduler
from runner.cluster import Scope
from runner.examine.harm import of_containers
from runner.model.harm import Harm, HarmVerdict
from runner.model.pod import Pod
from runner.plan import PodPlan
from runner.sweep.pool import Tally, tell_harm


class Meanwhile:
    """Hears every pod of the sweep's watches. Readiness is left to the proof at the end: it may
    come back."""

    def __init__(self, scheduler: Scheduler, tally: Tally, now: Callable[[], datetime]) -> None:
        self._scheduler = scheduler
        self._tally = tally
        self._now = now
        self._examined: dict[str, tuple[PodPlan, Pod, datetime]] = {}

    @contextmanager
    def examined(self, plan: PodPlan, before: Pod, since: datetime) -> Iterator[None]:
        uid = plan.pod.metadata.uid
        self._examined[uid] = plan, before, since
        try:
            yield
        finally:
            del self._examined[uid]

    def on_pod(self, pod: Pod, gone: bool) -> None:
        uid = pod.metadata.uid
        # Before anything of ours is in it, it is not for us that it ends.
        if uid not in self._examined or uid not in self._tally.entered:
            return
        if gone or pod.metadata.deletion_timestamp is not None:
            return
        plan, before, since = self._examined[uid]
        elapsed_seconds = (self._now() - since).total_seconds()
        found = of_containers(before, pod, at=since, elapsed_seconds=elapsed_seconds)
        harm = Harm(verdict=HarmVerdict.CHANGED, changes=found)
        if tell_harm(plan, harm, self._scheduler):
            self._tally.news()

    def on_relist(self, scope: Scope, uids: frozenset[str]) -> None:
        """Those that are gone have not changed."""
