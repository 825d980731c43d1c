"""From the labels of an alert to the pods that it is about: exact words on keys that the operator
declared, or nothing at all."""

import re
from collections.abc import Callable, Mapping

from runner.late import late
from runner.model.trigger import Aim, PodTarget
from runner.playbook.selectors import label_selector_problem
from runner.triggers.spec import Route, Routes, TargetLabels, WorkloadLabels

_NAMESPACE = late(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OBJECT_NAME = late(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL_VALUE = late(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_KINDS = {
    kind.lower(): kind
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")
}


class NoTargetError(ValueError):
    """The alert is about no pod; the message is a sentence without its end."""


def aim_of(routes: Routes, route: Route, labels: Mapping[str, str]) -> Aim:
    """Raises NoTargetError."""
    target = target_of(route.targets or routes.spec.targets, labels)
    return Aim(target=target, playbooks=routes.playbooks_of(route))


def target_of(wanted: TargetLabels, labels: Mapping[str, str]) -> PodTarget:
    """Raises NoTargetError."""

    def value(label: str, shape: re.Pattern[str], what: str) -> str:
        found = labels.get(label, "")
        if not found:
            raise NoTargetError(f'it has no label "{label}", which is to hold {what}')
        if not shape.fullmatch(found):
            raise NoTargetError(f'its label "{label}" holds {_shown(found)}, no {what}')
        return found

    namespace = wanted.namespace or value(
        wanted.namespace_label or "namespace", _NAMESPACE, "name of a namespace"
    )
    pod = value(wanted.pod_label, _OBJECT_NAME, "name of a pod") if wanted.pod_label else ""
    workload = "" if wanted.workload is None else _workload(wanted.workload, labels, value)
    terms = [
        f"{key}={value(label, _LABEL_VALUE, 'value of a label of pods')}"
        for key, label in sorted(wanted.labels.items())
    ]
    container = labels.get(wanted.container_label or "", "")
    return PodTarget(
        namespace=namespace,
        pod=pod,
        # It chooses inside a pod and selects none: what can name no container is not looked for.
        container=container if _NAMESPACE.fullmatch(container) else "",
        workload=workload,
        selector=",".join(terms),
    )


def target_problem(target: PodTarget) -> str:
    """What keeps a target that somebody wrote down from being one; empty when nothing does."""
    kind, _, name = target.workload.partition("/")
    if not _NAMESPACE.fullmatch(target.namespace):
        return f"{_shown(target.namespace)} is no name of a namespace"
    if target.pod and not _OBJECT_NAME.fullmatch(target.pod):
        return f"{_shown(target.pod)} is no name of a pod"
    if target.workload and not (kind.isalnum() and _OBJECT_NAME.fullmatch(name)):
        return f"{_shown(target.workload)} is no workload: expected KIND/NAME, such as Job/import"
    if target.selector and (problem := label_selector_problem(target.selector)):
        return problem
    return ""


def _workload(
    wanted: WorkloadLabels,
    labels: Mapping[str, str],
    value: Callable[[str, re.Pattern[str], str], str],
) -> str:
    kind = wanted.kind
    if kind is None:
        label = wanted.kind_label or ""
        said = labels.get(label, "")
        kind = _KINDS.get(said.lower())
        if not said:
            raise NoTargetError(f'it has no label "{label}", which is to hold a kind of workload')
        if kind is None:
            raise NoTargetError(f'its label "{label}" holds {_shown(said)}, no kind of workload')
    return f"{kind}/{value(wanted.name_label, _OBJECT_NAME, 'name of a workload')}"


def _shown(text: str) -> str:
    """What a stranger wrote, as one short line."""
    shown = "".join(c if c.isprintable() else " " for c in text[:60])
    return f'"{shown}"' + (" …" if len(text) > 60 else "")
