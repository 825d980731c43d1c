"""Following a collection for ever: one loop for pods and for events.

The library's own Watch retries a 410 once with the same resourceVersion and decodes every field
of every object; this loop relists, and decodes what we use.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.kube.backoff import delay_seconds
from runner.kube.errors import Question, Status, is_transient, one_line
from runner.kube.http import FailedAttemptError, HttpClient, Request
from runner.kube.lines import LineSplitter, LineTooLongError
from runner.model.base import Value

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """`idle_seconds` without a byte mean that the stream is dead: a living one brings a bookmark
    about once a minute. `timeout_seconds` is after how long the server is to end it."""

    idle_seconds: float = 90.0
    timeout_seconds: tuple[float, float] = (240.0, 300.0)
    least_seconds_between_requests: float = 1.0
    base_seconds: float = 1.0
    cap_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """`type` is `modified`, `deleted`, or `synced`, which comes without an object: every one that
    exists has been given, `listed` among them those of the new list."""

    type: str
    object: T | None = None
    listed: bool = False


class _Line(Value, frozen=True, kw_only=True):
    type: str
    object: msgspec.Raw


class _Meta(Value, frozen=True, kw_only=True):
    resource_version: str = ""


class _Bookmark(Value, frozen=True, kw_only=True):
    metadata: _Meta


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_bookmark = msgspec.json.Decoder(_Bookmark).decode
_decode_status = msgspec.json.Decoder(Status).decode
_TYPES = {"ADDED": "modified", "MODIFIED": "modified", "DELETED": "deleted"}


class _ExpiredError(Exception):
    """410: what happened since our resourceVersion is no longer known."""


class Watch(Generic[T]):
    """`decode` makes an object of its JSON, `version_of` reads its resourceVersion, `relist`
    gives all objects in pages, each with the version to go on from."""

    def __init__(
        self,
        http: HttpClient,
        path: str,
        query: Sequence[tuple[str, str]],
        question: Question,
        *,
        decode: Callable[[msgspec.Raw], T],
        version_of: Callable[[T], str],
        relist: Callable[[], AsyncIterator[tuple[Sequence[T], str]]],
        policy: WatchPolicy,
    ) -> None:
        self._http = http
        self._path = path
        self._query = list(query)
        self._question = question
        self._decode = decode
        self._version_of = version_of
        self._relist = relist
        self._policy = policy
        self._version = ""
        self._heard = False

    async def changes(self, resource_version: str) -> AsyncIterator[Change[T]]:
        """Changes since then; ends only by a ClusterError that waiting cannot mend."""
        loop = asyncio.get_running_loop()
        self._version = resource_version
        expired, failures = False, 0
        while True:
            started_at = loop.time()
            self._heard = False
            pause_seconds = 0.0
            try:
                if expired:
                    async for change in self._all():
                        yield change
                    expired = False
                async for change in self._stream():
                    yield change
                failures = 0 if self._heard else failures + 1
            except _ExpiredError:
                expired, failures = True, 0
            except (FailedAttemptError, ClusterError) as failed:
                error = failed.error if isinstance(failed, FailedAttemptError) else failed
                if error.reason is ErrorReason.EXPIRED:
                    expired = True
                elif not is_transient(error) or getattr(failed, "final", False):
                    raise error from failed
                failures = 1 if self._heard else failures + 1
                pause_seconds = self._pause(failures, getattr(failed, "retry_after_seconds", None))
            least = self._policy.least_seconds_between_requests - (loop.time() - started_at)
            await asyncio.sleep(max(pause_seconds, least, 0.0))

    def _pause(self, failures: int, retry_after_seconds: float | None) -> float:
        return delay_seconds(
            failures,
            random.random(),  # noqa: S311
            base_seconds=self._policy.base_seconds,
            cap_seconds=self._policy.cap_seconds,
            retry_after_seconds=retry_after_seconds,
        )

    async def _all(self) -> AsyncIterator[Change[T]]:
        latest = ""
        async for objects, version in self._relist():
            latest = version
            for item in objects:
                yield Change(type="modified", object=item, listed=True)
        self._version = latest
        yield Change(type="synced")

    def _request(self) -> Request:
        seconds = random.uniform(*self._policy.timeout_seconds)  # noqa: S311
        query = [
            *self._query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(max(1, round(seconds)))),
        ]
        return Request(
            method="GET",
            path=f"{self._path}?{urlencode(query)}",
            question=self._question,
            timeout_seconds=None,
            idle_seconds=self._policy.idle_seconds,
            headers={"Accept-Encoding": "identity"},
        )

    async def _stream(self) -> AsyncIterator[Change[T]]:
        request, lines = self._request(), LineSplitter()
        async with self._http.once(request) as response, self._http.explained(request):
            while chunk := await response.content.readany():
                try:
                    for line in lines.feed(chunk):
                        change = self._read(line)
                        self._heard = True
                        if change is not None:
                            yield change
                except (msgspec.DecodeError, UnicodeDecodeError, LineTooLongError) as error:
                    message = f"the watch of {self._question.resource} is not understood: {error}"
                    raise ClusterError(ErrorReason.SERVER, one_line(message)) from error

    def _read(self, line: bytes) -> Change[T] | None:
        event = _decode_line(line)
        kind = _TYPES.get(event.type)
        if kind is not None:
            item = self._decode(event.object)
            self._version = self._version_of(item)
            return Change(type=kind, object=item)
        if event.type == "BOOKMARK":
            self._version = _decode_bookmark(event.object).metadata.resource_version
        elif event.type == "ERROR":
            status = _decode_status(event.object)
            if status.code == 410 or status.reason in {"Expired", "Gone"}:
                raise _ExpiredError
            message = f"the watch of {self._question.resource} failed: {status.message}"
            raise ClusterError(ErrorReason.SERVER, one_line(message), status=status.code or None)
        return None
