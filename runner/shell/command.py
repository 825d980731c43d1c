"""One command in a container that was reached, its streams passed on as they come."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from runner.cluster import Cluster, ClusterError, Ended, Place, Stream, StreamOutcome
from runner.shell.program import called, ending, ending_alone

# For the request that ends the container; without it the container ends by its own TTL.
_ENDING_SECONDS = 5.0
# So long before its TTL a command is given up: afterwards its end would be the container's.
_MARGIN_SECONDS = 1.0

Write = Callable[[bool, bytes], Awaitable[None]]
"""Passes on some bytes of stderr (True) or stdout; returns when they are written."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A script for the container's shell. It is ended after `timeout_seconds`, None for no limit
    of its own, and before the container is, in `seconds_left`. `stdin` None leaves its stdin
    empty. Its processes are known by `mark`; with `alone_seconds` it leaves none of them, and
    none is left after that time although podmedic is killed."""

    text: str
    mark: str
    alone_seconds: int | None
    timeout_seconds: float | None
    seconds_left: float
    stdin: AsyncIterator[bytes] | None = None


def seconds_left(ends_at: datetime, now: datetime) -> float:
    """Until shortly before the container ends by itself, at least 0."""
    return max((ends_at - now).total_seconds() - _MARGIN_SECONDS, 0.0)


@asynccontextmanager
async def ended_afterwards(
    cluster: Cluster, place: Place, *, mark: str, alone: bool
) -> AsyncIterator[None]:
    """Ends the container when the context is left, and all that runs in it: a process goes on
    when its stream is closed. `alone`: ends the command and leaves the container."""
    try:
        yield
    finally:
        argv = ending_alone(mark) if alone else ending(place.container)
        await asyncio.shield(asyncio.ensure_future(_end(cluster, place, argv)))


async def _end(cluster: Cluster, place: Place, argv: tuple[str, ...]) -> None:
    # What may fail here is what ended the command: the container is gone, or the way to it.
    with contextlib.suppress(ClusterError):
        await cluster.streams.run(place, argv, limit_bytes=4096, timeout_seconds=_ENDING_SECONDS)


async def run_command(cluster: Cluster, place: Place, command: Command, write: Write) -> Ended:
    """How the command ended; UNKNOWN with reason `Timeout` when it did not.

    Raises ClusterError when the stream cannot be opened, and whatever `write` raises."""
    argv = called(command.text, command.mark, alone_seconds=command.alone_seconds)
    seconds, whose = command.seconds_left, ", the rest of the container's --ttl,"
    if command.timeout_seconds is not None and command.timeout_seconds <= seconds:
        seconds, whose = command.timeout_seconds, ""
    async with cluster.streams.exec(place, argv, stdin=command.stdin is not None) as stream:
        reading = asyncio.ensure_future(_read(stream, write))
        sending = asyncio.ensure_future(_send(stream, command.stdin))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    sending.result()
                await reading
        except TimeoutError:
            return Ended(
                outcome=StreamOutcome.UNKNOWN,
                reason="Timeout",
                message=f"the command did not end within {seconds:.0f} s{whose} and was ended",
            )
        finally:
            reading.cancel()
            sending.cancel()
            await asyncio.gather(reading, sending, return_exceptions=True)
        return stream.ended


async def _read(stream: Stream, write: Write) -> None:
    async for chunk in stream.chunks():
        await write(chunk.is_error, chunk.data)


async def _send(stream: Stream, stdin: AsyncIterator[bytes] | None) -> None:
    if stdin is None:
        return
    async for data in stdin:
        await stream.send(data)
    await stream.end_input()
