"""Exec and attach: two-way streams into a container, and the strict word on how they ended."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec


class StreamOutcome(StrEnum):
    """What is known of a command whose stream has ended."""

    EXITED = "exited"  # the server said so, with an exit code
    FAILED = "failed"  # the server said that it could not be run, or not be followed to its end
    UNKNOWN = "unknown"  # nobody said anything: cut, timed out, too much output


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """`exit_code` is there for EXITED alone. `reason` of the others is CamelCase: `NoStatus`,
    `Timeout`, `OutputLimit`, or the server's own; `message` is one line for people."""

    outcome: StreamOutcome
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


class Chunk(NamedTuple):
    """Some bytes of stdout, or of stderr."""

    is_error: bool
    data: bytes


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A container that runs."""

    namespace: str
    pod: str
    container: str


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """What a command came to: whole outputs, or what had arrived by its end."""

    ended: Ended
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """An open stream. One task reads `chunks`, others may send."""

    def chunks(self) -> AsyncIterator[Chunk]:
        """Until the stream ends, however it ends; then `ended` says how. Never raises."""

    @property
    def ended(self) -> Ended:
        """UNKNOWN as long as the stream is open."""

    async def send(self, data: bytes) -> None:
        """To stdin. What a stream that has ended was sent is lost, which is no error."""

    async def end_input(self) -> None:
        """End stdin; raises ClusterError where the server cannot (protocol v4)."""

    async def resize(self, columns: int, rows: int) -> None:
        """The size of the terminal has changed."""


class Streams(Protocol):
    """All raise ClusterError when the stream cannot be opened, NOT_READY when the container does
    not run. A stream that was opened is closed when its context is left, whatever happens; the
    process in the container goes on."""

    def exec(
        self, place: Place, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> AbstractAsyncContextManager[Stream]:
        """Run a command. With `tty` stderr comes as stdout."""

    def attach(
        self, place: Place, *, stdin: bool = True, tty: bool = True
    ) -> AbstractAsyncContextManager[Stream]:
        """To the container's first process. What it said before does not come again, and its exit
        code stands in the pod's status alone: EXITED 0 means that the stream ended."""

    async def run(
        self, place: Place, argv: Sequence[str], *, stdin: bytes | None = None,
        limit_bytes: int, timeout_seconds: float,
    ) -> Streamed:  # fmt: skip
        """Run a command to its end. More than `limit_bytes` of one output, or more time, ends the
        stream and leaves UNKNOWN: the command may go on."""
