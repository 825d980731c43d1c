"""WebSockets through the fault proxy: message by message in both directions."""

import asyncio
import contextlib

import aiohttp
import yarl
from aiohttp import web

from lab.faults import Action, DropResponse, EndStream

_MESSAGE_MAX_BYTES = 16 << 20
_OF_THE_HANDSHAKE = (
    "Connection",
    "Content-Length",
    "Host",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "Upgrade",
)


def is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def tunnel(
    request: web.Request, url: yarl.URL, session: aiohttp.ClientSession, action: Action | None
) -> web.StreamResponse:
    """`cut` and `half_open` count what the server sends. A handshake that the API server refuses
    raises WSServerHandshakeError, as that of a plain request would not show its reason."""
    headers = request.headers.copy()
    offered = [p.strip() for p in headers.get("Sec-WebSocket-Protocol", "").split(",") if p]
    for name in _OF_THE_HANDSHAKE:
        headers.popall(name, None)
    async with session.ws_connect(
        url, headers=headers, protocols=offered, max_msg_size=_MESSAGE_MAX_BYTES
    ) as server:
        chosen = (server.protocol,) if server.protocol else ()
        client = web.WebSocketResponse(protocols=chosen, max_msg_size=_MESSAGE_MAX_BYTES)
        if isinstance(action, DropResponse):
            _cut(request)
            return client
        await client.prepare(request)
        upwards = asyncio.create_task(_up(client, server))
        try:
            whole = await _down(server, client, action)
            if whole:
                await client.close()
            elif isinstance(action, EndStream) and action.half_open:
                # Nobody answers any more, not even a ping.
                upwards.cancel()
                assert request.transport is not None
                request.transport.pause_reading()
                await asyncio.Event().wait()
            else:
                _cut(request)
        finally:
            upwards.cancel()
            _abort(server)
        return client


async def _up(client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse) -> None:
    async for message in client:
        if message.type is aiohttp.WSMsgType.BINARY:
            await server.send_bytes(message.data)
    await server.close()


async def _down(
    server: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse, action: Action | None
) -> bool:
    """False where a fault ended it."""
    end = action if isinstance(action, EndStream) else EndStream(None, None)
    left = end.after_bytes
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(end.after_seconds):
            if left == 0:
                return False
            async for message in server:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    continue
                await client.send_bytes(message.data if left is None else message.data[:left])
                if left is not None:
                    left -= len(message.data)
                    if left <= 0:
                        return False
            return True
    return False


def end(transport: asyncio.Transport) -> None:
    """At once. Python before 3.11.5 stumbles where a TLS connection is gone."""
    with contextlib.suppress(AttributeError):
        transport.abort()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        end(request.transport)


def _abort(server: aiohttp.ClientWebSocketResponse) -> None:
    connection = server._response.connection  # noqa: SLF001
    if connection is not None and connection.transport is not None:
        end(connection.transport)
