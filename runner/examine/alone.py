"""Into a pod when no other run is at work in it, and only then.

Two runs may see a pod free at the same instant. Each sends its container for the pod as it has seen
it: the API server lets one of them have it, and the other one looks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from runner.cluster import ClusterError, ErrorReason, Scope
from runner.examine.context import Context
from runner.examine.watch import newer
from runner.model.pod import Pod
from runner.select import Skip

# Where pods have no generation, each word of a kubelet is a change.
_MAX_CONFLICTS = 10
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


async def when_alone(ctx: Context, pod: Pod) -> Pod:
    """The pod as soon as no other run is at work in it, it goes away, or all is stopped."""
    uid = pod.metadata.uid
    while True:
        pod = newer(pod, ctx.hub.latest(uid))
        until = ctx.taken_until(pod)
        if until is None or ctx.hub.gone(uid) or pod.metadata.deletion_timestamp is not None:
            return pod
        if ctx.stopped() is not None:
            return pod
        # Also woken when the breaker opens.
        await ctx.hub.changed(uid, (until - ctx.now()).total_seconds())


async def read(ctx: Context, pod: Pod) -> Pod | None:
    """As it is now, None if it is no more; by a LIST, for a sweep needs no `get` on pods."""
    meta = pod.metadata
    scope = Scope(namespace=meta.namespace, field_selector=f"metadata.name={meta.name}")
    found = [pod async for page, _ in ctx.cluster.list_pods(scope) for pod in page]
    return next((pod for pod in found if pod.metadata.uid == meta.uid), None)


async def add_when_alone(
    ctx: Context, pod: Pod, body: Mapping[str, Any], announce: Callable[[], Awaitable[None]]
) -> tuple[Pod, Sequence[str]] | Skip:
    """Like `add_ephemeral_container`; a Skip where the breaker has opened meanwhile, or the
    cap on what the pod carries is against it.
    `announce` is awaited once, before the first request."""
    conflicts = 0
    while True:
        pod = await when_alone(ctx, pod)
        if (why := ctx.stopped() or ctx.over_cap(pod)) is not None:
            return why
        if not conflicts:
            await announce()
        try:
            return await ctx.cluster.add_ephemeral_container(pod, body, if_unchanged=True)
        except ClusterError as error:
            if error.reason is not ErrorReason.CONFLICT or conflicts == _MAX_CONFLICTS:
                raise
        pause_seconds = min(_FIRST_PAUSE_SECONDS * 2.0**conflicts, _LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause_seconds)
        conflicts += 1
        found = await read(ctx, pod)
        if found is None or found.ephemeral_container(body["name"]) is not None:
            # It went away, as the server says by its uid; or an answer was lost, and the same
            # again changes nothing.
            return await ctx.cluster.add_ephemeral_container(pod, body)
        pod = found
