"""`--lease`: this sweep, or the one that is under way already."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime

from runner.cli.main import complain
from runner.cluster import Cluster
from runner.sweep import Cut, Lease, Stop, require_lease
from runner.sweep.lease import Claim


async def held(
    cluster: Cluster,
    claim: Claim,
    stop: Stop,
    stack: AsyncExitStack,
    now: Callable[[], datetime],
) -> bool:
    """Whether the Lease is ours: renewed until `stack` is left, and released then. Otherwise there
    is nothing to do, which is said, or the run was interrupted. Raises ClusterError."""
    await require_lease(cluster, claim)

    async def wait(seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
        return stop.is_set()

    lease = Lease(cluster.objects, claim, now=now, clock=asyncio.get_running_loop().time, wait=wait)
    # Before the first request: one that is broken off may have been carried out.
    stack.push_async_callback(lease.release)
    busy = await lease.acquire()
    if busy is not None:
        what = claim.annotations
        complain(
            f"another sweep of {what['podmedic.io/playbooks']} in {what['podmedic.io/scope']} is "
            f"under way: lease {busy.namespace}/{busy.name} is held by {busy.holder} since "
            f"{busy.since}; nothing was done"
        )
        return False
    if stop.is_set():
        return False
    if lease.taken_from:
        complain(
            f"lease {claim.namespace}/{claim.name} was taken over from {lease.taken_from}, which "
            "showed no sign of life"
        )
    lease.keep(lambda why: stop.because(Cut("LeaseLost", why)))
    return True
