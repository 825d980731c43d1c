"""Which pod may be examined next: every limit that must hold at every instant, as one state. Pure.

The sweep tells what happened (`started`, `ended`, `changed`) and asks `admit`; nothing here waits.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

Key = str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many pods at a time; 0 lifts a limit, but no PodDisruptionBudget.
    `workload_share` is the part of a workload's Ready pods that may be looked at together, one at
    least; `per_workload` a number instead of it. A canary for each pool goes first. `max_failures`
    in a row open the breaker, as do `failure_share` of ten or more, and `max_changed` apps that
    changed."""

    in_flight: int = 32
    per_node: int = 10
    per_namespace: int = 0
    per_workload: int | None = None
    workload_share: Fraction = Fraction(1, 4)
    canary: bool = True
    max_failures: int = 5
    max_changed: int = 1
    failure_share: Fraction = Fraction(3, 10)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that waits for its turn. `pool` is what starts alike: image and kind of node; `ready`
    pods serve somebody, and only they count against their workload and the PodDisruptionBudgets
    that select them. Without `injects` the pod is read from the API alone, and never counts."""

    uid: str
    namespace: str
    node: str
    workload: Key
    pool: Key
    ready: bool
    budgets: tuple[Key, ...] = ()
    injects: bool = True


class Standing(NamedTuple):
    """What a Ready pod counts for, whether it is to be examined or not."""

    workload: Key
    budgets: tuple[Key, ...] = ()


class Held(NamedTuple):
    """Why a pod is not injected after all; `reason` is `CanaryFailed` or `BreakerOpen`."""

    uid: str
    reason: str
    message: str


_MIN_FOR_SHARE = 10


class Scheduler:
    """`ready` are the Ready pods by uid, the unselected ones included; `disruptions_allowed` is
    what each PodDisruptionBudget leaves while all of them stay so."""

    def __init__(
        self,
        limits: Limits,
        candidates: Iterable[Candidate],
        *,
        ready: Mapping[str, Standing],
        disruptions_allowed: Mapping[Key, int] | None = None,
    ) -> None:
        self._limits = limits
        # Candidates that fit or do not fit together: what is decided for one is for all.
        self._waiting: dict[Candidate, deque[str]] = {}
        self._alike: dict[str, Candidate] = {}
        for candidate in candidates:
            self._queue(candidate.uid, replace(candidate, uid=""))
        self._running: dict[str, Candidate] = {}
        # Pods in which a container of another run is at work.
        self._taken: dict[str, Candidate] = {}
        self._per_node: Counter[str] = Counter()
        self._per_namespace: Counter[str] = Counter()
        self._per_workload: Counter[Key] = Counter()
        self._per_budget: Counter[Key] = Counter()
        self._ready = dict(ready)
        self._ready_pods = Counter(standing.workload for standing in ready.values())
        # How many more than now were Ready when the budgets were read.
        self._lost: Counter[Key] = Counter()
        self._disruptions = disruptions_allowed or {}
        # Pool by pool: the canary that is out, those that came back, those that did not.
        self._canaries: dict[Key, str] = {}
        self._proven: set[Key] = set()
        self._failed_pools: dict[Key, str] = {}
        self._attempts = self._failures = self._in_a_row = 0
        # Apps that changed, by the uid of their pod, in thirds.
        self._changed: dict[str, int] = {}
        self.breaker = ""

    @property
    def is_done(self) -> bool:
        return not self._waiting and not self._running

    def workload_limit(self, workload: Key) -> int:
        """How many Ready pods of it at a time; 0: no limit."""
        limits = self._limits
        if limits.per_workload is not None:
            allowed = limits.per_workload
        else:
            share = limits.workload_share
            # A product of fractions costs twenty times as much.
            allowed = max(1, self._ready_pods[workload] * share.numerator // share.denominator)
        return allowed

    def budget_limit(self, budget: Key) -> int:
        """How many of the Ready pods that a PodDisruptionBudget selects at a time. One at least:
        a budget that allows none would keep its pods from ever being examined."""
        return max(1, self._disruptions[budget] - max(0, self._lost[budget]))

    def saw(self, uid: str, standing: Standing | None) -> bool:
        """A pod is Ready and counts for that, or is not (any more). True when that is news."""
        was = self._ready.pop(uid, None)
        for one, by in ((was, -1), (standing, 1)):
            if one is not None:
                self._ready_pods[one.workload] += by
                self._lost.subtract(dict.fromkeys(one.budgets, by))
        if standing is not None:
            self._ready[uid] = standing
        if (was is None) == (standing is None):
            return False
        self._turn(uid, ready=standing is not None)
        return True

    def taken(self, pod: Candidate) -> None:
        """Another run is at work in the pod: it counts as one of ours would, and ours waits."""
        if pod.uid not in self._taken:
            self._taken[pod.uid] = pod
            self._count(pod, 1)

    def left(self, uid: str) -> bool:
        """No other run is at work there (any more). True when that is news."""
        pod = self._taken.pop(uid, None)
        if pod is not None:
            self._count(pod, -1)
        return pod is not None

    def _turn(self, uid: str, *, ready: bool) -> None:
        """What waits or runs counts from now on as what it is."""
        running = self._running.get(uid)
        # One that ceases to be Ready while it is examined may do so by our fault: it keeps its
        # place until its result, and with it the verdict on that, is there.
        if running is not None and running.injects and ready and not running.ready:
            self._count(running, -1)
            self._running[uid] = replace(running, ready=True)
            self._count(self._running[uid], 1)
        alike = self._alike.get(uid)
        if alike is not None and alike.injects:
            self._unqueue(uid)
            self._queue(uid, replace(alike, ready=ready))

    def _queue(self, uid: str, alike: Candidate) -> None:
        self._waiting.setdefault(alike, deque()).append(uid)
        self._alike[uid] = alike

    def _unqueue(self, uid: str) -> None:
        alike = self._alike.pop(uid)
        self._waiting[alike].remove(uid)
        if not self._waiting[alike]:
            del self._waiting[alike]

    def admit(self) -> list[str]:
        """Those that may start now; they count as running from here on."""
        if self.breaker:
            return []
        admitted: list[str] = []
        in_flight = self._limits.in_flight
        if in_flight and len(self._running) >= in_flight:
            return admitted
        for alike, uids in list(self._waiting.items()):
            while self._fits(alike) and (uid := self._next(alike, uids)) is not None:
                if in_flight and len(self._running) >= in_flight:
                    return admitted
                uids.remove(uid)
                admitted.append(uid)
                del self._alike[admitted[-1]]
                self._start(admitted[-1], alike)
            if not uids:
                del self._waiting[alike]
        return admitted

    def _next(self, alike: Candidate, uids: Iterable[str]) -> str | None:
        return next((uid for uid in uids if not (alike.injects and uid in self._taken)), None)

    def held(self) -> list[Held]:
        """Those that will not be injected any more; they leave the queue by this."""
        found: list[Held] = []
        for alike, uids in list(self._waiting.items()):
            why = self._failed_pools.get(alike.pool)
            if self.breaker:
                found += [Held(uid, "BreakerOpen", self.breaker) for uid in uids]
            elif why is not None:
                found += [Held(uid, "CanaryFailed", why) for uid in uids]
            else:
                continue
            for uid in self._waiting.pop(alike):
                del self._alike[uid]
        return found

    def started(self, uid: str) -> bool:
        """Its container runs: the pool is sound. True when that is news, and others may follow."""
        candidate = self._running.get(uid)
        if candidate is None:
            return False
        self._in_a_row = 0
        news = candidate.pool not in self._proven
        self._proven.add(candidate.pool)
        return news

    def ended(self, uid: str, *, failed_to_start: bool, why: str = "", counts: bool = True) -> None:
        """The examination is over. `why` says where and what, for those that are held back;
        `counts` is false where nothing was injected, which says nothing about the pool."""
        candidate = self._running.pop(uid, None)
        if candidate is None:
            return
        self._count(candidate, -1)
        was_canary = self._canaries.get(candidate.pool) == uid
        if was_canary:
            del self._canaries[candidate.pool]
        if not counts:
            return
        self._attempts += 1
        if not failed_to_start:
            self._proven.add(candidate.pool)
            self._in_a_row = 0
            return
        self._failures += 1
        self._in_a_row += 1
        if was_canary and self._limits.canary and candidate.pool not in self._proven:
            self._failed_pools[candidate.pool] = why
        self._judge(why)

    def changed(self, uid: str, why: str, *, first_life: bool = False) -> None:
        """An app changed after an injection: so many of them, and no further pod is touched. Of
        those that ended of themselves in their first life, three count as one. A pod counts once,
        however often it is told of."""
        self._changed[uid] = max(self._changed.get(uid, 0), 1 if first_life else 3)
        most = 3 * self._limits.max_changed
        if most and sum(self._changed.values()) >= most:
            self.stop(why)

    def stop(self, why: str) -> None:
        self.breaker = self.breaker or why

    def _judge(self, why: str) -> None:
        limits = self._limits
        share = limits.failure_share and self._attempts >= _MIN_FOR_SHARE
        if limits.max_failures and self._in_a_row >= limits.max_failures:
            self.stop(f"{self._in_a_row} containers in a row did not start, the last: {why}")
        elif share and self._failures >= limits.failure_share * self._attempts:
            count = f"{self._failures} of {self._attempts}"
            self.stop(f"{count} containers did not start, the last: {why}")

    def _fits(self, candidate: Candidate) -> bool:
        limits = self._limits
        if candidate.pool in self._failed_pools:
            return False
        if (
            limits.canary
            and candidate.pool not in self._proven
            and candidate.pool in self._canaries
        ):
            return False
        if limits.per_node and self._per_node[candidate.node] >= limits.per_node:
            return False
        in_namespace = self._per_namespace[candidate.namespace]
        if limits.per_namespace and in_namespace >= limits.per_namespace:
            return False
        if not candidate.ready:
            return True
        allowed = self.workload_limit(candidate.workload)
        if allowed and self._per_workload[candidate.workload] >= allowed:
            return False
        # A budget is its owner's word and not the sweeper's: no option lifts it.
        return all(
            self._per_budget[budget] < self.budget_limit(budget) for budget in candidate.budgets
        )

    def _start(self, uid: str, candidate: Candidate) -> None:
        self._running[uid] = candidate
        self._count(candidate, 1)
        if candidate.pool not in self._proven:
            self._canaries.setdefault(candidate.pool, uid)

    def _count(self, candidate: Candidate, by: int) -> None:
        self._per_node[candidate.node] += by
        self._per_namespace[candidate.namespace] += by
        if candidate.ready:
            self._per_workload[candidate.workload] += by
            for budget in candidate.budgets:
                self._per_budget[budget] += by
