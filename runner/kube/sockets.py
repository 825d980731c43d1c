"""WebSockets over the same login: what an API server says when it refuses one is kept.

They are aiohttp's: pycurl has none. A sweep needs none and does not import this.
"""

import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp
from yarl import URL

from runner.cluster import ClusterError, ErrorReason
from runner.kube.backoff import retry_after
from runner.kube.errors import TEXT_LIMIT, classify, is_transient, one_line
from runner.kube.http import HttpClient, Request
from runner.kube.retry import FailedAttemptError

_GOODBYE_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_MESSAGE_LIMIT = 4 << 20


class _RefusedError(Exception):
    """Any answer but 101, with its beginning: aiohttp's own error drops the body."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        super().__init__(response.status)
        self.status = response.status
        self.retry_after = response.headers.get("Retry-After")
        self.body = body


async def _keep_refusal(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status != 101:
        body = b""
        with suppress(aiohttp.ClientError, OSError):
            body = await response.content.read(TEXT_LIMIT)
        response.close()
        raise _RefusedError(response, body)
    return response


@asynccontextmanager
async def open_socket(
    http: HttpClient, request: Request, *, protocols: Sequence[str]
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """One attempt and, after a 401, one with new credentials. Raises FailedAttemptError; one that
    is not final did not reach what it was for, and may be repeated whatever it was.
    `request.timeout_seconds` is for the handshake alone. Pings are the reader's affair: aiohttp's
    own are not answered while a slow consumer keeps it from reading."""
    # A session of its own: a socket's connection is never used again, and no other request pays
    # for the middleware.
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": http.user_agent},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=request.timeout_seconds
        ),
        middlewares=(_keep_refusal,),
    ) as session:
        session._retry_connection = False  # noqa: SLF001  (past our rate limit)
        socket = await _connect(http, session, request, protocols)
        response = socket._response  # noqa: SLF001
        transport = response.connection.transport if response.connection else None
        try:
            yield socket
            await socket.close()
        finally:
            # A goodbye waits for a peer that may be gone; after it nothing is left to be said.
            response.close()
            if transport is not None:
                # Python before 3.11.5, Debian's too, stumbles where a TLS connection is gone.
                with suppress(AttributeError):
                    transport.abort()


async def _connect(
    http: HttpClient, session: aiohttp.ClientSession, request: Request,
    protocols: Sequence[str],
) -> aiohttp.ClientWebSocketResponse:  # fmt: skip
    access, verb = http.access, request.question.verb
    if (access.proxy or "").startswith("socks"):
        raise http.unreachable(
            request, "exec and attach do not work through a SOCKS proxy", is_final=True
        )
    if access.is_due:
        await access.refresh()
    for attempt in (1, 2):
        credentials = access.headers
        try:
            socket = await session.ws_connect(
                URL(access.server + request.path, encoded=True),
                headers=credentials,
                protocols=protocols,
                autoping=False,
                max_msg_size=_MESSAGE_LIMIT,
                ssl=access.ssl,
                server_hostname=access.server_hostname,
                proxy=access.proxy,
                timeout=aiohttp.ClientWSTimeout(ws_close=_GOODBYE_SECONDS),
            )
        except (aiohttp.ClientError, OSError) as failed:
            http.sent[verb, "error"] += 1
            # What was sent may have been carried out; only what never left may be sent again.
            never_left = isinstance(failed, aiohttp.ClientConnectorError)
            why = _explain(failed, request.timeout_seconds or 0.0)
            raise http.unreachable(request, why, is_final=not never_left) from failed
        except _RefusedError as refused:
            http.sent[verb, str(refused.status)] += 1
            if refused.status == 401 and attempt == 1:
                await access.replace(credentials)
                continue
            error = classify(refused.status, refused.body, request.question)
            again = is_transient(error) or error.reason is ErrorReason.NOT_READY
            seconds = retry_after(refused.retry_after)
            raise FailedAttemptError(error, final=not again, retry_after_seconds=seconds) from None
        http.sent[verb, "101"] += 1
        if socket.protocol is None:
            await socket.close()
            message = f"cannot {request.question}: the API server speaks none of {protocols}"
            raise FailedAttemptError(
                ClusterError(ErrorReason.INVALID, one_line(message)), final=True
            )
        return socket
    raise AssertionError("unreachable")


def _explain(error: BaseException, timeout_seconds: float) -> str:
    """Why there was no socket, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return one_line(f"TLS: certificate not trusted: {why}", 300)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return one_line(f"the proxy said {error.status} {error.message}", 300)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy cannot be reached: {_of_system(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "DNS: the host name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return one_line(f"TLS: {getattr(error, 'os_error', error)}", 300)
    if isinstance(error, TimeoutError):
        return f"time-out: no answer within {timeout_seconds:.0f} s"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the connection was cut before the answer was complete"
    if isinstance(error, OSError):
        return _of_system(error)
    return one_line(str(error) or type(error).__name__, 300)


def _of_system(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return one_line(str(error) or type(error).__name__, 300)
