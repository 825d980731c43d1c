"""Faults that a network or an API server may show a client: small values, no I/O.

Each constructor of `Fault` takes what to match: `method`, `path` (a regular expression for the
whole path), `query` (parameters that must be there, each with a regular expression for its whole
value), and `times`, how often it strikes (None: always).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, TypedDict, Unpack


class Matching(TypedDict, total=False):
    """What a fault is matched by; everything left out matches."""

    method: str
    path: str
    query: Mapping[str, str]
    times: int | None


@dataclass(frozen=True)
class Answer:
    """Answered by the proxy; the API server never sees the request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class DropRequest:
    """The connection is closed; the API server never sees the request."""


@dataclass(frozen=True)
class DropResponse:
    """The connection is closed after the API server applied the request and answered."""


@dataclass(frozen=True)
class EndStream:
    """The answer ends after so many bytes or seconds, whichever comes first.

    `half_open`: it does not end, but stays silent for ever on an open connection.
    """

    after_bytes: int | None
    after_seconds: float | None
    half_open: bool = False


@dataclass(frozen=True)
class ErrorEvent:
    """A watch ends with an event of type ERROR after so many events."""

    after_events: int
    event: bytes


@dataclass(frozen=True)
class Latency:
    """The request waits before it goes on; other faults still apply to it."""

    seconds: float


Action = Answer | DropRequest | DropResponse | EndStream | ErrorEvent | Latency


@dataclass(frozen=True)
class Seen:
    """A request as it came: `query` has the last value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """Which requests; what is None, or empty, matches all."""

    method: str | None = None
    path: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> bool:
        return (
            self.method in (None, seen.method)
            and (self.path is None or re.fullmatch(self.path, seen.path) is not None)
            and all(
                name in seen.query and re.fullmatch(value, seen.query[name]) is not None
                for name, value in self.query.items()
            )
        )


@dataclass(frozen=True, eq=False)
class Fault:
    """What happens to requests that match; compared by identity, so that each strikes alone."""

    match: Match
    action: Action
    times: int | None

    @classmethod
    def _of(cls, action: Action, matching: Matching) -> Self:
        method, path = matching.get("method"), matching.get("path")
        match = Match(method, path, matching.get("query", {}))
        return cls(match, action, matching.get("times", 1))

    @classmethod
    def drop_request(cls, **matching: Unpack[Matching]) -> Self:
        """No answer; the request was not applied."""
        return cls._of(DropRequest(), matching)

    @classmethod
    def drop_response(cls, **matching: Unpack[Matching]) -> Self:
        """No answer, though the request was applied."""
        return cls._of(DropResponse(), matching)

    @classmethod
    def too_many_requests(
        cls, *, retry_after_seconds: int = 1, **matching: Unpack[Matching]
    ) -> Self:
        """429 as priority and fairness gives it: plain text, Retry-After."""
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Retry-After": str(retry_after_seconds),
        }
        body = b"Too many requests, please try again later.\n"
        return cls._of(Answer(429, headers, body), matching)

    @classmethod
    def status(cls, code: int, reason: str, message: str, **matching: Unpack[Matching]) -> Self:
        """An error with a Status body: 500 `InternalError`, 503 `ServiceUnavailable`."""
        headers = {"Content-Type": "application/json"}
        return cls._of(Answer(code, headers, _status(code, reason, message)), matching)

    @classmethod
    def answer(cls, body: bytes, **matching: Unpack[Matching]) -> Self:
        """200 with this JSON, in the place of an API that the lab does not serve."""
        return cls._of(Answer(200, {"Content-Type": "application/json"}, body), matching)

    @classmethod
    def expired_watch(cls, **matching: Unpack[Matching]) -> Self:
        """410 to the start of a watch."""
        matching["query"] = {"watch": "true|1", **matching.get("query", {})}
        message = "The resourceVersion for the provided watch is too old."
        return cls.status(410, "Expired", message, **matching)

    @classmethod
    def expired_continue(cls, **matching: Unpack[Matching]) -> Self:
        """410 to a request for the next page of a list."""
        matching["query"] = {"continue": ".+", **matching.get("query", {})}
        message = "The provided continue parameter is too old to display a consistent list result."
        return cls.status(410, "Expired", message, **matching)

    @classmethod
    def expired_event(cls, *, after_events: int = 0, **matching: Unpack[Matching]) -> Self:
        """A watch ends with ERROR 410 after it let so many events through."""
        matching["query"] = {"watch": "true|1", **matching.get("query", {})}
        status = json.loads(_status(410, "Expired", "too old resource version: 1 (2)"))
        event = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        return cls._of(ErrorEvent(after_events, event), matching)

    @classmethod
    def cut(
        cls,
        *,
        after_bytes: int | None = None,
        after_seconds: float | None = None,
        **matching: Unpack[Matching],
    ) -> Self:
        """The connection is closed in the middle of the answer."""
        return cls._of(EndStream(after_bytes, after_seconds), matching)

    @classmethod
    def half_open(
        cls,
        *,
        after_bytes: int | None = None,
        after_seconds: float | None = None,
        **matching: Unpack[Matching],
    ) -> Self:
        """The answer stops and the connection stays open, as when a peer lost its power."""
        return cls._of(EndStream(after_bytes, after_seconds, half_open=True), matching)

    @classmethod
    def latency(cls, seconds: float, **matching: Unpack[Matching]) -> Self:
        """Requests arrive so much later."""
        return cls._of(Latency(seconds), matching)


def _status(code: int, reason: str, message: str) -> bytes:
    value = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return json.dumps(value).encode()
