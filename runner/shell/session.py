"""A terminal here, and one in a container: what is typed goes there, what is said comes back."""

import asyncio
from typing import Protocol

import msgspec

from runner.cluster import Cluster, Ended, Place, Stream
from runner.shell.keys import DetachKeys
from runner.shell.modes import Modes

_REDRAW_SECONDS = 0.1


class Terminal(Protocol):
    """The one that somebody sits at, in raw mode."""

    async def read(self) -> bytes:
        """What was typed; empty when there is nobody any more."""

    async def write(self, data: bytes) -> None: ...

    def size(self) -> tuple[int, int] | None:
        """Columns and rows, None where it has none."""

    async def resized(self) -> None:
        """Returns when its size has changed."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """How a session was left. `ended` None: by the detach keys, or because nobody is there to
    type; else what the server said of the stream's end, which is no exit code."""

    ended: Ended | None


async def converse(
    cluster: Cluster, place: Place, terminal: Terminal, detach_keys: bytes, *, begin: bool
) -> Left:
    """Until the container's first process ends, the stream does, or the keys are typed. `begin`
    sends the line that `runner.shell.program.terminal` waits for.

    Raises ClusterError when the stream cannot be opened."""
    modes = Modes()
    try:
        async with cluster.streams.attach(place, stdin=True, tty=True) as stream:
            await _tell_size(stream, terminal, begin=begin)
            if begin:
                await stream.send(b"\n")
            tasks = [
                asyncio.ensure_future(_say(stream, terminal, modes)),
                asyncio.ensure_future(_type(stream, terminal, DetachKeys(detach_keys))),
                asyncio.ensure_future(_follow_size(stream, terminal)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
                return Left(ended=stream.ended if tasks[0].done() else None)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await terminal.write(modes.restored())


async def _tell_size(stream: Stream, terminal: Terminal, *, begin: bool) -> None:
    size = terminal.size()
    if size is None:
        return
    columns, rows = size
    if not begin:
        # A program that fills the screen draws it anew when it sees another size, and a shell its
        # prompt; so they are given the time to see it.
        await stream.resize(max(columns - 1, 1), rows)
        await asyncio.sleep(_REDRAW_SECONDS)
    await stream.resize(columns, rows)


async def _follow_size(stream: Stream, terminal: Terminal) -> None:
    while True:
        await terminal.resized()
        size = terminal.size()
        if size is not None:
            await stream.resize(*size)


async def _say(stream: Stream, terminal: Terminal, modes: Modes) -> None:
    async for chunk in stream.chunks():
        modes.feed(chunk.data)
        await terminal.write(chunk.data)


async def _type(stream: Stream, terminal: Terminal, keys: DetachKeys) -> None:
    while typed := await terminal.read():
        passed, detached = keys.feed(typed)
        if passed:
            await stream.send(passed)
        if detached:
            return
