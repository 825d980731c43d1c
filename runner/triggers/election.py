"""Which Job runs an alert that several Jobs have. Pure.

Replicas that see different parts of a group at the same instant may each store a Job for an alert
that both parts have. The Job that begins first runs it; another one begins with what is left, and
one that has nothing left never begins. runner/serve/release.py says how "first" is one answer for
everybody who asks.
"""

from collections.abc import Collection, Container, Iterable, Sequence
from datetime import datetime
from typing import Any

from runner.model.base import Value
from runner.model.trigger import Trigger
from runner.triggers.jobs import (
    ALERTS,
    COVERED_BY,
    KUEUE_LABEL,
    RELEASED_AT,
    TRIGGER,
    Job,
    Meta,
    alert_id,
    encode,
    index_of,
    with_alerts,
)
from runner.triggers.queue import queued


class Listed(Value, frozen=True, kw_only=True):
    """A Job in a list of metadata: what its spec and status say is not known."""

    metadata: Meta = Meta()

    @property
    def name(self) -> str:
        return self.metadata.name


def rivals(job: Job, listed: Iterable[Listed]) -> list[Listed]:
    """The Jobs that have one of its alerts, too, and may begin or have begun."""
    found = (
        each
        for each in listed
        if each.metadata.uid != job.metadata.uid
        and COVERED_BY not in each.metadata.annotations
        and not job.alerts.isdisjoint(each.metadata.ids(ALERTS))
    )
    return sorted(found, key=lambda each: each.name)


def begin_body(job: Job, at: datetime) -> dict[str, Any]:
    """The patch that lets it begin, or hands it to Kueue."""
    body: dict[str, Any] = {"metadata": {"annotations": {RELEASED_AT: at.isoformat()}}, "spec": {}}
    if job.queue:
        body["metadata"]["labels"] = {KUEUE_LABEL: job.queue}
    else:
        body["spec"]["suspend"] = False
    return body


def to_cover(jobs: Collection[Job], held: Container[str] = ()) -> list[tuple[Job, list[Job]]]:
    """Those that wait though every alert of theirs is in Jobs that have begun, with those; not
    those that are `held`, by name."""
    waiting = [j for j in queued(jobs) if j.alerts and not j.begun and j.name not in held]
    if not waiting:
        return []
    holders = {
        each: job
        for job in sorted(jobs, key=lambda job: job.name, reverse=True)
        if job.begun
        for each in job.alerts
    }
    found = []
    for job in waiting:
        if job.alerts <= holders.keys():
            by = {holders[each].name: holders[each] for each in job.alerts}
            found.append((job, [by[name] for name in sorted(by)]))
    return found


def cover_body(by: Sequence[Job], *, owned: bool) -> dict[str, Any]:
    """The patch that says of a Job that others run its alerts. Nobody releases it from then on, and
    `owned` by them it goes when the last of them goes."""
    annotations = {COVERED_BY: ",".join(job.name for job in by)} | index_of(None)
    metadata: dict[str, Any] = {"annotations": annotations}
    if owned:
        metadata["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.metadata.uid}
            for job in by
        ]
    return {"metadata": metadata}


def trim(body: dict[str, Any], trigger: Trigger, taken: Collection[str]) -> None:
    """Adds to a patch that the Job begins without these alerts."""
    left = without(trigger, taken)
    body["metadata"]["annotations"] |= index_of(left)
    # As long as it is suspended and never began, the API server lets these annotations change.
    inside = {TRIGGER: encode(left).decode()}
    body["spec"]["template"] = {"metadata": {"annotations": inside}}


def without(trigger: Trigger, taken: Collection[str]) -> Trigger:
    return with_alerts(trigger, [each for each in trigger.alerts if alert_id(each) not in taken])
