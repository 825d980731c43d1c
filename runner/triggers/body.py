"""The body of a webhook, bounded and typed: Alertmanager's version 4, and Grafana's superset."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from runner.model.base import Value

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_ALERTS = 1000
_MAX_LABELS = 100
_FINGERPRINT = re.compile(r"[0-9A-Za-z]{1,63}")
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Alertmanager writes the zero time of Go for an alert that has not ended.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Pairs = Annotated[dict[str, str], msgspec.Meta(max_length=_MAX_LABELS)]


class BodyError(ValueError):
    """Nothing was done; the message is one line, `status` the HTTP status that says the same."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RawAlert(Value, frozen=True, kw_only=True):
    """As it came."""

    labels: _Pairs
    starts_at: _Time
    status: str = "firing"
    annotations: _Pairs = msgspec.field(default_factory=dict)
    ends_at: _Time | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""

    @property
    def firing(self) -> bool:
        return self.status == "firing"

    @property
    def ended_at(self) -> datetime | None:
        """None while it fires: `endsAt` is a guess then."""
        return (
            None if self.firing or self.ends_at is None or self.ends_at < _NEVER else self.ends_at
        )

    @property
    def id(self) -> str:
        """The sender's fingerprint of the labels, or ours."""
        if _FINGERPRINT.fullmatch(self.fingerprint):
            return self.fingerprint
        return hashlib.sha256(repr(sorted(self.labels.items())).encode()).hexdigest()[:16]


class Webhook(Value, frozen=True, kw_only=True):
    """What Alertmanager and Grafana send; fields that are not here are not read."""

    version: str
    group_key: str = msgspec.field(name="groupKey")
    status: str
    alerts: tuple[RawAlert, ...]
    receiver: str = ""
    external_url: str = msgspec.field(default="", name="externalURL")
    truncated_alerts: int = 0
    org_id: int | None = None

    @property
    def source(self) -> str:
        return "alertmanager" if self.version == "4" else "grafana"


_decode = msgspec.json.Decoder(Webhook).decode


def read_body(body: bytes) -> Webhook:
    """Raises BodyError."""
    check_json(body)
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"not an Alertmanager webhook: {_one_line(error)}") from None
    # Grafana's body is Alertmanager's with more fields, under a version of its own.
    if found.version != "4" and not (found.version == "1" and found.org_id is not None):
        raise BodyError(
            f'not an Alertmanager webhook of version "4": version is "{found.version[:20]}"'
        )
    if not found.group_key or len(found.group_key) > 64 * 1024:
        raise BodyError("not an Alertmanager webhook: groupKey is empty or too long")
    if len(found.alerts) > MAX_ALERTS:
        raise BodyError(f"more than {MAX_ALERTS} alerts in one group; set max_alerts", 413)
    wrong = next((a.status for a in found.alerts if a.status not in ("firing", "resolved")), None)
    if wrong is not None:
        raise BodyError('the status of an alert is "firing" or "resolved"')
    times = (at for each in found.alerts for at in (each.starts_at, each.ended_at))
    if not all(at is None or _is_of_every_zone(at) for at in times):
        raise BodyError("startsAt or endsAt lies outside of the years 1 to 9999")
    return found


def _is_of_every_zone(at: datetime) -> bool:
    """Whether it can be told in UTC, as every page does."""
    try:
        at.astimezone(UTC)
    except OverflowError:
        return False
    return True


def check_json(body: bytes, max_bytes: int = MAX_BYTES) -> None:
    """Raises BodyError for what is too large or too deep, before anything is built of it."""
    if len(body) > max_bytes:
        raise BodyError(f"larger than {max_bytes // 1024} KiB", 413)
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS)
    # Each round takes the innermost pairs away, at the speed of C.
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise BodyError(f"nested deeper than {MAX_DEPTH} levels, or not JSON")


def _one_line(error: Exception) -> str:
    text = "".join(c if c.isprintable() else " " for c in str(error))
    return text[:300] or type(error).__name__
