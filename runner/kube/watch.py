"""Following a collection for ever: one loop for pods and for events.

The library's own Watch retries a 410 once with the same resourceVersion and decodes every field
of every object; this loop relists, and decodes what we use.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.kube.backoff import delay_seconds
from runner.kube.errors import Question, Status, is_transient, one_line
from runner.kube.http import HttpClient, Request
from runner.kube.lines import LineSplitter, LineTooLongError
from runner.kube.retry import FailedAttemptError
from runner.model.base import Value

T = TypeVar("T")

# libcurl takes some 200 kB from a socket in one go: a read that brings most of that has left more.
_MORE_BEHIND_BYTES = 128_000


class WatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`idle_seconds` without a byte mean that the stream is dead: a living one brings a bookmark
    once a minute. `timeout_seconds` is the range of times after which the server is to end it."""

    idle_seconds: float = 90.0
    timeout_seconds: tuple[float, float] = (240.0, 300.0)
    least_seconds_between_requests: float = 1.0
    base_seconds: float = 1.0
    cap_seconds: float = 30.0

    def without_bookmarks(self) -> "WatchPolicy":
        """For what the API server does not keep in its watch cache, as events: the server's own
        end of the stream is the sign of life then."""
        most = self.idle_seconds * 0.9
        return msgspec.structs.replace(self, timeout_seconds=(most * 0.8, most))


class Change(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`type` is `modified`, `deleted`, or `synced`, which comes without an object: every one that
    exists has been given, `listed` among them those of the new list."""

    type: str
    object: T | None = None
    listed: bool = False


class _Line(Value, Generic[T], frozen=True, kw_only=True):
    type: str
    object: T


class _Meta(Value, frozen=True, kw_only=True):
    resource_version: str = ""


class _Bookmark(Value, frozen=True, kw_only=True):
    metadata: _Meta


_decode_raw = msgspec.json.Decoder(_Line[msgspec.Raw]).decode
_decode_bookmark = msgspec.json.Decoder(_Bookmark).decode
_decode_status = msgspec.json.Decoder(Status).decode
_TYPES = {"ADDED": "modified", "MODIFIED": "modified", "DELETED": "deleted"}


def _mends(failed: FailedAttemptError | ClusterError) -> bool:
    if isinstance(failed, FailedAttemptError):
        return not failed.final or failed.error.reason is ErrorReason.EXPIRED
    return is_transient(failed) or failed.reason is ErrorReason.EXPIRED


class Pacer:
    """Reads a busy stream in batches: waking up for each event costs ten times what decoding
    it does. A stream is busy after a second with more than 100 lines; then a read waits for
    100 ms of them. A quiet one is read at once, but for a reader that may wait: then 10 lines
    make it busy, and 200 ms of them are gathered."""

    def __init__(self, now: float) -> None:
        self._second_began_at = now
        self._lines = 0
        self._per_second = 0.0

    def pause_seconds(self, now: float, lines: int, *, may_wait: bool = False) -> float:
        """How long not to read, after a read at `now` that brought `lines`."""
        self._lines += lines
        elapsed = now - self._second_began_at
        if elapsed >= 1.0:
            self._per_second = self._lines / elapsed
            self._second_began_at, self._lines = now, 0
        if self._per_second > 100.0:
            return 0.1
        return 0.2 if may_wait and self._per_second > 10.0 else 0.0


class Watch(Generic[T]):
    """Of objects decoded as `as_`; `version_of` reads their resourceVersion, `relist` gives all
    of them in pages, each with the version to go on from; `may_wait` says whether a change
    may wait for others."""

    def __init__(
        self,
        http: HttpClient,
        path: str,
        query: Sequence[tuple[str, str]],
        question: Question,
        *,
        as_: type[T],
        version_of: Callable[[T], str],
        relist: Callable[[], AsyncGenerator[tuple[Sequence[T], str]]],
        policy: WatchPolicy,
        may_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._http = http
        self._path = path
        self._query = list(query)
        self._question = question
        # A line and its object at once: to find the object's end costs half of reading it.
        self._decode = msgspec.json.Decoder(_Line[as_]).decode  # type: ignore[valid-type]
        self._version_of = version_of
        self._relist = relist
        self._policy = policy
        self._may_wait = may_wait
        self._version = ""
        self._heard = False

    async def changes(self, resource_version: str) -> AsyncGenerator[Change[T]]:
        """Changes since then, without a version after a list of all there are; ends only by a
        ClusterError that waiting cannot mend."""
        loop = asyncio.get_running_loop()
        self._version = resource_version
        expired, failures = not resource_version, 0
        while True:
            started_at = loop.time()
            retry_after_seconds: float | None = None
            self._heard = False
            try:
                if expired:
                    async with aclosing(self._all()) as listed:
                        async for change in listed:
                            yield change
                    expired = False
                async with aclosing(self._stream()) as streamed:
                    async for change in streamed:
                        yield change
            except (FailedAttemptError, ClusterError) as failed:
                error = failed.error if isinstance(failed, FailedAttemptError) else failed
                expired = expired or error.reason is ErrorReason.EXPIRED
                if not _mends(failed):
                    raise error from failed.__cause__
                retry_after_seconds = getattr(failed, "retry_after_seconds", None)
            # A stream that brought something was a good one, however it ended; the first that
            # brought nothing is taken for an accident.
            failures = 0 if self._heard else failures + 1
            pause_seconds = 0.0
            if failures > 1 or retry_after_seconds is not None:
                pause_seconds = self._pause(max(failures, 1), retry_after_seconds)
            least_seconds = self._policy.least_seconds_between_requests
            if expired and failures <= 1:
                least_seconds = 0.0
            rest_seconds = least_seconds - (loop.time() - started_at)
            await asyncio.sleep(max(pause_seconds, rest_seconds, 0.0))

    def _pause(self, failures: int, retry_after_seconds: float | None) -> float:
        return delay_seconds(
            failures,
            random.random(),  # noqa: S311
            base_seconds=self._policy.base_seconds,
            cap_seconds=self._policy.cap_seconds,
            retry_after_seconds=retry_after_seconds,
        )

    async def _all(self) -> AsyncGenerator[Change[T]]:
        latest = ""
        async with aclosing(self._relist()) as pages:
            async for objects, version in pages:
                latest = version
                for item in objects:
                    yield Change(type="modified", object=item, listed=True)
        self._version = latest
        yield Change(type="synced")

    def _request(self, timeout_seconds: int) -> Request:
        query = [
            *self._query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(timeout_seconds)),
        ]
        return Request(
            method="GET",
            path=f"{self._path}?{urlencode(query)}",
            question=self._question,
            timeout_seconds=None,
            idle_seconds=self._policy.idle_seconds,
            headers={"Accept-Encoding": "identity"},
        )

    async def _stream(self) -> AsyncGenerator[Change[T]]:
        loop = asyncio.get_running_loop()
        timeout_seconds = max(1, int(random.uniform(*self._policy.timeout_seconds)))  # noqa: S311
        request, lines, pacer = self._request(timeout_seconds), LineSplitter(), Pacer(loop.time())
        async with self._http.once(request) as response:
            ends_at = loop.time() + timeout_seconds
            while chunk := await self._http.next_chunk(request, response):
                complete = self._lines(lines, chunk)
                for line in complete:
                    change = self._read(line)
                    self._heard = True
                    if change is not None:
                        yield change
                seconds = pacer.pause_seconds(loop.time(), len(complete), may_wait=self._may_wait())
                # Who rests after each read falls behind a stream that brings more in that time.
                if seconds > 0.0 and len(chunk) < _MORE_BEHIND_BYTES:
                    await self._http.rest(response, seconds)
            # Ended when it was to end: it lived, though nothing happened.
            self._heard = self._heard or loop.time() >= ends_at - 0.5

    def _lines(self, splitter: LineSplitter, chunk: bytes) -> list[bytes]:
        try:
            return splitter.feed(chunk)
        except LineTooLongError as error:
            raise self._not_understood(error) from error

    def _read(self, line: bytes) -> Change[T] | None:
        try:
            return self._change(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._not_understood(error) from error

    def _not_understood(self, error: Exception) -> ClusterError:
        message = f"the watch of {self._question.resource} is not understood: {error}"
        return ClusterError(ErrorReason.SERVER, one_line(message))

    def _change(self, line: bytes) -> Change[T] | None:
        try:
            event = self._decode(line)
        except msgspec.ValidationError:
            # An error holds a Status, a bookmark next to nothing.
            if not self._was_told(_decode_raw(line)):
                raise
            return None
        kind = _TYPES.get(event.type)
        if kind is not None:
            self._version = self._version_of(event.object)
            return Change(type=kind, object=event.object)
        self._was_told(_decode_raw(line))
        return None

    def _was_told(self, line: _Line[msgspec.Raw]) -> bool:
        """Whether that was a word of the server on the watch; raises ClusterError for an error."""
        if line.type == "BOOKMARK":
            self._version = _decode_bookmark(line.object).metadata.resource_version
        elif line.type == "ERROR":
            status = _decode_status(line.object)
            if status.code == 410 or status.reason in {"Expired", "Gone"}:
                raise ClusterError(ErrorReason.EXPIRED, one_line(status.message), status=410)
            message = f"the watch of {self._question.resource} failed: {status.message}"
            raise ClusterError(ErrorReason.SERVER, one_line(message), status=status.code or None)
        return line.type not in _TYPES
