"""The one place where pods are examined side by side, and where that is stopped."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from runner.cluster import ClusterError
from runner.examine import Examined, pod_result
from runner.model.examination import Examination
from runner.model.report import PodOutcome
from runner.plan import PodPlan
from runner.sweep.settings import Budget

log = logging.getLogger(__name__)


class Tally:
    """Counts for the progress line and, per pod, the container that was sent to it."""

    def __init__(self, changed: Callable[[Counter[str]], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.containers: dict[str, str] = {}
        self._changed = changed

    def add(self, stage: str) -> None:
        self.counts[stage] += 1
        self._changed(self.counts)


class Cut(NamedTuple):
    """`reason` is `Interrupted`, `SweepDeadline`, `ClusterLost` or `NotStored`; `message` a
    sentence."""

    reason: str
    message: str


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


async def run_pool(
    plans: Sequence[PodPlan],
    examine: Callable[[PodPlan], Awaitable[Examined]],
    budget: Budget,
    tally: Tally,
    stop: asyncio.Event,
) -> tuple[list[Examined], Cut | None]:
    """One result per plan, in the order of the plans, whatever happens; and why it was cut
    short, if it was."""
    in_flight = asyncio.Semaphore(budget.max_in_flight) if budget.max_in_flight > 0 else None
    per_node: dict[str, asyncio.Semaphore] = defaultdict(
        lambda: asyncio.Semaphore(budget.max_per_node)
    )
    fatal: list[Cut] = []

    async def one(plan: PodPlan) -> Examined:
        async with AsyncExitStack() as slots:
            # The node's place first: a pod that waits for its node must not hold a common one.
            if budget.max_per_node > 0:
                await slots.enter_async_context(per_node[plan.pod.spec.node_name])
            if in_flight is not None:
                await slots.enter_async_context(in_flight)
            try:
                examined = await examine(plan)
            except (ClusterError, OSError) as error:
                # Results are values; an error that comes here concerns everyone.
                fatal.append(_concerns_everyone(error))
                stop.set()
                raise asyncio.CancelledError from error
            except Exception as error:
                log.exception("bug while examining %s", plan.pod.metadata.name)
                message = f"bug in podmedic: {type(error).__name__}: {error}"
                examined = without_examination(plan, PodOutcome.ERROR, "InternalError", message)
        if examined.result.outcome not in (PodOutcome.PASSED, PodOutcome.SKIPPED):
            tally.add("failed")
        tally.add("done")
        return examined

    tasks = [asyncio.create_task(one(plan)) for plan in plans]
    stopped = asyncio.create_task(stop.wait())
    everyone = asyncio.gather(*tasks, return_exceptions=True)
    timeout = budget.timeout_seconds if budget.timeout_seconds > 0 else None
    first: set[asyncio.Future[Any]] = {everyone, stopped}
    await asyncio.wait(first, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    cut = ""
    if not everyone.done():
        cut = "Interrupted" if stop.is_set() else "SweepDeadline"
        for task in tasks:
            task.cancel()
    stopped.cancel()
    await asyncio.gather(everyone, stopped, return_exceptions=True)
    why = "the sweep's deadline passed" if cut == "SweepDeadline" else "the run was interrupted"
    reason = cut
    if fatal:
        reason, why = fatal[0]
    results = [
        task.result() if not task.cancelled() else _cut_short(plan, tally, reason, why)
        for plan, task in zip(plans, tasks, strict=True)
    ]
    return results, Cut(reason, why) if reason else None
