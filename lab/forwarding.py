"""Requests passed on to the API server, and their answers passed back, with faults on the way."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
import yarl
from aiohttp import web

from lab.faults import (
    Action,
    Answer,
    DropRequest,
    DropResponse,
    EndStream,
    ErrorEvent,
    Latency,
    Seen,
)
from lab.tunnel import end, is_upgrade, tunnel

# What belongs to one connection, not to the request; a body's length is counted anew.
_OWN_TO_A_CONNECTION = (
    "Connection",
    "Content-Length",
    "Host",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)


class Forwarder:
    """An aiohttp handler. `note` is called once for each request and says what happens to it:
    any number of delays and at most one more thing."""

    def __init__(
        self,
        upstream: str,
        session: aiohttp.ClientSession,
        note: Callable[[Seen], Sequence[Action]],
    ) -> None:
        self._upstream = upstream
        self._session = session
        self._note = note
        self._clients: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    def abort(self) -> None:
        """Ends every connection that a client left half open: a goodbye over TLS waits half a
        minute for its answer, and the proxy's event loop ends before."""
        for transport in list(self._clients):
            end(transport)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self._clients.add(request.transport)
        # The body first: a request counts, and a fault strikes, when it is there as a whole.
        body = await request.read()
        actions = self._note(Seen(request.method, request.path, dict(request.query)))
        await asyncio.sleep(sum(one.seconds for one in actions if isinstance(one, Latency)))
        action = next((one for one in actions if not isinstance(one, Latency)), None)
        match action:
            case Answer(status, headers, answer):
                return web.Response(status=status, headers=headers, body=answer)
            case DropRequest():
                return _hang_up(request)
            case _:
                return await self._forward(request, body, action)

    async def _forward(
        self, request: web.Request, body: bytes, action: Action | None
    ) -> web.StreamResponse:
        if is_upgrade(request):
            return await self._tunnel(request, action)
        headers = request.headers.copy()
        for name in _OWN_TO_A_CONNECTION:
            headers.popall(name, None)
        url = yarl.URL(self._upstream + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                try:
                    if isinstance(action, DropResponse):
                        # The API server answers when it has stored the change.
                        return _hang_up(request)
                    response = await _begin(request, answer)
                    whole = await _pass_on(answer, response, action)
                finally:
                    _leave(answer)
        except aiohttp.ClientConnectorError as error:
            return web.Response(status=502, text=f"fault proxy: {error}\n")
        except (aiohttp.ClientError, ConnectionError):
            # One of the two sides left: the other learns it in the same way.
            return _hang_up(request)
        if whole:
            await response.write_eof()
        elif isinstance(action, EndStream) and action.half_open:
            # Until the client gives up, which cancels this handler, or the proxy stops.
            await asyncio.Event().wait()
        else:
            _hang_up(request)
        return response

    async def _tunnel(self, request: web.Request, action: Action | None) -> web.StreamResponse:
        url = yarl.URL(self._upstream + request.raw_path, encoded=True)
        try:
            return await tunnel(request, url, self._session, action)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status, text=f"fault proxy: {error.message}\n")
        except (aiohttp.ClientError, ConnectionError):
            return _hang_up(request)


async def _begin(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = answer.headers.copy()
    for name in _OWN_TO_A_CONNECTION:
        headers.popall(name, None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    response.content_length = answer.content_length
    await response.prepare(request)
    return response


async def _pass_on(
    answer: aiohttp.ClientResponse, response: web.StreamResponse, action: Action | None
) -> bool:
    """Writes what comes as it comes; False where a fault ended it too early."""
    chunks = answer.content.iter_any()
    match action:
        case EndStream(after_bytes, after_seconds):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(after_seconds):
                    return await _copy(chunks, response, after_bytes)
            return False
        case ErrorEvent(after_events, event):
            async for chunk in _first_lines(chunks, after_events):
                await response.write(chunk)
            await response.write(event)
            return True
        case _:
            return await _copy(chunks, response, None)


async def _copy(
    chunks: AsyncIterator[bytes], response: web.StreamResponse, limit: int | None
) -> bool:
    """Copies at most `limit` bytes; True if that was all there is."""
    left = limit
    if left == 0:
        return False
    async for chunk in chunks:
        await response.write(chunk if left is None else chunk[:left])
        if left is not None:
            left -= len(chunk)
            if left <= 0:
                return False
    return True


async def _first_lines(chunks: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    if count == 0:
        return
    async for chunk in chunks:
        end = 0
        while count > 0 and (newline := chunk.find(b"\n", end)) >= 0:
            end = newline + 1
            count -= 1
        if count == 0:
            yield chunk[:end]
            return
        yield chunk


def _leave(answer: aiohttp.ClientResponse) -> None:
    """Ends the connection to the API server when there is more to come: a goodbye over TLS would
    outlive the proxy's event loop."""
    if answer.connection is not None and answer.connection.transport is not None:
        end(answer.connection.transport)


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Closes the client's connection; what was written before still arrives."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
