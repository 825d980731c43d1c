"""Lets stored Jobs begin, within the budget: one replica at a time, the holder of a Lease."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from runner.cluster import ClusterError, ErrorReason, Objects
from runner.killpoints import reach
from runner.serve.log import log
from runner.serve.metrics import Metrics
from runner.serve.store import JobStore
from runner.sweep.lease import Claim, Lease, Timing
from runner.triggers.queue import Limits, to_release

# A replica that was killed is missed for so long, in the worst case.
TIMING = Timing(duration_seconds=6.0, deadline_seconds=5.0, renew_seconds=2.0, retry_seconds=1.0)
_TICK_SECONDS = 1.0
_PATCH_SECONDS = 3.0


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
            for job in to_release(self._store.jobs, self._limits, self._now()):
                if lost.is_set() or stop.is_set():
                    break
                reach("run-releasing")
                try:
                    async with asyncio.timeout(_PATCH_SECONDS):
                        await self._store.release(job, self._now())
                except TimeoutError:
                    log("release-failed", run=job.name, message="no answer")
                    break
                except ClusterError as error:
                    if error.reason is not ErrorReason.CONFLICT:
                        raise
                    break  # it changed: look at all of them again
                self._metrics.released()
                log("released", run=job.name)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await _either(self._store.changed, lost, stop)


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
