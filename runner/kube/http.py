"""One aiohttp session: rate limit, retries, credentials and counting around every request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import aiohttp
from yarl import URL

from runner.cluster import ClusterError, ErrorReason
from runner.kube import network
from runner.kube.access import Access
from runner.kube.backoff import retry_after
from runner.kube.errors import TEXT_LIMIT, Question, classify, is_transient, one_line
from runner.kube.limit import RateLimiter
from runner.kube.retry import FailedAttemptError, Retrier, RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` comes quoted, with its query. `timeout_seconds` is for one attempt, all of it; None
    leaves a stream alone as long as it sends something every `idle_seconds`."""

    method: str
    path: str
    question: Question
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timeout_seconds: float | None = 60.0
    idle_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    warnings: tuple[str, ...] = ()


class HttpClient:
    """Sends requests of ours; raises ClusterError and nothing else."""

    def __init__(
        self,
        access: Access,
        *,
        qps: float,
        burst: int,
        user_agent: str,
        policy: RetryPolicy,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.access = access
        self.user_agent = user_agent
        self._limiter = RateLimiter(qps, burst, loop.time)
        self.retrier = Retrier(policy, self._limiter, qps)
        self.sent: Counter[tuple[str, str]] = Counter()
        # As many as pods are examined at a time by default: each more costs a handshake.
        self._session = self._new_session(32)
        # A watch keeps its connection; those of many namespaces must leave some for the others.
        self._watching = self._new_session(0)

    def _new_session(self, connections: int) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.user_agent, "Accept": "application/json"},
        )
        # aiohttp repeats a GET once by itself, past our rate limit and uncounted.
        session._retry_connection = False  # noqa: SLF001
        return session

    async def close(self) -> None:
        await self._session.close()
        await self._watching.close()
        # A transport that was aborted tells its socket so in the next turns of the loop, which
        # may be the last ones.
        for _ in range(5):
            await asyncio.sleep(0)

    async def send(self, request: Request) -> Answer:
        """The whole answer, after as many attempts as the policy allows."""

        async def attempt() -> Answer:
            async with self.open(request) as response:
                with self.explained(request):
                    body = await response.read()
                warnings = tuple(response.headers.getall("Warning", ()))
                return Answer(status=response.status, body=body, warnings=warnings)

        return await self.retrier.run(attempt)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body in chunks as they arrive; only what comes before it is tried again."""
        async with AsyncExitStack() as stack:

            async def attempt() -> aiohttp.ClientResponse:
                return await stack.enter_async_context(self.open(request))

            response = await self.retrier.run(attempt)

            async def chunks() -> AsyncIterator[bytes]:
                try:
                    while chunk := await self.next_chunk(request, response):
                        yield chunk
                except FailedAttemptError as failed:
                    raise failed.error from failed.__cause__

            yield chunks()

    @asynccontextmanager
    async def once(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Like `open`, after waiting for the rate limit: for watches, which retry on their own."""
        await self._limiter.wait()
        async with self.open(request, self._watching) as response:
            yield response

    @asynccontextmanager
    async def open(
        self, request: Request, session: aiohttp.ClientSession | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One attempt: a response with status 2xx whose body is still to be read.

        Raises FailedAttemptError. What goes wrong while the body is read belongs to `explained`.
        """
        if self.access.is_due:
            await self.access.refresh()
        credentials = self.access.headers
        session = session or self._session
        response = await self._exchange(request, session)
        try:
            if response.status == 401:
                _leave(response)
                await self.access.replace(credentials)
                await self._limiter.wait()
                response = await self._exchange(request, session)
            if not 200 <= response.status < 300:
                raise await self._refusal(request, response)
            yield response
        finally:
            _leave(response)

    async def _exchange(
        self, request: Request, session: aiohttp.ClientSession
    ) -> aiohttp.ClientResponse:
        access, verb = self.access, request.question.verb
        headers = access.headers.copy()
        headers.update(request.headers)
        try:
            with self.explained(request):
                response = await session.request(
                    request.method,
                    URL(access.server + request.path, encoded=True),
                    data=request.body,
                    headers=headers,
                    ssl=access.ssl,
                    server_hostname=access.server_hostname,
                    proxy=access.proxy,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=request.timeout_seconds,
                        sock_connect=10.0,
                        sock_read=request.idle_seconds,
                    ),
                )
        except FailedAttemptError:
            self.sent[verb, "error"] += 1
            raise
        self.sent[verb, str(response.status)] += 1
        self.retrier.answered = True
        return response

    async def _refusal(
        self, request: Request, response: aiohttp.ClientResponse
    ) -> FailedAttemptError:
        body = b""
        while len(body) < TEXT_LIMIT and (chunk := await self.next_chunk(request, response)):
            body += chunk
        error = classify(response.status, body, request.question)
        wait_seconds = retry_after(response.headers.get("Retry-After"))
        return FailedAttemptError(
            error, final=not is_transient(error), retry_after_seconds=wait_seconds
        )

    async def next_chunk(self, request: Request, response: aiohttp.ClientResponse) -> bytes:
        """More of the body, b"" at its end; raises FailedAttemptError."""
        with self.explained(request):
            return await response.content.readany()

    async def rest(self, response: aiohttp.ClientResponse, seconds: float) -> None:
        """Leave a stream unread for a moment; what arrives meanwhile costs nothing yet."""
        transport = response.connection.transport if response.connection else None
        if transport is None:
            return
        transport.pause_reading()
        await asyncio.sleep(seconds)
        if not transport.is_closing():
            transport.resume_reading()

    def explained(self, request: Request) -> "_Explained":
        """A context that turns whatever the network does into a FailedAttemptError."""
        return _Explained(self.access, request)


class _Explained:
    __slots__ = ("_access", "_request")

    def __init__(self, access: Access, request: Request) -> None:
        self._access = access
        self._request = request

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, aiohttp.ClientError | OSError):
            return
        request = self._request
        why = network.explain(error, request.timeout_seconds or request.idle_seconds or 0.0)
        message = (
            f"cannot reach {self._access.shown_server} to {request.question}: {why}; "
            f"check with: {self._access.check_command}"
        )
        failure = ClusterError(ErrorReason.UNREACHABLE, one_line(message))
        raise FailedAttemptError(failure, final=network.is_final(error)) from error


def _leave(response: aiohttp.ClientResponse) -> None:
    """Give the connection back, or end it when there is more to come: what was not read cannot be
    skipped, and a polite goodbye over TLS waits for a peer that may be gone."""
    transport = response.connection.transport if response.connection else None
    response.close()
    if transport is not None:
        transport.abort()
