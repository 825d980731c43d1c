"""What conditions and templates get to see of one object that is judged from the API alone.

The names are those of `runner.playbook.vocabulary`, as in `runner.analyze.facts`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from runner.model.objects import Controller, ObjectExamination, Objects, Service
from runner.model.pod import Pod, PodCondition
from runner.model.subject import Workload
from runner.playbook.conditions import Facts
from runner.select import app_statuses, workload_of

SERVICE_LABEL = "kubernetes.io/service-name"
_MAX_NEAR = 10
_SHELL = re.compile(r"(?:/\S*/)?(?:ba|da|a|z|k)?sh")
_HANDS_ON = re.compile(r"\b(?:exec|trap)\b")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Labelled = tuple[Workload, Mapping[str, str]]


class Surroundings:
    """What objects are held against, by namespace: looked up many times, made once."""

    def __init__(self, objects: Objects, pods: Sequence[Pod]) -> None:
        self.unknown = objects.unknown
        self.endpoints = Counter[tuple[str, str]]()
        for each in objects.endpoint_slices:
            service = each.metadata.labels.get(SERVICE_LABEL, "")
            self.endpoints[each.metadata.namespace, service] += len(each.endpoints or ())
        self.templates = defaultdict[str, list[Labelled]](list)
        for controller in objects.controllers:
            if controller.spec.scale_target_ref is not None:
                continue
            labels = controller.spec.template.metadata.labels
            self.templates[controller.metadata.namespace].append(
                (workload_of_controller(controller), labels)
            )
        self.pods = defaultdict[str, list[Labelled]](list)
        for pod in pods:
            self.pods[pod.metadata.namespace].append((workload_of(pod), pod.metadata.labels))


def workload_of_controller(controller: Controller) -> Workload:
    """A Job of a CronJob is its CronJob's."""
    meta = controller.metadata
    owner = next((o for o in meta.owner_references if o.controller), None)
    if owner is not None and owner.kind == "CronJob":
        return Workload(kind=owner.kind, namespace=meta.namespace, name=owner.name)
    return Workload(kind=controller.kind, namespace=meta.namespace, name=meta.name)


def holds(controller: Controller, condition: str) -> bool:
    return any(c.type == condition and c.status == "True" for c in controller.status.conditions)


def object_facts(one: ObjectExamination, around: Surroundings, now: datetime) -> Facts:
    meta, workload = one.metadata, one.workload
    unknown = {k: why for k, why in around.unknown.items() if k == "events"}
    conditions = one.controller.status.conditions if one.controller else ()
    about: dict[str, Any] = {
        "kind": one.kind,
        "name": meta.name,
        "finalizers": list(meta.finalizers),
        "conditions": {
            each.type: {"status": each.status, "reason": each.reason, "message": each.message}
            for each in conditions
        },
        "message": failure(conditions),
        "missing": missing_pods(one.controller) if one.controller else 0,
        "failed": one.controller is not None and holds(one.controller, "Failed"),
        "explained": one.explained,
        "container": "",
        "selector": "",
        "shells": [],
        "preStops": [],
        "target": "",
    }
    if one.controller is not None and (target := one.controller.spec.scale_target_ref):
        about["target"] = f"{target.kind}/{target.name}"
    if meta.creation_timestamp is not None:
        about["ageSeconds"] = int((now - meta.creation_timestamp).total_seconds())
    if meta.deletion_timestamp is not None:
        # The grace period is in it already.
        about["deletingSeconds"] = int((now - meta.deletion_timestamp).total_seconds())
        about["gracePeriodSeconds"] = meta.deletion_grace_period_seconds or 0
        about["deletedSeconds"] = about["deletingSeconds"] + about["gracePeriodSeconds"]
        about["shells"] = [name for pod in one.pods for name in _shells(pod)]
        about["preStops"] = [each for pod in one.pods for each in _pre_stops(pod)]
    if one.kind == "Job":
        about.update(_last_exit(one.pods))
    if one.service is None:
        about.update(selects=[], nearly=[])
    else:
        about.update(_service(one.service, around, unknown))
    values: dict[str, Any] = {
        "object": about,
        "workload": {
            "kind": workload.kind,
            "namespace": workload.namespace,
            "name": workload.name,
        },
    }
    if "events" not in unknown:
        values["events"] = [
            {
                "reason": event.reason,
                "message": event.message,
                "type": event.type,
                "count": event.count or 1,
                "container": "",
            }
            for event in one.events
        ]
    return Facts(values, unknown)


def _last_exit(pods: Sequence[Pod]) -> dict[str, Any]:
    """Of the container that failed last, in whichever pod."""
    failed = [
        (ended.finished_at or _EPOCH, status.name, ended.exit_code)
        for pod in pods
        if pod.status.phase == "Failed"
        for status, _ in app_statuses(pod)
        if (ended := status.state.terminated) is not None and ended.exit_code
    ]
    if not failed:
        return {}
    _, name, code = max(failed)
    return {"container": name, "exitCode": code}


def _running(pod: Pod) -> frozenset[str]:
    return frozenset(
        status.name for status, _ in app_statuses(pod) if status.state.running is not None
    )


def _pre_stops(pod: Pod) -> Iterator[dict[str, str]]:
    running = _running(pod)
    for container in pod.spec.containers:
        hook = (container.lifecycle or {}).get("preStop")
        if container.name in running and isinstance(hook, Mapping) and hook:
            words = (hook.get("exec") or {}).get("command") or [*hook]
            yield {"container": container.name, "hook": " ".join(str(word) for word in words)}


def _shells(pod: Pod) -> Iterator[str]:
    running = _running(pod)
    for container in pod.spec.containers:
        words = (*container.command, *container.args)
        if container.name in running and len(words) > 2 and _SHELL.fullmatch(words[0]):
            script = words[-1] if words[1].startswith("-") and words[1].endswith("c") else ""
            if script and not _HANDS_ON.search(script):
                yield container.name


def failure(conditions: Sequence[PodCondition]) -> str:
    for each in conditions:
        if each.type in ("ReplicaFailure", "Failed") and each.status == "True":
            return each.message
        if each.type in ("AbleToScale", "ScalingActive") and each.status == "False":
            return each.message
    return ""


def missing_pods(controller: Controller) -> int:
    spec, status = controller.spec, controller.status
    if spec.scale_target_ref is not None:
        return 0
    if controller.kind == "DaemonSet":
        return max(status.desired_number_scheduled - status.current_number_scheduled, 0)
    if controller.kind != "Job":
        return max((1 if spec.replicas is None else spec.replicas) - status.replicas, 0)
    if spec.suspend or holds(controller, "Complete") or holds(controller, "Failed"):
        return 0
    wanted = 1 if spec.parallelism is None else spec.parallelism
    if spec.completions is not None:
        wanted = min(wanted, spec.completions - status.succeeded)
    # A pod that failed is replaced after a while.
    return max(wanted - status.active, 0) if not status.failed else 0


def _service(
    service: Service, around: Surroundings, unknown: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    meta, selector = service.metadata, service.spec.selector
    yield "selector", ",".join(f"{key}={value}" for key, value in selector.items())
    if "services" in around.unknown:
        names = ("object.endpoints", "object.selects", "object.nearly")
        unknown.update(dict.fromkeys(names, around.unknown["services"]))
        return
    endpoints = around.endpoints[meta.namespace, meta.name]
    yield "endpoints", endpoints
    if "workloads" in around.unknown:
        unknown["object.selects"] = unknown["object.nearly"] = around.unknown["workloads"]
        return
    labelled = around.templates[meta.namespace]
    # A pod without an address is no endpoint yet.
    there = labelled if endpoints else [*labelled, *around.pods[meta.namespace]]
    chosen = {each[0]: None for each in there if selector.items() <= each[1].items()}
    yield "selects", [f"{workload.kind}/{workload.name}" for workload in chosen]
    yield "nearly", list(_nearly(selector, labelled))[:_MAX_NEAR]


def _nearly(selector: Mapping[str, str], labelled: Sequence[Labelled]) -> Iterator[dict[str, str]]:
    """One label has another value; with a single label that says nothing unless the values are
    alike: every workload has an `app`."""
    for workload, labels in labelled:
        others = [key for key, value in selector.items() if labels.get(key) != value]
        if len(others) != 1 or others[0] not in labels:
            continue
        (key,) = others
        wanted, found = selector[key], labels[key]
        if len(selector) > 1 or _alike(wanted, found):
            yield {
                "kind": workload.kind,
                "name": workload.name,
                "key": key,
                "wanted": wanted,
                "found": found,
            }


def _alike(one: str, other: str) -> bool:
    """One begins with the other, or they differ in case, by one letter or by two exchanged."""
    a, b = sorted((one.casefold(), other.casefold()), key=len)
    if len(a) < 3:
        return a == b
    if b.startswith(a) or b.endswith(a) or sorted(a) == sorted(b):
        return True
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    return a[same:] == b[same + 1 :] or a[same + 1 :] == b[same + 1 :]
