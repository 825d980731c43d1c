"""The one place where pods are examined side by side, and where that is stopped."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from runner.budget import Scheduler
from runner.cluster import ClusterError
from runner.examine import TAMPERED, Examined, harm_sentence, pod_result
from runner.examine.catch import NO_WINDOW
from runner.examine.inject import unreached
from runner.killpoints import reach
from runner.model.examination import Examination
from runner.model.harm import Harm
from runner.model.report import PodOutcome, PodResult
from runner.plan import PodPlan
from runner.sweep.plans import will_inject
from runner.sweep.settings import Budget

log = logging.getLogger(__name__)


class Tally:
    """Counts for the progress line and, per pod, the container that was sent to it.
    `on_running` hears the uid of each pod whose container has begun to run; `on_news` is called
    when the scheduler may decide otherwise than before."""

    def __init__(self, changed: Callable[[Counter[str]], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.containers: dict[str, str] = {}
        # Pods in which a container of this run is, an earlier process's too.
        self.entered: set[str] = set()
        self.on_running: Callable[[str], None] = lambda _: None
        self.on_news: Callable[[], None] = lambda: None
        self._changed = changed

    def add(self, stage: str) -> None:
        self.counts[stage] += 1
        self._changed(self.counts)

    def news(self) -> None:
        self.on_news()

    def of_pod(self, uid: str, stage: str) -> None:
        reach(stage)
        self.add(stage)
        self.entered.add(uid)
        if stage == "running":
            self.on_running(uid)


# Reasons of pods that were left undone because we were stopped, not because of what they are.
UNDONE = frozenset({"Interrupted", "SweepDeadline", "ClusterLost", "NotStored", "LeaseLost"})


class Cut(NamedTuple):
    """`reason` is `Interrupted`, `SweepDeadline`, `ClusterLost`, `NotStored`, `LeaseLost` or
    `BreakerOpen`; `message` a sentence."""

    reason: str
    message: str


class Stop(asyncio.Event):
    """Set when the sweep is to end now; `why` says for which reason, the first one counts."""

    why = Cut("Interrupted", "the run was interrupted")

    def because(self, why: Cut) -> None:
        if not self.is_set():
            self.why = why
            self.set()


def _concerns_everyone(error: ClusterError | OSError) -> Cut:
    if isinstance(error, ClusterError):
        return Cut("ClusterLost", f"the cluster was lost: {error.message}")
    # Nothing may be injected that is not in the journal first.
    return Cut("NotStored", f"the journal cannot be written: {error.strerror or error}")


def without_examination(plan: PodPlan, outcome: PodOutcome, reason: str, message: str) -> Examined:
    examination = Examination(
        pod=plan.pod,
        workload=plan.workload,
        target_container=plan.target,
        conditions=plan.conditions,
        unknown={"pod": f"{reason}: {message}"},
    )
    return Examined(
        plan=plan, examination=examination, result=pod_result(plan, outcome, reason, message)
    )


def _cut_short(plan: PodPlan, tally: Tally, reason: str, why: str) -> Examined:
    """Result of a pod whose examination was ended by us."""
    name = tally.containers.get(plan.pod.metadata.uid)
    if name is None:
        return without_examination(plan, PodOutcome.SKIPPED, reason, f"{why} before its turn came")
    outcome = PodOutcome.TIMEOUT if reason == "SweepDeadline" else PodOutcome.UNKNOWN
    message = f"{why}; the container in the pod ends by its own deadline"
    examined = without_examination(plan, outcome, reason, message)
    return Examined(
        plan=plan,
        examination=examined.examination,
        result=pod_result(plan, outcome, reason, message, container=name),
    )


class Acts(msgspec.Struct, frozen=True, kw_only=True):
    """What the pool does with a pod: look inside, or, when it is held back, from the API alone.
    `wake` is called once the breaker is open: those that still wait to send something need not."""

    examine: Callable[[PodPlan], Awaitable[Examined]]
    hold_back: Callable[[PodPlan, str, str], Awaitable[Examined]]
    wake: Callable[[], None] = lambda: None


class _Pool:
    def __init__(
        self, plans: Sequence[PodPlan], acts: Acts, scheduler: Scheduler, tally: Tally,
        stop: Stop,
    ) -> None:  # fmt: skip
        self._plans = {plan.pod.metadata.uid: plan for plan in plans}
        self._acts = acts
        self._scheduler = scheduler
        self._tally = tally
        self._stop = stop
        self._news = asyncio.Event()
        self.tasks: dict[str, asyncio.Task[Examined]] = {}
        self.fatal: list[Cut] = []
        tally.on_running = self._on_running
        tally.on_news = self._news.set

    def _on_running(self, uid: str) -> None:
        if self._scheduler.started(uid):
            self._news.set()

    async def run(self) -> None:
        """Until every pod has its result; whoever waits for this may cancel it."""
        told = False
        while True:
            self._news.clear()
            if self._scheduler.breaker and not told:
                told = True
                self._acts.wake()
            for uid in self._scheduler.admit():
                plan = self._plans[uid]
                self._spawn(plan, self._acts.examine(plan), admitted=True)
            for uid, reason, message in self._scheduler.held():
                plan = self._plans[uid]
                self._spawn(plan, self._acts.hold_back(plan, reason, message), admitted=False)
            if len(self.tasks) == len(self._plans) and all(t.done() for t in self.tasks.values()):
                return
            await self._news.wait()

    def _spawn(self, plan: PodPlan, work: Awaitable[Examined], *, admitted: bool) -> None:
        task = asyncio.create_task(self._one(plan, work))
        self.tasks[plan.pod.metadata.uid] = task
        task.add_done_callback(lambda done: self._ended(done, admitted=admitted))

    async def _one(self, plan: PodPlan, work: Awaitable[Examined]) -> Examined:
        try:
            return await work
        except (ClusterError, OSError) as error:
            # Results are values; an error that comes here concerns everyone.
            self.fatal.append(_concerns_everyone(error))
            self._stop.set()
            raise asyncio.CancelledError from error
        except Exception as error:
            log.exception("bug while examining %s", plan.pod.metadata.name)
            message = f"bug in podmedic: {type(error).__name__}: {error}"
            return without_examination(plan, PodOutcome.ERROR, "InternalError", message)

    def _ended(self, task: asyncio.Task[Examined], *, admitted: bool) -> None:
        self._news.set()
        if task.cancelled():
            return
        result = task.result().result
        if result.outcome not in (PodOutcome.PASSED, PodOutcome.SKIPPED):
            self._tally.add("failed")
        self._tally.add("done")
        if not admitted:
            return
        where = f"{result.namespace}/{result.name}"
        self._scheduler.ended(
            result.uid,
            failed_to_start=_failed_to_start(result),
            why=f"{where}: {result.reason}: {result.message}",
            # What was known to be impossible was not tried.
            counts=not _target_lost(result)
            and (
                bool(result.injections)
                or (result.outcome is PodOutcome.ERROR and will_inject(task.result().plan))
            ),
        )
        tell_change(task.result(), self._scheduler)


def tell_change(examined: Examined, scheduler: Scheduler) -> None:
    """What trips the breaker: an app changed that no playbook expects to."""
    if examined.result.harm is not None:
        tell_harm(examined.plan, examined.result.harm, scheduler)


def tell_harm(plan: PodPlan, harm: Harm, scheduler: Scheduler) -> bool:
    """True where there was something to tell."""
    changed = harm_sentence(harm)
    if not changed or any(playbook.spec.expects_change for playbook in plan.playbooks):
        return False
    meta = plan.pod.metadata
    scheduler.changed(
        meta.uid,
        f"{meta.namespace}/{meta.name} changed while it was examined: {changed}",
        first_life=all(c.first_life or c.expected for c in harm.changes),
    )
    return True


def _target_lost(result: PodResult) -> bool:
    """The app ended before ours could enter it, or did not come again: that is how the app is, and
    says nothing of ours. A runtime that fails says the same words, and no app has ended."""
    name = f"container {result.target_container}"
    ended = result.harm is not None and any(c.what.endswith(name) for c in result.harm.changes)
    lost = result.reason == NO_WINDOW or (
        result.strategy in ("target", "catch") and unreached(result.strategy, result.message)
    )
    return ended and lost and not any(injection.started_at for injection in result.injections)


def _failed_to_start(result: PodResult) -> bool:
    """Refused, or accepted and never run, or another image than ours did. That the pod itself went
    away is not our failure."""
    if result.reason == TAMPERED:
        return True
    if result.outcome not in (PodOutcome.ERROR, PodOutcome.TIMEOUT):
        return False
    return not any(injection.started_at for injection in result.injections)


async def run_pool(
    plans: Sequence[PodPlan],
    acts: Acts,
    scheduler: Scheduler,
    budget: Budget,
    tally: Tally,
    stop: Stop,
) -> tuple[list[Examined], Cut | None]:
    """One result per plan, in the order of the plans, whatever happens; and why it was cut
    short, if it was."""
    pool = _Pool(plans, acts, scheduler, tally, stop)
    running, stopped = asyncio.create_task(pool.run()), asyncio.create_task(stop.wait())
    timeout = budget.timeout_seconds if budget.timeout_seconds > 0 else None
    first: set[asyncio.Future[Any]] = {running, stopped}
    await asyncio.wait(first, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    cut: Cut | None = None
    if not running.done():
        cut = stop.why if stop.is_set() else Cut("SweepDeadline", "the sweep's deadline passed")
    for task in (running, stopped, *pool.tasks.values()):
        task.cancel()
    await asyncio.gather(running, stopped, *pool.tasks.values(), return_exceptions=True)
    if pool.fatal:
        cut = pool.fatal[0]
    results = []
    for plan in plans:
        task_of_pod = pool.tasks.get(plan.pod.metadata.uid)
        if task_of_pod is not None and not task_of_pod.cancelled():
            results.append(task_of_pod.result())
        else:
            # Only a cut leaves pods without a result.
            why = cut or Cut("Interrupted", "the run was interrupted")
            results.append(_cut_short(plan, tally, why.reason, why.message))
    if cut is None and scheduler.breaker:
        cut = Cut("BreakerOpen", f"no further pod was touched: {scheduler.breaker}")
    return results, cut
