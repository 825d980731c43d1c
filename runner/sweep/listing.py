"""Workloads, Services and what else is not a pod: a LIST of a kind, where a rule can need it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from runner.analyze import missing_pods
from runner.cluster import Cluster, ClusterError, Resource
from runner.injection import ServiceMap, endpoints_of
from runner.model.objects import Controller, EndpointSlice, NetworkPolicy, Objects, Service
from runner.model.pod import Container, Event
from runner.permissions import (
    OF_POLICIES,
    OF_SCALING,
    OF_SERVICES,
    OF_WORKLOADS,
    WORKLOAD_KINDS,
)
from runner.plan import PodPlan
from runner.playbook import ObjectKind, Playbook
from runner.sweep.events import EventLists, list_all_events
from runner.sweep.settings import Selection

T = TypeVar("T")

_EVENTS = "type=Warning,involvedObject.kind!=Pod"
_KINDS: Mapping[ObjectKind, Resource] = dict(
    zip(
        (*WORKLOAD_KINDS, "HorizontalPodAutoscaler"),
        (*OF_WORKLOADS, OF_SCALING),
        strict=True,
    )
)
# Events about a kind that are about something else by name.
_ABOUT: Mapping[ObjectKind, frozenset[str]] = {
    "Deployment": frozenset({"Deployment", "ReplicaSet"}),
    "Job": frozenset({"Job", "CronJob"}),
}


_NO_WARNING = "no event of type Warning is about one"
_NO_SERVICE_WITHOUT_PODS = "each Service selects a pod that was looked at"
_NO_HOST = "no container that is looked at names a host"


def namespaces_of(playbooks: Sequence[Playbook], selection: Selection) -> tuple[str | None, ...]:
    """Where playbooks that read objects want to look; None stands for everywhere."""
    found: dict[str | None, None] = {}
    for playbook in playbooks:
        targets = playbook.spec.targets
        if not (playbook.reads_objects or playbook.reads_policies):
            continue
        if selection.aims:
            aims = (a for a in selection.aims if playbook.name in a.playbooks and not a.target.pod)
            found.update(dict.fromkeys(aim.target.namespace for aim in aims))
        elif selection.namespaces is None:
            found[None] = None
        else:
            asked = selection.namespaces or targets.namespaces or (selection.default_namespace,)
            found.update(dict.fromkeys(asked))
    return tuple(found)


async def list_objects(
    cluster: Cluster,
    playbooks: Sequence[Playbook],
    selection: Selection,
    plans: Sequence[PodPlan],
) -> tuple[Objects, EventLists]:
    """What may not be listed, or cannot be, is named in `unknown`, what no rule can need here in
    `not_needed`; never raises ClusterError. The events are those of the same namespaces, where
    they are wanted."""
    reading = [p for p in playbooks if p.reads_objects]
    namespaces = namespaces_of(reading, selection)
    needed = _Needed(reading, namespaces)
    on_policies = [p for p in playbooks if p.reads_policies]
    if on_policies and not (_names_hosts(plans) or any(p.reads_all_policies for p in on_policies)):
        needed.not_needed["NetworkPolicy"] = _NO_HOST
        on_policies = []
    lister = _Lister(cluster)
    wanted = any(p.spec.evidence.events for p in playbooks) and bool(namespaces)
    policies, services, events = await asyncio.gather(
        lister.list("policies", OF_POLICIES, NetworkPolicy, namespaces_of(on_policies, selection)),
        lister.list("services", OF_SERVICES[0], Service, needed.services),
        list_all_events(cluster, namespaces if wanted else ()),
    )
    needed.saw(plans, services, policies, events)
    listed = await asyncio.gather(
        *(
            lister.list(_fact(kind), resource, Controller, needed.of(kind))
            for kind, resource in _KINDS.items()
        )
    )
    slices = await lister.list("services", OF_SERVICES[1], EndpointSlice, needed.slices)
    controllers = tuple(
        msgspec.structs.replace(each, kind=kind)
        for kind, found in zip(_KINDS, listed, strict=True)
        for each in found
        if each.metadata.deletion_timestamp is None
    )
    warnings: Sequence[Event] = ()
    if wanted and any(missing_pods(each) for each in controllers):
        warnings = await lister.warnings(namespaces, events)
    objects = Objects(
        controllers=controllers,
        services=tuple(services),
        endpoint_slices=tuple(slices),
        policies=tuple(policies),
        events=tuple(warnings),
        unknown=lister.told(),
        not_needed=needed.not_needed,
    )
    return objects, events


class _Needed:
    """In which namespaces a kind is to be listed: in none where no rule could say anything."""

    def __init__(self, playbooks: Sequence[Playbook], namespaces: Sequence[str | None]) -> None:
        self._playbooks = playbooks
        self._all = namespaces
        self._in: dict[ObjectKind, Sequence[str | None]] = {}
        self.not_needed: dict[str, str] = {}
        self.services = namespaces if any(p.reads_services for p in playbooks) else ()
        self.slices: Sequence[str | None] = ()

    def saw(
        self,
        plans: Sequence[PodPlan],
        services: Sequence[Service],
        policies: Sequence[NetworkPolicy],
        events: EventLists,
    ) -> None:
        """What there is of pods, Services, policies and events decides on the rest."""
        judged = any(playbook.judges("Service") for playbook in self._playbooks)
        lonely = self._within(_without_pods(services, plans) if judged else ())
        always = self._always("Service")
        # What a Service might have meant, and whom a policy is about: the pod templates.
        templates = self._all if always or policies else lonely
        for kind in _KINDS:
            where = self._of_rules(kind, events)
            if kind != "HorizontalPodAutoscaler":
                where = _both(where, templates)
            if kind == "Job":
                # Whether it was given up decides whether its failed pods are looked at.
                where = _both(where, self._within(_with_failed_job_pods(plans)))
            self._in[kind] = where
            if not where and any(p.judges(kind) for p in self._playbooks):
                self.not_needed[kind] = _NO_WARNING
        compared = any(_compares(plan, services) for plan in plans)
        self.slices = self._all if always or compared else lonely
        if self.services and not self.slices:
            self.not_needed["EndpointSlice"] = _NO_SERVICE_WITHOUT_PODS

    def of(self, kind: ObjectKind) -> Sequence[str | None]:
        return self._in[kind]

    def _always(self, kind: ObjectKind) -> bool:
        """Whether some rule may hold of any object of the kind."""
        return any(
            rule.sign is None and rule.is_about(kind)
            for playbook in self._playbooks
            for rule in playbook.spec.workloads
        )

    def _of_rules(self, kind: ObjectKind, events: EventLists) -> Sequence[str | None]:
        if self._always(kind):
            return self._all
        if not any(playbook.judges(kind) for playbook in self._playbooks):
            return ()
        if not all(events.covers(namespace) for namespace in self._all):
            return self._all
        return self._within(events.warned(_ABOUT.get(kind, frozenset({kind}))))

    def _within(self, names: Iterable[str]) -> Sequence[str | None]:
        found = sorted(names)
        return self._all if found and None in self._all else [n for n in found if n in self._all]


def _both(one: Sequence[str | None], other: Sequence[str | None]) -> Sequence[str | None]:
    return tuple(dict.fromkeys((*one, *other)))


def _with_failed_job_pods(plans: Sequence[PodPlan]) -> set[str]:
    return {
        plan.pod.metadata.namespace
        for plan in plans
        if plan.pod.status.phase == "Failed"
        and any(owner.kind == "Job" for owner in plan.pod.metadata.owner_references)
    }


def _without_pods(services: Sequence[Service], plans: Sequence[PodPlan]) -> set[str]:
    """The namespaces with a Service that selects none of the pods."""
    labels: dict[str, list[Mapping[str, str]]] = {}
    for plan in plans:
        labels.setdefault(plan.pod.metadata.namespace, []).append(plan.pod.metadata.labels)
    return {
        namespace
        for service in services
        for namespace, selector in [(service.metadata.namespace, service.spec.selector)]
        if selector
        and service.spec.type != "ExternalName"
        and not any(selector.items() <= each.items() for each in labels.get(namespace, ()))
    }


def _targets(plan: PodPlan) -> Iterable[Container]:
    containers = (*plan.pod.spec.init_containers, *plan.pod.spec.containers)
    return (each for each in containers if each.name == plan.target)


def _names_hosts(plans: Sequence[PodPlan]) -> bool:
    """Whether any of them names a host other than its own."""
    return any(
        endpoint.host != "localhost" and not endpoint.host.startswith("127.")
        for plan in plans
        for container in _targets(plan)
        for endpoint in endpoints_of(container)
    )


def _compares(plan: PodPlan, services: Sequence[Service]) -> bool:
    """Whether a step of it wants to know what stands behind a Service that it names."""
    if not (plan.injections and any(p.compares_services for p in plan.playbooks)):
        return False
    known = ServiceMap(services, ())
    return any(True for each in _targets(plan) for _ in known.named_by(plan.pod, each))


def _fact(kind: ObjectKind) -> str:
    return "autoscalers" if kind == "HorizontalPodAutoscaler" else "workloads"


class _Lister:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.unknown: dict[str, list[str]] = {}

    async def list(
        self, fact: str, resource: Resource, as_: type[T], namespaces: Sequence[str | None]
    ) -> Sequence[T]:
        found: list[T] = []
        name = ".".join(part for part in (resource.plural, resource.group) if part)
        for namespace in namespaces:
            try:
                found += await self._cluster.objects.list(resource, namespace, as_)
            except ClusterError as error:
                self._failed(fact, f"list {name}", error)
        return found

    async def warnings(
        self, namespaces: Sequence[str | None], events: EventLists
    ) -> Sequence[Event]:
        """About anything but pods."""
        found = [event for event in events.others if event.type == "Warning"]
        for namespace in namespaces:
            if events.covers(namespace):
                continue
            try:
                found += (await self._cluster.list_events(namespace, _EVENTS))[0]
            except ClusterError as error:
                self._failed("events", "list events", error)
        return found

    def told(self) -> dict[str, str]:
        return {fact: "; ".join(sorted(why)) for fact, why in sorted(self.unknown.items())}

    def _failed(self, fact: str, what: str, error: ClusterError) -> None:
        why = error.why_unknown(what)
        known = self.unknown.setdefault(fact, [])
        if why not in known:
            known.append(why)
