"""A run as a Kubernetes Job: its name, its manifest, and what a Job of ours says. Pure.

The Job is the queue's entry: made suspended, with everything that the run needs to know inside, so
that one request stores it whole; released within the budget.
"""

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from runner.model.base import Value
from runner.model.trigger import Aim, Alert, Trigger
from runner.triggers.request import MAX_SKEW_SECONDS

LABEL = "podmedic.io/trigger"
ALERTS = "podmedic.io/alerts"
ABOUT = "podmedic.io/about"
RELEASED_AT = "podmedic.io/released-at"
COVERED_BY = "podmedic.io/covered-by"
FENCE = "podmedic.io/fence"
QUEUE = "podmedic.io/queue-name"
RESOLVED = "resolved.podmedic.io/"
TRIGGER = "podmedic.io/trigger"
KUEUE_LABEL = "kueue.x-k8s.io/queue-name"
FOLDER = "/var/run/podmedic"
FILE = "trigger.json"
_VOLUME = "podmedic-trigger"
# All annotations of an object are 256 KiB at most, and a pod's are written twice.
MAX_TRIGGER_BYTES = 96 * 1024
MAX_NAME = 63
_DIGITS = 20
_DEFAULT_TTL_SECONDS = 24 * 3600
_DEFAULT_DEADLINE_SECONDS = 1200
# The budget counts a minute back, and a signature holds for so long at most, by a clock that is
# ahead: sent once more it is to find its run.
_MIN_TTL_SECONDS = 2 * MAX_SKEW_SECONDS
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# What controllers append to the names of their pods: Kubernetes' own alphabet of random names.
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIXES = re.compile(rf"(-[{_RANDOM}]{{6,10}})?-[{_RANDOM}]{{5}}$|-[0-9]{{1,5}}$")


class Meta(Value, frozen=True, kw_only=True):
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)

    def ids(self, annotation: str) -> frozenset[str]:
        """Of an annotation that is a list."""
        return frozenset(filter(None, self.annotations.get(annotation, "").split(",")))


class _Spec(Value, frozen=True, kw_only=True):
    suspend: bool = False


class _Condition(Value, frozen=True, kw_only=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class _Status(Value, frozen=True, kw_only=True):
    start_time: datetime | None = None
    active: int = 0
    # Not there before Kubernetes 1.24.
    ready: int | None = None
    failed: int = 0
    conditions: tuple[_Condition, ...] | None = None


class Job(Value, frozen=True, kw_only=True):
    """As much of a Job as the queue is made of."""

    metadata: Meta = Meta()
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def end(self) -> _Condition | None:
        """Of `Complete` and `Failed` the one that holds."""
        ends = (c for c in self.status.conditions or () if c.type in ("Complete", "Failed"))
        return next((c for c in ends if c.status == "True"), None)

    @property
    def begun(self) -> bool:
        """Whether it was ever released, or handed to Kueue: its alerts are its own from then on."""
        meta = self.metadata
        return (
            not self.spec.suspend or RELEASED_AT in meta.annotations or KUEUE_LABEL in meta.labels
        )

    @property
    def asked(self) -> bool:
        """Whether somebody who is no alert asked for it."""
        return self.metadata.labels.get(LABEL) == "request"

    @property
    def queue(self) -> str:
        """Kueue's, which releases it; empty where we do."""
        return self.metadata.annotations.get(QUEUE, "")

    @property
    def covered_by(self) -> tuple[str, ...]:
        """The runs that took all of its alerts before it began: it never will."""
        return tuple(sorted(self.metadata.ids(COVERED_BY)))

    @property
    def state(self) -> str:
        if self.end is not None:
            return "succeeded" if self.end.type == "Complete" else "failed"
        if self.covered_by:
            return "covered"
        if self.spec.suspend:
            return "queued"
        # A pod that waits for its image or a node is active, too.
        runs = self.status.active and self.status.ready != 0
        return "running" if runs else "starting"

    @property
    def alerts(self) -> frozenset[str]:
        return self.metadata.ids(ALERTS)

    @property
    def about(self) -> frozenset[str]:
        return self.metadata.ids(ABOUT)

    @property
    def released_at(self) -> datetime | None:
        """None while it waits. A Job that somebody else released counts from its start."""
        if self.spec.suspend:
            return None
        text = "" if self.queue else self.metadata.annotations.get(RELEASED_AT, "")
        with suppress(ValueError):
            at = datetime.fromisoformat(text)
            # Whoever may write there may write nonsense.
            if at.tzinfo is not None:
                return at
        return self.status.start_time or self.metadata.creation_timestamp

    @property
    def resolved(self) -> dict[str, str]:
        """When alerts of it ended, by fingerprint."""
        found = self.metadata.annotations.items()
        return {k.removeprefix(RESOLVED): v for k, v in found if k.startswith(RESOLVED)}

    @property
    def version(self) -> int:
        return int(self.metadata.resource_version or 0)


def alert_id(alert: Alert) -> str:
    """The same for a repeat and for another replica of Alertmanager; another one when the alert
    went away and came back."""
    return f"{alert.fingerprint}@{alert.starts_at.timestamp():.3f}"


def about(aim: Aim) -> str:
    """The same for all pods of a workload, as far as names tell: what the cool-down counts by."""
    target = aim.target
    what = target.workload or target.selector or _SUFFIXES.sub("", target.pod)
    whole = "\n".join((target.namespace, what.rpartition("/")[2], *aim.playbooks))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def job_name(prefix: str, group_key: str, ids: Iterable[str]) -> str:
    # As a list: a group may be called what looks like a group and an alert.
    digest = hashlib.sha256(msgspec.json.encode([group_key, *sorted(ids)])).hexdigest()
    return f"{prefix}-{digest[:_DIGITS]}"


def parts(trigger: Trigger) -> tuple[Trigger, ...]:
    """The trigger in pieces that fit into an object each, most often one; the same pieces for the
    same alerts in any order."""
    found: list[list[Alert]] = [[]]
    room = MAX_TRIGGER_BYTES - len(encode(msgspec.structs.replace(trigger, alerts=())))
    left = room
    for alert in sorted(trigger.alerts, key=alert_id):
        size = len(msgspec.json.encode(alert)) + 1
        if size > left and found[-1]:
            found.append([])
            left = room
        found[-1].append(alert)
        left -= size
    return tuple(msgspec.structs.replace(trigger, alerts=tuple(each)) for each in found)


def encode(trigger: Trigger) -> bytes:
    return msgspec.json.encode(trigger)


class TemplateError(ValueError):
    """What keeps a file from being a template of our Jobs, in one sentence."""


class Template:
    """A Job's manifest of the operator's, to which a trigger is added. Raises TemplateError."""

    def __init__(self, manifest: Any, cool_down_seconds: float) -> None:
        whole = manifest if isinstance(manifest, Mapping) else {}
        if (whole.get("apiVersion"), whole.get("kind")) != ("batch/v1", "Job"):
            raise TemplateError("expected one document with apiVersion: batch/v1 and kind: Job")
        self._manifest = copy.deepcopy(dict(whole))
        metadata = _map(self._manifest, "metadata")
        self.prefix = str(metadata.pop("name", "") or "podmedic")
        for key in ("namespace", "generateName"):
            metadata.pop(key, None)
        most = MAX_NAME - 1 - _DIGITS
        if len(self.prefix) > most or not _PREFIX.fullmatch(self.prefix):
            raise TemplateError(
                f"metadata.name is the beginning of every Job's name: {most} lower case letters, "
                "digits and - at most"
            )
        spec = _map(self._manifest, "spec")
        ttl = spec.setdefault("ttlSecondsAfterFinished", _DEFAULT_TTL_SECONDS)
        least = max(cool_down_seconds, _MIN_TTL_SECONDS)
        if not isinstance(ttl, int) or ttl < least:
            raise TemplateError(
                f"spec.ttlSecondsAfterFinished is less than {least:g} s: what is forgotten so "
                "early would be run again"
            )
        spec.setdefault("activeDeadlineSeconds", _DEFAULT_DEADLINE_SECONDS)
        # Kueue takes a Job as soon as it has the label: not before it is known what the Job runs.
        self._queue = str(_map(metadata, "labels").pop(KUEUE_LABEL, ""))
        self._containers()

    def _containers(self) -> list[dict[str, Any]]:
        pod = _map(_map(_map(self._manifest, "spec"), "template"), "spec")
        containers = pod.get("containers")
        if (
            not isinstance(containers, list)
            or not containers
            or not isinstance(containers[0], dict)
        ):
            raise TemplateError("spec.template.spec.containers: expected a container")
        if pod.get("restartPolicy") not in ("Never", "OnFailure"):
            raise TemplateError("spec.template.spec.restartPolicy: expected Never")
        return containers

    def job(self, name: str, trigger: Trigger) -> dict[str, Any]:
        """The manifest to create: suspended, with the trigger in it."""
        made = copy.deepcopy(self._manifest)
        metadata, spec = _map(made, "metadata"), _map(made, "spec")
        metadata["name"] = name
        _map(metadata, "labels")[LABEL] = trigger.source
        _map(metadata, "annotations").update(
            index_of(trigger) | ({QUEUE: self._queue} if self._queue else {})
        )
        spec["suspend"] = True
        template = _map(spec, "template")
        inside = _map(template, "metadata")
        _map(inside, "labels")[LABEL] = trigger.source
        document = encode(msgspec.structs.replace(trigger, id=name)).decode()
        _map(inside, "annotations")[TRIGGER] = document
        pod = _map(template, "spec")
        pod["volumes"] = [*pod.get("volumes", []), _volume()]
        first = pod["containers"][0]
        first["args"] = [*first.get("args", []), f"--trigger={FOLDER}/{FILE}"]
        mount = {"name": _VOLUME, "mountPath": FOLDER, "readOnly": True}
        first["volumeMounts"] = [*first.get("volumeMounts", []), mount]
        return made


def index_of(trigger: Trigger | None) -> dict[str, str]:
    """What the queue reads of a trigger, as annotations of its Job."""
    alerts = () if trigger is None else trigger.alerts
    aims = () if trigger is None else trigger.aims()
    return {
        ALERTS: ",".join(sorted(alert_id(each) for each in alerts if each.aim is not None)),
        ABOUT: ",".join(sorted({about(aim) for aim in aims})),
    }


def trigger_of_job(job: Mapping[str, Any]) -> Trigger | None:
    """What a Job of ours was made for; None where it is not to be read."""
    template = _map(_map(dict(job), "spec"), "template")
    text = _map(_map(template, "metadata"), "annotations").get(TRIGGER, "")
    try:
        return msgspec.json.decode(str(text), type=Trigger)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _volume() -> dict[str, Any]:
    field = {"fieldPath": f"metadata.annotations['{TRIGGER}']"}
    return {"name": _VOLUME, "downwardAPI": {"items": [{"path": FILE, "fieldRef": field}]}}


def _map(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        found = value[key] = {}
    return found


def known_ids(jobs: Iterable[Job]) -> dict[str, str]:
    """The run of every alert that has one; of several the one that has begun, or the first."""
    found: dict[str, str] = {}
    for job in sorted(jobs, key=lambda job: (not job.begun, job.name)):
        for each in job.alerts:
            found.setdefault(each, job.name)
    return found


def with_alerts(trigger: Trigger, alerts: Sequence[Alert]) -> Trigger:
    left = len(trigger.alerts) - len(alerts)
    return msgspec.structs.replace(
        trigger, alerts=tuple(alerts), not_shown=trigger.not_shown + left
    )
