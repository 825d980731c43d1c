"""Rate limit, retries, credentials and counting around every request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import MappingProxyType

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.kube import network
from runner.kube.access import Access
from runner.kube.backoff import retry_after
from runner.kube.curl import Client, Outgoing, Response, TransferError
from runner.kube.errors import TEXT_LIMIT, Question, classify, is_transient, one_line
from runner.kube.limit import RateLimiter
from runner.kube.places import Places
from runner.kube.retry import FailedAttemptError, Retrier, RetryPolicy

# The most is as many as pods are examined at a time by default.
_FEW_CONNECTIONS, _MOST_CONNECTIONS = 4, 32
_PATIENCE_SECONDS = 0.25


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`path` comes quoted, with its query. `timeout_seconds` is for one attempt, all of it; None
    leaves a stream alone as long as it sends something every `idle_seconds`."""

    method: str
    path: str
    question: Question
    body: bytes | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    timeout_seconds: float | None = 60.0
    idle_seconds: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
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
        self._client = Client(Places(_FEW_CONNECTIONS, _MOST_CONNECTIONS, _PATIENCE_SECONDS))
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}

    async def close(self) -> None:
        await self._client.close()

    async def send(self, request: Request) -> Answer:
        """The whole answer, after as many attempts as the policy allows."""

        async def attempt() -> Answer:
            response = await self._open(request, is_whole=True)
            try:
                return Answer(
                    status=response.status,
                    body=response.body(),
                    warnings=tuple(response.header("Warning")),
                )
            finally:
                response.close()

        return await self.retrier.run(attempt)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body in chunks as they arrive; only what comes before it is tried again."""
        async with AsyncExitStack() as stack:

            async def attempt() -> Response:
                response = await self._open(request)
                stack.callback(response.close)
                return response

            response = await self.retrier.run(attempt)

            async def chunks() -> AsyncIterator[bytes]:
                try:
                    while chunk := await self.next_chunk(request, response):
                        yield chunk
                except FailedAttemptError as failed:
                    raise failed.error from failed.__cause__

            yield chunks()

    @asynccontextmanager
    async def once(self, request: Request) -> AsyncIterator[Response]:
        """One attempt, after waiting for the rate limit: for watches, which retry on their own.

        Raises FailedAttemptError. A watch keeps its connection; those of many namespaces must
        leave some for the others.
        """
        await self._limiter.wait()
        response = await self._open(request, has_place=False)
        try:
            yield response
        finally:
            response.close()

    async def _open(
        self, request: Request, *, is_whole: bool = False, has_place: bool = True
    ) -> Response:
        """One attempt: a response with status 2xx, to be closed; the body of one that is not
        whole is still to be read. Raises FailedAttemptError."""
        if self.access.is_due:
            await self.access.refresh()
        credentials = self.access.headers
        response = await self._exchange(request, is_whole=is_whole, has_place=has_place)
        if response.status == 401:
            response.close()
            await self.access.replace(credentials)
            await self._limiter.wait()
            response = await self._exchange(request, is_whole=is_whole, has_place=has_place)
        if not 200 <= response.status < 300:
            try:
                raise await self._refusal(request, response)
            finally:
                response.close()
        return response

    async def _exchange(self, request: Request, *, is_whole: bool, has_place: bool) -> Response:
        access, verb = self.access, request.question.verb
        headers = {**self._headers, **request.headers}
        outgoing = Outgoing(
            method=request.method,
            url=access.server + request.path,
            headers=(*headers.items(), *access.headers),
            trust=access.trust,
            body=request.body,
            proxy=access.proxy,
            name_in_certificate=access.server_hostname,
            timeout_seconds=request.timeout_seconds,
            idle_seconds=request.idle_seconds,
        )
        try:
            with self._explained(request):
                response = await self._client.open(outgoing, is_whole=is_whole, has_place=has_place)
        except FailedAttemptError:
            self.sent[verb, "error"] += 1
            raise
        self.sent[verb, str(response.status)] += 1
        self.retrier.answered = True
        return response

    async def _refusal(self, request: Request, response: Response) -> FailedAttemptError:
        body = b""
        while len(body) < TEXT_LIMIT and (chunk := await self.next_chunk(request, response)):
            body += chunk
        error = classify(response.status, body, request.question)
        asked = retry_after(next(iter(response.header("Retry-After")), None))
        return FailedAttemptError(error, final=not is_transient(error), retry_after_seconds=asked)

    async def next_chunk(self, request: Request, response: Response) -> bytes:
        """More of the body, b"" at its end; raises FailedAttemptError."""
        with self._explained(request):
            return await response.next_chunk()

    async def rest(self, response: Response, seconds: float) -> None:
        """Leave a stream unread for a moment; what arrives meanwhile costs nothing yet."""
        response.pause()
        await asyncio.sleep(seconds)
        response.resume()

    @contextmanager
    def _explained(self, request: Request) -> Iterator[None]:
        try:
            yield
        except TransferError as error:
            raise self.unreachable(
                request, network.explain(error, self.access.proxy), is_final=network.is_final(error)
            ) from error

    def unreachable(self, request: Request, why: str, *, is_final: bool) -> FailedAttemptError:
        """What is to be raised when there was no answer; `why` in a few words."""
        message = (
            f"cannot reach {self.access.shown_server} to {request.question}: {why}; "
            f"check with: {self.access.check_command}"
        )
        failure = ClusterError(ErrorReason.UNREACHABLE, one_line(message))
        return FailedAttemptError(failure, final=is_final)
