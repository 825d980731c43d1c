"""Does a playbook mean this pod, and can an ephemeral container ever run in it?"""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from runner.model.examination import TargetCondition
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.select.condition import app_statuses, conditions_of
from runner.select.workload import workload_of

# As runner.injection has it, which is built on this.
COPY_LABEL = "podmedic.io/copy"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class Skip(NamedTuple):
    reason: str
    message: str


class Owner(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...


class Targets(Protocol):
    """The part of a playbook's `targets` that is decided here; the API server applies the label
    and field selectors."""

    @property
    def namespaces(self) -> Sequence[str]: ...
    @property
    def owners(self) -> Sequence[Owner]: ...
    @property
    def conditions(self) -> Sequence[TargetCondition]: ...
    @property
    def min_restarts(self) -> int | None: ...
    @property
    def min_age_seconds(self) -> float | None: ...
    @property
    def max_age_seconds(self) -> float | None: ...


def skip_reason(pod: Pod) -> Skip | None:
    """Why no ephemeral container can ever run in this pod, or None.

    The API server accepts an injection in most of these and the kubelet never starts it
    (kubernetes-facts.md section 1.1), so the decision is ours.
    """
    if pod.metadata.deletion_timestamp is not None:
        return Skip("Terminating", "the pod is being deleted; the kubelet starts nothing in it")
    if pod.status.phase in ("Succeeded", "Failed"):
        reason = f" ({pod.status.reason})" if pod.status.reason else ""
        return Skip("Finished", f"the pod has finished: phase {pod.status.phase}{reason}")
    if COPY_LABEL in pod.metadata.labels:
        return Skip("Copy", "the pod is a copy that podmedic made to look at another one")
    if MIRROR_ANNOTATION in pod.metadata.annotations:
        return Skip("StaticPod", "static pods do not support ephemeral containers")
    if "windows" in (pod.spec.os.get("name"), pod.spec.node_selector.get("kubernetes.io/os")):
        return Skip("Windows", "the debugger images are for Linux")
    return None


def owner_matches(owners: Sequence[Owner], pod: Pod) -> bool:
    workload = workload_of(pod)
    candidates = [(workload.kind, workload.name)]
    candidates += [(o.kind, o.name) for o in pod.metadata.owner_references]
    return any(
        owner.kind.lower() == kind.lower() and fnmatchcase(name, owner.name)
        for owner in owners
        for kind, name in candidates
    )


def owner_matches_workload(owners: Sequence[Owner], workload: Workload) -> bool:
    return any(
        owner.kind.lower() == workload.kind.lower() and fnmatchcase(workload.name, owner.name)
        for owner in owners
    )


def matches(targets: Targets, pod: Pod, now: datetime) -> bool:
    """Everything but the label and field selectors, which the API server has applied."""
    if targets.namespaces and pod.metadata.namespace not in targets.namespaces:
        return False
    if targets.owners and not owner_matches(targets.owners, pod):
        return False
    if targets.min_restarts is not None:
        restarts = max((s.restart_count for s, _ in app_statuses(pod)), default=0)
        if restarts < targets.min_restarts:
            return False
    if pod.metadata.creation_timestamp is not None:
        age_seconds = (now - pod.metadata.creation_timestamp).total_seconds()
        if targets.min_age_seconds is not None and age_seconds < targets.min_age_seconds:
            return False
        if targets.max_age_seconds is not None and age_seconds > targets.max_age_seconds:
            return False
    if not targets.conditions:
        return True
    return not set(targets.conditions).isdisjoint(conditions_of(pod, now))
