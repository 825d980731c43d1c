"""What may be started now, decided from the Jobs that the API server has. Pure."""

from collections.abc import Collection, Container, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from runner.model.trigger import Alert
from runner.triggers.jobs import Job, about, alert_id, known_ids

_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`runs_per_minute` are released within any 60 s, `runs` go on at the same time, `queued` wait;
    after a run about a workload none is started for it within `cool_down_seconds`."""

    runs_per_minute: int = 6
    runs: int = 5
    queued: int = 100
    cool_down_seconds: float = 300.0


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """`fresh` alerts need a run; `known` have one, `cooling` are covered by one that was about the
    same workload: by the name of that run."""

    fresh: tuple[Alert, ...]
    known: tuple[tuple[Alert, str], ...]
    cooling: tuple[tuple[Alert, str], ...]


def sort_alerts(
    alerts: Sequence[Alert], jobs: Collection[Job], limits: Limits, now: datetime
) -> Sorted:
    """Those that fire and are about something."""
    runs = known_ids(jobs)
    since = now - timedelta(seconds=limits.cool_down_seconds)
    warm = {
        each: job.name
        for job in jobs
        if limits.cool_down_seconds > 0 and (_made_at(job) > since or job.spec.suspend)
        for each in job.about
    }
    fresh, known, cooling = [], [], []
    unique: dict[str, Alert] = {}
    for alert in alerts:
        unique.setdefault(alert_id(alert), alert)
    for alert in unique.values():
        if alert.aim is None or not alert.firing:
            continue
        if run := runs.get(alert_id(alert)):
            known.append((alert, run))
        elif run := warm.get(about(alert.aim)):
            cooling.append((alert, run))
        else:
            fresh.append(alert)
    return Sorted(fresh=tuple(fresh), known=tuple(known), cooling=tuple(cooling))


def is_full(jobs: Collection[Job], limits: Limits, *, asked: bool = False) -> bool:
    """What is asked for by somebody may be half of it: alerts find room whoever asks how often."""
    waiting = queued(jobs)
    if asked and sum(job.asked for job in waiting) >= max(limits.queued // 2, 1):
        return True
    return len(waiting) >= limits.queued


def queued(jobs: Collection[Job]) -> list[Job]:
    """Those that wait, the oldest first."""
    waiting = (job for job in jobs if job.state == "queued")
    return sorted(waiting, key=lambda job: (_made_at(job), job.name))


def in_flight(jobs: Collection[Job]) -> int:
    return sum(not job.spec.suspend and job.end is None for job in jobs)


def failed(jobs: Collection[Job]) -> int:
    return sum(job.state == "failed" for job in jobs)


def to_release(
    jobs: Collection[Job], limits: Limits, now: datetime, held: Container[str] = ()
) -> list[Job]:
    """Those that may begin now, the oldest first: all that Kueue is to release, which has limits of
    its own, and as many others as there is room for. Not those that are `held`, by name, and none
    that somebody suspended again."""
    waiting = [job for job in queued(jobs) if not job.begun and job.name not in held]
    lately = sum(1 for job in jobs if (at := job.released_at) is not None and at > now - _MINUTE)
    room = min(limits.runs_per_minute - lately, limits.runs - in_flight(jobs))
    ours = [job for job in waiting if not job.queue]
    return [job for job in waiting if job.queue] + ours[: max(room, 0)]


def _made_at(job: Job) -> datetime:
    return job.metadata.creation_timestamp or _EPOCH
