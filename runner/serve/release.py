"""Lets stored Jobs begin, within the budget: one replica at a time, the holder of a Lease."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

from runner.cluster import ClusterError, ErrorReason, Objects
from runner.killpoints import reach
from runner.serve.log import log
from runner.serve.metrics import Metrics
from runner.serve.store import OF_ONE_JOB, JobStore
from runner.sweep.lease import Claim, Lease, Timing
from runner.triggers.election import Listed, to_cover
from runner.triggers.jobs import Job
from runner.triggers.queue import Limits, to_release

# A replica that was killed is missed for so long, in the worst case.
TIMING = Timing(duration_seconds=6.0, deadline_seconds=5.0, renew_seconds=2.0, retry_seconds=1.0)
_TICK_SECONDS = 1.0
# For all requests about one Job: were it less than a slow API server needs for them, it would never
# begin.
_JOB_SECONDS = 10.0
_LIST_SECONDS = 5.0
# A Job whose release was refused waits for so long.
_HOLD_SECONDS = 30.0


class Releaser:
    def __init__(
        self,
        store: JobStore,
        objects: Objects,
        limits: Limits,
        metrics: Metrics,
        *,
        name: str,
        identity: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.leads = False
        self._store = store
        self._objects = objects
        self._limits = limits
        self._metrics = metrics
        self._claim = Claim(
            namespace=store.namespace,
            name=name,
            holder=f"{socket.gethostname()}_{identity}",
            run_id=identity,
        )
        self._now = now
        self._clock = clock
        self._refused: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises ClusterError for what waiting cannot mend."""
        while not stop.is_set():
            lease = Lease(
                self._objects, self._claim, now=self._now,
                clock=asyncio.get_running_loop().time,
                wait=lambda seconds: _wait(stop, seconds), timing=TIMING,
            )  # fmt: skip
            try:
                busy = await lease.acquire()
                if busy is None and not stop.is_set():
                    await self._lead(lease, stop)
            except ClusterError as error:
                if error.reason is ErrorReason.FORBIDDEN:
                    raise
                log("release-failed", message=error.message)
            finally:
                self.leads = False
                await lease.release()
            await _wait(stop, TIMING.retry_seconds)

    async def _lead(self, lease: Lease, stop: asyncio.Event) -> None:
        lost = asyncio.Event()

        def on_lost(why: str) -> None:
            log("lease-lost", message=why)
            lost.set()

        lease.keep(on_lost)
        # What the one before us released last may not have reached our watch.
        await self._store.refresh()
        self.leads = True
        log("leads", lease=self._claim.name)
        while not (lost.is_set() or stop.is_set()):
            self._store.changed.clear()
            await self.look(lambda: lost.is_set() or stop.is_set())
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await _either(self._store.changed, lost, stop)

    async def look(self, is_over: Callable[[], bool]) -> None:
        """Lets begin what may begin now. Raises ClusterError that is not about one Job.

        Of Jobs that have an alert in common the one that is released first runs it, and whoever
        releases must know which that is, though another replica may take itself for the holder of
        the Lease, too, and its requests may arrive late. So, for each Job: what was known of it
        (1), then a list of all Jobs (2), then a change to every other one that has its alerts and
        has not begun (3), then its release, which the API server refuses if it changed since 1 (4).
        Of two Jobs that are released so, the list of one came after that of the other, and saw it:
        either begun, or it was changed before its release, which was refused. A change alone takes
        nothing away: whoever is killed between two of these leaves two Jobs that wait.
        """
        held = self._held()
        for job, by in to_cover(self._store.jobs, held):
            if not await self._is_done(job, self._cover(job, by)):
                return
        batch = to_release(self._store.jobs, self._limits, self._now(), held)
        listed: Sequence[Listed] = ()
        # What was asked for has no alerts that another Job could have.
        if any(job.alerts for job in batch):
            try:
                async with asyncio.timeout(_LIST_SECONDS):
                    listed = await self._store.listed()
            except TimeoutError:
                log("release-failed", message="no answer to the list of Jobs")
                return
        for job in batch:
            if is_over() or not await self._is_done(job, self._begin(job, listed)):
                return

    async def _cover(self, job: Job, by: Sequence[Job]) -> None:
        await self._store.cover(job, by)
        log("covered", run=job.name, by=[each.name for each in by][:5])

    async def _begin(self, job: Job, listed: Sequence[Listed]) -> None:
        taken = await self._store.taken(job, listed)
        reach("run-releasing")
        if job.alerts and taken >= job.alerts:
            return  # nothing is left for it, which the next look writes down
        await self._store.release(job, self._now(), taken)
        self._metrics.released()
        log("released", run=job.name, **({"taken": len(taken)} if taken else {}))

    def _held(self) -> frozenset[str]:
        now = self._clock()
        self._refused = {name: at for name, at in self._refused.items() if at > now}
        return frozenset(self._refused)

    async def _is_done(self, job: Job, request: Awaitable[None]) -> bool:
        """False where all Jobs are to be looked at again. Raises ClusterError that is not about
        this Job."""
        try:
            async with asyncio.timeout(_JOB_SECONDS):
                await request
        except TimeoutError:
            log("release-failed", run=job.name, message="no answer")
            return False
        except ClusterError as error:
            if error.reason in (ErrorReason.CONFLICT, ErrorReason.NOT_FOUND):
                return False
            if error.reason not in OF_ONE_JOB:
                raise
            self._refused[job.name] = self._clock() + _HOLD_SECONDS
            log("release-failed", run=job.name, message=error.message)
        return True


async def _either(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
