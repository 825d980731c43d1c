"""The end of the story: which of the alerts that started a run have ended, and when. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from runner.model.base import Value
from runner.model.trigger import Alert, Trigger
from runner.triggers.body import BodyError, check_json, read_body
from runner.triggers.jobs import alert_id

Ended = Callable[[Alert], datetime | None]
"""When an alert ended; None where it is not known to have."""

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Run(Value, frozen=True, kw_only=True):
    """As much as is read of what `GET /v1/runs/NAME` says."""

    run: str
    resolved: dict[str, _Time]


_decode_run = msgspec.json.Decoder(_Run).decode


def with_resolved(trigger: Trigger, ended: Ended) -> Trigger:
    return msgspec.structs.replace(
        trigger,
        alerts=tuple(
            msgspec.structs.replace(each, resolved_at=each.resolved_at or ended(each))
            for each in trigger.alerts
        ),
    )


def by_fingerprint(resolved: Mapping[str, str]) -> Ended:
    """From the annotations of a run's Job: whoever may write there may write nonsense."""

    def ended(alert: Alert) -> datetime | None:
        try:
            at = datetime.fromisoformat(resolved.get(alert.fingerprint, ""))
            return None if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    return ended


def read_ended(body: bytes, trigger: Trigger) -> Ended:
    """From a later webhook about the alerts of `trigger`, or from what serve says of its run.
    Raises BodyError."""
    check_json(body)
    try:
        run = _decode_run(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = {
            f"{each.id}@{each.starts_at.timestamp():.3f}": each.ended_at
            for each in read_body(body).alerts
            if not each.firing
        }
        return lambda alert: found.get(alert_id(alert))
    if run.run != trigger.id:
        raise BodyError(f"it is about run {run.run[:64]!r}, not {trigger.id!r}")
    return lambda alert: run.resolved.get(alert.fingerprint)
