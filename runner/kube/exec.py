"""Exec and attach over WebSockets: `runner.cluster.Streams`, protocols v5 and v4.

Each message is a channel's number and bytes. Channel 3 carries one metav1.Status, the only word
on how a command ended: without it nothing is known, whatever else arrived (kubernetes-facts.md
section 2.7).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from runner.cluster import (
    Chunk,
    ClusterError,
    Ended,
    ErrorReason,
    Place,
    Streamed,
    StreamOutcome,
)
from runner.kube.errors import Question, Status, one_line, parse_status
from runner.kube.http import HttpClient, Request
from runner.kube.sockets import open_socket

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_STATUS_LIMIT = 64 * 1024
_PIECE_BYTES = 32 * 1024
_HANDSHAKE_SECONDS = 30.0


class StreamPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that is silent for `heartbeat_seconds` is pinged; without an answer within half of
    that it is gone. Once the command's status is there, its outputs have `drain_seconds` to end."""

    protocols: tuple[str, ...] = (V5, V4)
    heartbeat_seconds: float = 30.0
    drain_seconds: float = 10.0


def ended_by(status: Status | None) -> Ended:
    """What the frame on channel 3 says; None where it is no Status."""
    if status is not None and status.status == "Success":
        return Ended(outcome=StreamOutcome.EXITED, exit_code=0)
    if status is None or status.status != "Failure":
        return _unknown("NoStatus", "the server's word on how the command ended is not understood")
    message = one_line(status.message)
    if status.reason == "NonZeroExitCode":
        for cause in status.details.causes if status.details is not None else ():
            digits = cause.message
            if cause.reason == "ExitCode" and digits.isascii() and digits.isdigit():
                return Ended(
                    outcome=StreamOutcome.EXITED, exit_code=int(digits[:9]), message=message
                )
    return Ended(
        outcome=StreamOutcome.FAILED, reason=status.reason or "InternalError", message=message
    )


def _unknown(reason: str, message: str) -> Ended:
    return Ended(outcome=StreamOutcome.UNKNOWN, reason=reason, message=message)


class KubeStream:
    """Implements `runner.cluster.Stream` on an open socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, policy: StreamPolicy) -> None:
        self._socket = socket
        self._policy = policy
        self._status = b""
        self._cut = ""

    @property
    def ended(self) -> Ended:
        if self._status:
            return ended_by(parse_status(self._status))
        why = f" ({self._cut})" if self._cut else ""
        return _unknown("NoStatus", f"the stream ended without a word on the command's end{why}")

    async def chunks(self) -> AsyncGenerator[Chunk]:
        drain = None
        while True:
            if self._status and drain is None:
                drain = asyncio.get_running_loop().time() + self._policy.drain_seconds
            try:
                async with asyncio.timeout_at(drain):
                    message = await self._receive()
            except TimeoutError:
                return
            if message is None:
                return
            if message.type is aiohttp.WSMsgType.PING:
                await self._answer(message.data)
                continue
            if message.type is aiohttp.WSMsgType.PONG:
                continue
            if message.type is not aiohttp.WSMsgType.BINARY:
                if message.type is aiohttp.WSMsgType.TEXT:
                    continue  # no protocol of ours has them
                error = self._socket.exception() or message.data
                self._cut = one_line(str(error)) if isinstance(error, Exception) else ""
                return
            data: bytes = message.data
            channel, data = (data[0], data[1:]) if data else (_CLOSE, b"")
            if channel in (_STDOUT, _STDERR) and data:
                yield Chunk(is_error=channel == _STDERR, data=data)
            elif channel == _STATUS:
                self._status = (self._status + data)[:_STATUS_LIMIT]

    async def _receive(self) -> aiohttp.WSMessage | None:
        """The next message, None when the peer is gone. Only who waits for it is asked: while a
        slow consumer keeps us from reading nobody could hear the answer."""
        for patience_seconds in (
            self._policy.heartbeat_seconds,
            self._policy.heartbeat_seconds / 2,
        ):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds):
                    return await self._socket.receive()
            with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
                await self._socket.ping()
        self._cut = f"no answer to a ping within {self._policy.heartbeat_seconds / 2:g} s"
        return None

    async def _answer(self, ping: bytes) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
            await self._socket.pong(ping)

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            await self._send(_STDIN, data[start : start + _PIECE_BYTES])

    async def end_input(self) -> None:
        if self._socket.protocol != V5:
            message = "this API server cannot end a command's stdin (before Kubernetes 1.30)"
            raise ClusterError(ErrorReason.INVALID, message)
        await self._send(_CLOSE, bytes([_STDIN]))

    async def resize(self, columns: int, rows: int) -> None:
        await self._send(_RESIZE, msgspec.json.encode({"Width": columns, "Height": rows}))

    async def _send(self, channel: int, data: bytes) -> None:
        # Whoever reads learns of the stream's end; whoever writes need not.
        with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
            await self._socket.send_bytes(bytes([channel]) + data)


class KubeStreams:
    """Implements `runner.cluster.Streams`."""

    def __init__(self, http: HttpClient, policy: StreamPolicy) -> None:
        self._http = http
        self._policy = policy

    def exec(
        self, place: Place, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> contextlib.AbstractAsyncContextManager[KubeStream]:
        return self._open(place, "exec", argv, stdin=stdin, tty=tty)

    def attach(
        self, place: Place, *, stdin: bool = True, tty: bool = True
    ) -> contextlib.AbstractAsyncContextManager[KubeStream]:
        return self._open(place, "attach", (), stdin=stdin, tty=tty)

    async def run(
        self, place: Place, argv: Sequence[str], *, stdin: bytes | None = None,
        limit_bytes: int, timeout_seconds: float,
    ) -> Streamed:  # fmt: skip
        outputs = (bytearray(), bytearray())
        ended = _unknown(
            "Timeout", f"no end within {timeout_seconds:g} s; the command may still be running"
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), AsyncExitStack() as stack:
                opened = self.exec(place, argv, stdin=stdin is not None)
                stream = await stack.enter_async_context(opened)
                if stdin is not None:
                    await stack.enter_async_context(_sending(stream, stdin))
                ended = await _collect(stream, outputs, limit_bytes)
        return Streamed(ended=ended, stdout=bytes(outputs[0]), stderr=bytes(outputs[1]))

    @asynccontextmanager
    async def _open(
        self, place: Place, what: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> AsyncIterator[KubeStream]:
        query = [("container", place.container), ("stdout", "true")]
        query += [("command", word) for word in argv]
        # With a terminal there is one output.
        query += [(name, "true") for name, on in (("stdin", stdin), ("tty", tty)) if on]
        query += [] if tty else [("stderr", "true")]
        parts = ("namespaces", place.namespace, "pods", place.pod, what)
        request = Request(
            method="GET",
            path=f"/api/v1/{'/'.join(quote(p, safe='') for p in parts)}?{urlencode(query)}",
            question=Question(
                verb="create", resource=f"pods/{what}", namespace=place.namespace, name=place.pod
            ),
            timeout_seconds=_HANDSHAKE_SECONDS,
        )
        async with AsyncExitStack() as stack:

            async def attempt() -> aiohttp.ClientWebSocketResponse:
                opening = open_socket(
                    self._http,
                    request,
                    protocols=self._policy.protocols,
                )
                return await stack.enter_async_context(opening)

            yield KubeStream(await self._http.retrier.run(attempt), self._policy)


@asynccontextmanager
async def _sending(stream: KubeStream, data: bytes) -> AsyncIterator[None]:
    """Sends while the outputs are read: neither side may wait for the other to be done."""

    async def send() -> None:
        await stream.send(data)
        await stream.end_input()

    task = asyncio.get_running_loop().create_task(send())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _collect(
    stream: KubeStream, outputs: tuple[bytearray, bytearray], limit_bytes: int
) -> Ended:
    async with contextlib.aclosing(stream.chunks()) as chunks:
        async for chunk in chunks:
            output = outputs[chunk.is_error]
            output += chunk.data[: limit_bytes - len(output)]
            if len(output) >= limit_bytes:
                name = "stderr" if chunk.is_error else "stdout"
                return _unknown(
                    "OutputLimit", f"{name} passed {limit_bytes} bytes; the command may still run"
                )
    return stream.ended
