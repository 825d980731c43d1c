"""What workloads and Services say, to whoever wants to know it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from runner.analyze import failed_jobs, judge_objects
from runner.examine.context import Redact
from runner.examine.evidence import clean_event
from runner.injection import ServiceMap
from runner.model.examination import Examination
from runner.model.objects import Controller, EndpointSlice, NetworkPolicy, Objects, Service
from runner.model.pod import Pod, PodCondition
from runner.model.report import Confidence, Finding, NotEvaluated, Severity
from runner.plan import PodPlan, Services, knowing_services
from runner.playbook import Playbook
from runner.select import app_statuses
from runner.sweep.outside import Outside
from runner.sweep.settings import Selection

T = TypeVar("T")
Annotated = TypeVar("Annotated", Controller, Service, EndpointSlice, NetworkPolicy)

_RECENT = timedelta(hours=1)
_LOOKED_AT = 32 * 1024  # of the end of each log
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
# What a kubelet says of a pod that it does not take: its controller makes another one at once.
_REFUSED = (
    "Evicted", "SysctlForbidden", "UnexpectedAdmissionError", "TopologyAffinityError", "AppArmor",
    "PodOSNotSupported",
)  # fmt: skip


def judged(
    playbooks: Sequence[Playbook],
    objects: Objects,
    plans: Sequence[PodPlan],
    findings: Sequence[Finding],
    selection: Selection,
    outside: Outside,
) -> tuple[tuple[Finding, ...], tuple[NotEvaluated, ...]]:
    """What the objects say beside `findings`, which are those of the pods."""
    if not selection.means_objects:
        return (), ()
    return judge_objects(
        playbooks,
        clean_objects(objects, outside.redact),
        [plan.pod for plan in plans],
        frozenset(
            each.workload
            for each in findings
            if each.severity is Severity.CRITICAL and each.confidence is not Confidence.POSSIBLE
        ),
        outside.now(),
        selection.label_selector,
        selection.aims,
    )


def with_services(
    examination: Examination,
    by_namespace: Mapping[str, Sequence[Service]],
    unknown: Mapping[str, str],
) -> Examination:
    """The examination, the Services that select its pod and those whose addresses its logs have."""
    meta = examination.pod.metadata
    services = tuple(
        service
        for service in by_namespace.get(meta.namespace, ())
        if service.spec.selector and service.spec.selector.items() <= meta.labels.items()
    )
    missing = {k: why for k, why in unknown.items() if k in ("services", "policies")}
    called = _called(examination, by_namespace)
    meant = _meant(examination, by_namespace)
    if not services and not missing and not called and not meant:
        return examination
    return msgspec.structs.replace(
        examination,
        services=services,
        called=called,
        meant=meant,
        unknown={**examination.unknown, **missing},
    )


def _called(
    examination: Examination, by_namespace: Mapping[str, Sequence[Service]]
) -> dict[str, str]:
    addresses = {each for log in examination.logs for each in _addresses(log.text[-_LOOKED_AT:])}
    if not addresses:
        return {}
    own = examination.pod.metadata.namespace
    return {
        service.spec.cluster_ip: name if namespace == own else f"{name}.{namespace}"
        for namespace, services in by_namespace.items()
        for service in services
        if service.spec.cluster_ip in addresses
        for name in (service.metadata.name,)
    }


def _meant(
    examination: Examination, by_namespace: Mapping[str, Sequence[Service]]
) -> dict[str, str]:
    """A Service of that name in another namespace, else one of its own that is called nearly so."""
    pod = examination.pod
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    target = next((c for c in containers if c.name == examination.target_container), None)
    own = [each.metadata.name for each in by_namespace.get(pod.metadata.namespace, ())]
    hosts = {host for host, _ in (target.endpoints if target else ()) if "." not in host}
    found = {}
    for host in sorted(hosts - set(own)):
        elsewhere = (
            f"{host}.{namespace}"
            for namespace, services in sorted(by_namespace.items())
            if any(each.metadata.name == host for each in services)
        )
        if meant := next(elsewhere, "") or next(iter(get_close_matches(host, own, 1, 0.8)), ""):
            found[host] = meant
    return found


# Replicas share a log.
@lru_cache(maxsize=1024)
def _addresses(text: str) -> frozenset[str]:
    return frozenset(_ADDRESS.findall(text))


def with_backends(plans: Sequence[PodPlan], objects: Objects) -> tuple[PodPlan, ...]:
    """The same plans; steps that ask for it know what stands behind the Services they name."""
    known = ServiceMap(objects.services, objects.endpoint_slices)
    unknown = objects.unknown.get("services", "")
    return tuple(
        knowing_services(
            plan,
            Services(known.lines(plan.pod, plan.target_container), unknown),
        )
        if any(p.compares_services for p in plan.playbooks) and plan.injections
        else plan
        for plan in plans
    )


def services_of(objects: Objects) -> dict[str, list[Service]]:
    """By namespace; what goes by another name than its pods' sends to none of them."""
    found: dict[str, list[Service]] = {}
    for service in objects.services:
        if service.spec.type != "ExternalName":
            found.setdefault(service.metadata.namespace, []).append(service)
    return found


def with_failed_pods(
    plans: Sequence[PodPlan], objects: Objects, now: datetime
) -> tuple[PodPlan, ...]:
    """The same plans, but those of failed pods that say why something is wrong now: nothing can be
    started in them, and yet their state and their log tell. The last one of each Job that was
    given up and of each workload whose pods were evicted, or refused by a kubelet, within the
    hour, and each pod that nobody owns: it is all there is."""
    failed = failed_jobs(objects)
    last: dict[str, PodPlan] = {}
    for plan in plans:
        pod = plan.pod
        if pod.status.phase != "Failed" or plan.skip is None:
            continue
        owners = pod.metadata.owner_references
        owner = next((o.uid for o in owners if o.uid in failed), None)
        if owner is None and pod.status.reason in _REFUSED and now - _ended(pod) < _RECENT:
            owner = next((o.uid for o in owners if o.controller and o.kind != "Job"), None)
        if owner is None and not owners:
            owner = pod.metadata.uid
        if owner is None:
            continue
        if owner not in last or _begun(last[owner]) < _begun(plan):
            last[owner] = plan
    chosen = {plan.pod.metadata.uid for plan in last.values()}
    return tuple(
        replace(plan, skip=None, held_back=plan.skip) if plan.pod.metadata.uid in chosen else plan
        for plan in plans
    )


def _ended(pod: Pod) -> datetime:
    """When its last container ended, else when it was created: an evicted pod may have none."""
    ends = [
        state.terminated.finished_at
        for status, _ in app_statuses(pod)
        for state in (status.state, status.last_state)
        if state.terminated is not None and state.terminated.finished_at is not None
    ]
    created = pod.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC)
    return max([*ends, created])


def _begun(plan: PodPlan) -> datetime:
    return plan.pod.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC)


def clean_objects(objects: Objects, redact: Redact) -> Objects:
    """Whatever is told of them passes the choke point, as what is told of pods does."""
    return msgspec.structs.replace(
        objects,
        controllers=tuple(_clean_controller(each, redact) for each in objects.controllers),
        services=tuple(_without_annotations(each) for each in objects.services),
        endpoint_slices=tuple(_without_annotations(each) for each in objects.endpoint_slices),
        policies=tuple(_without_annotations(each) for each in objects.policies),
        events=tuple(clean_event(event, redact) for event in objects.events),
    )


def _clean_controller(controller: Controller, redact: Redact) -> Controller:
    def clean(condition: PodCondition) -> PodCondition:
        message = redact.redact_text(condition.message)[0] if condition.message else ""
        return msgspec.structs.replace(condition, message=message)

    conditions = tuple(clean(each) for each in controller.status.conditions)
    status = msgspec.structs.replace(controller.status, conditions=conditions)
    return _without_annotations(msgspec.structs.replace(controller, status=status))


def _without_annotations(one: Annotated) -> Annotated:
    """`kubectl apply` keeps the whole manifest in one of them."""
    if not one.metadata.annotations:
        return one
    metadata = msgspec.structs.replace(one.metadata, annotations={})
    return msgspec.structs.replace(one, metadata=metadata)
