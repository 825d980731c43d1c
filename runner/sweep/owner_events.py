"""An Event (events.k8s.io/v1) on the owner of a finding: `kubectl describe` then shows the cause.

A cause has one Event, whose name is its fingerprint: found again it becomes a series, as client-go
correlates. At most as many at a time as client-go lets an object have at once.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runner.cluster import ClusterError, ErrorReason, Objects, Resource
from runner.model.base import Value
from runner.model.pod import ObjectMeta
from runner.model.report import Finding, Report, Severity
from runner.permissions import OWNER_EVENTS
from runner.report.plain import one_line

EVENTS = Resource(plural=OWNER_EVENTS.resource, group=OWNER_EVENTS.group)
CONTROLLER = "podmedic.io/podmedic"
REASON = "DiagnosticsFailed"
MOST = 25
SECONDS = 10.0
_MAX_NOTE_BYTES = 1000  # the API takes 1024
_KINDS = {
    "Deployment": ("apps/v1", Resource(plural="deployments", group="apps")),
    "StatefulSet": ("apps/v1", Resource(plural="statefulsets", group="apps")),
    "DaemonSet": ("apps/v1", Resource(plural="daemonsets", group="apps")),
    "Job": ("batch/v1", Resource(plural="jobs", group="batch")),
    "Service": ("v1", Resource(plural="services")),
    "Pod": ("v1", Resource(plural="pods")),
}


class _Series(Value, frozen=True, kw_only=True):
    count: int = 1
    last_observed_time: str = ""


class _Event(Value, frozen=True, kw_only=True):
    """All that we write, so that it can be written again."""

    metadata: ObjectMeta = ObjectMeta()
    event_time: str | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: dict[str, Any] = {}  # noqa: RUF012  msgspec copies it
    note: str = ""
    type: str = ""
    series: _Series | None = None


class _Named(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()


async def tell_owners(
    objects: Objects, report: Report, findings: Sequence[Finding], link: str, now: datetime
) -> list[str]:
    """A line for each thing that went wrong; none of it is an exception."""
    critical = [each for each in findings if each.severity is Severity.CRITICAL]
    failures: dict[str, None] = {}
    try:
        async with asyncio.timeout(SECONDS):
            for finding in critical[:MOST]:
                try:
                    await _tell(objects, report, finding, link, now)
                except ClusterError as error:
                    failures[f"events: {error.message}"] = None
    except TimeoutError:
        failures[f"events: the API server did not take them within {SECONDS:g} s"] = None
    if len(critical) > MOST:
        failures[f"events: {MOST} of {len(critical)} critical findings have one"] = None
    return list(failures)


async def _tell(
    objects: Objects, report: Report, finding: Finding, link: str, now: datetime
) -> None:
    namespace, name = finding.workload.namespace, f"podmedic-{finding.fingerprint}"
    time = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    regarding = await _regarding(objects, report, finding)
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "podmedic"},
        },
        "eventTime": time,
        "reportingController": CONTROLLER,
        "reportingInstance": report.run.id,
        "action": "Diagnose",
        "reason": REASON,
        "type": "Warning",
        "regarding": regarding,
        "note": note_of(
            finding, link.replace("{run}", report.run.id), redacted=report.run.redacted
        ),
    }  # fmt: skip
    try:
        await objects.create(EVENTS, namespace, body, _Event)
    except ClusterError as error:
        if error.reason is not ErrorReason.CONFLICT:
            raise
        await _again(objects, await objects.get(EVENTS, name, namespace, _Event), time)


async def _again(objects: Objects, known: _Event, time: str) -> None:
    count = known.series.count if known.series else 1
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": known.metadata.name,
            "namespace": known.metadata.namespace,
            "resourceVersion": known.metadata.resource_version,
            "labels": {"app.kubernetes.io/name": "podmedic"},
        },
        "eventTime": known.event_time,
        "reportingController": known.reporting_controller,
        "reportingInstance": known.reporting_instance,
        "action": known.action,
        "reason": known.reason,
        "type": known.type,
        "regarding": known.regarding,
        "note": known.note,
        "series": {"count": count + 1, "lastObservedTime": time},
    }
    name, namespace = known.metadata.name, known.metadata.namespace
    try:
        await objects.replace(EVENTS, name, namespace, body, _Event)
    except ClusterError as error:
        if error.reason is not ErrorReason.CONFLICT:
            raise


async def _regarding(objects: Objects, report: Report, finding: Finding) -> dict[str, Any]:
    """The owner, where it is of a kind whose API is known, else the first pod. `kubectl describe`
    looks for events by uid."""
    workload = finding.workload
    known = _KINDS.get(workload.kind)
    if known is None and finding.pods:
        ref = finding.pods[0]
        uid = _uid_of_pod(report, ref.namespace, ref.name)
        return _reference("v1", "Pod", ref.namespace, ref.name, uid)
    if known is None:
        return _reference("", workload.kind, workload.namespace, workload.name, "")
    version, resource = known
    uid = _uid_of_pod(report, workload.namespace, workload.name) if workload.kind == "Pod" else ""
    if not uid:
        uid = await _uid(objects, resource, workload.namespace, workload.name)
    return _reference(version, workload.kind, workload.namespace, workload.name, uid)


async def _uid(objects: Objects, resource: Resource, namespace: str, name: str) -> str:
    """Empty where it may not be seen: then `kubectl events --for` finds it by name."""
    try:
        found = await objects.list(
            resource, namespace, _Named, field_selector=f"metadata.name={name}", metadata_only=True
        )
    except ClusterError:
        return ""
    return found[0].metadata.uid if found else ""


def _uid_of_pod(report: Report, namespace: str, name: str) -> str:
    return next(
        (pod.uid for pod in report.pods if (pod.namespace, pod.name) == (namespace, name)), ""
    )


def _reference(version: str, kind: str, namespace: str, name: str, uid: str) -> dict[str, Any]:
    made = {"apiVersion": version, "kind": kind, "namespace": namespace, "name": name, "uid": uid}
    return {key: value for key, value in made.items() if value}


def note_of(finding: Finding, link: str, *, redacted: bool = True) -> str:
    """The cause as a sentence, and where to read more; never an output."""
    stamp = "" if redacted else "Not redacted (--no-redact): "
    more = f" {link}" if link else ""
    room = _MAX_NOTE_BYTES - len(more.encode())
    said = one_line(f"{stamp}{finding.message or finding.title}").encode()
    return said[:room].decode(errors="ignore") + more
