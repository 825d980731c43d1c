"""From playbooks and a selection to the pods they mean: one LIST per distinct query."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from runner.cluster import Cluster, ClusterError, ErrorReason, Scope
from runner.debt import at_work
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.model.trigger import Aim, PodTarget
from runner.plan import Selected
from runner.playbook import Playbook
from runner.record import PodRecord
from runner.select import aimed_at, condition_status, container_meant, workload_of
from runner.sweep.choose import Chosen
from runner.sweep.existence import Absent, absent
from runner.sweep.levels import read_levels
from runner.sweep.settings import Selection


class ReadyPod(NamedTuple):
    """What is kept of a pod that serves somebody, selected or not."""

    workload: Workload
    labels: Mapping[str, str]


def ready_pod(pod: Pod) -> ReadyPod | None:
    """None for a pod that serves nobody."""
    if condition_status(pod, "Ready") != "True":
        return None
    return ReadyPod(workload_of(pod), pod.metadata.labels)


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """`scopes` are what to watch, each with the resourceVersion of its list; `looked_at` counts
    the pods the API server returned, `ready` are the Ready ones among them by uid, `levels` the Pod
    Security levels of namespaces, where a playbook asks for them, `absent` the namespaces without a
    pod that do not exist, or may not, `taken` the pods in which some run is at work."""

    selected: tuple[Selected, ...]
    scopes: tuple[tuple[Scope, str], ...]
    looked_at: int
    ready: Mapping[str, ReadyPod]
    levels: Mapping[str, str] = msgspec.field(default_factory=dict)
    absent: Absent = msgspec.field(default_factory=Absent)
    taken: tuple[Pod, ...] = ()


def _join(*selectors: str) -> str:
    return ",".join(dict.fromkeys(s for s in selectors if s))


def queries(
    playbooks: Sequence[Playbook], selection: Selection
) -> dict[Scope, tuple[Playbook, ...]]:
    """Each distinct query and the playbooks that it serves."""
    if selection.aims:
        return _aimed_queries(playbooks, selection.aims)
    found: dict[Scope, list[Playbook]] = {}
    for playbook in playbooks:
        targets = playbook.spec.targets
        namespaces: Sequence[str | None]
        if selection.namespaces is None:
            namespaces = [None]
        else:
            namespaces = (
                selection.namespaces or targets.namespaces or (selection.default_namespace,)
            )
        for namespace in dict.fromkeys(namespaces):
            scope = Scope(
                namespace=namespace,
                label_selector=_join(selection.label_selector, targets.selector or ""),
                field_selector=_join(selection.field_selector, targets.field_selector or ""),
            )
            found.setdefault(scope, []).append(playbook)
    return {scope: tuple(served) for scope, served in found.items()}


def _aimed_queries(
    playbooks: Sequence[Playbook], aims: Sequence[Aim]
) -> dict[Scope, tuple[Playbook, ...]]:
    """What several aims mean in a namespace is found in one LIST of it."""
    wanted: dict[tuple[str, str], list[PodTarget]] = {}
    for aim in aims:
        for name in aim.playbooks:
            wanted.setdefault((aim.target.namespace, name), []).append(aim.target)
    by_name = {playbook.name: playbook for playbook in playbooks}
    found: dict[Scope, list[Playbook]] = {}
    for (namespace, name), targets in wanted.items():
        playbook, one = by_name[name], targets[0]
        alone = len(targets) == 1
        pod = f"metadata.name={one.pod}" if alone and one.pod else ""
        scope = Scope(
            namespace=namespace,
            label_selector=_join(one.selector if alone else "", playbook.spec.targets.selector),
            field_selector=_join(pod, playbook.spec.targets.field_selector),
        )
        found.setdefault(scope, []).append(playbook)
    return {scope: tuple(served) for scope, served in found.items()}


def watch_scopes(listed: Sequence[tuple[Scope, str]]) -> tuple[tuple[Scope, str], ...]:
    """One watch per namespace; selectors are kept where there is only one query."""
    by_namespace: dict[str | None, list[tuple[Scope, str]]] = {}
    for scope, version in listed:
        by_namespace.setdefault(scope.namespace, []).append((scope, version))
    return tuple(
        found[0] if len(found) == 1 else (Scope(namespace=namespace), _oldest(v for _, v in found))
        for namespace, found in by_namespace.items()
    )


def _oldest(versions: Iterable[str]) -> str:
    """Of the lists of one namespace: what changed after any of them must be seen."""
    return min(versions, key=lambda version: (len(version), version))


async def gather(
    cluster: Cluster,
    playbooks: Sequence[Playbook],
    selection: Selection,
    now: datetime,
    *,
    meant: Mapping[str, PodRecord] | None = None,
) -> Gathered:
    """Raises ClusterError. Pods that no playbook means are dropped page by page. `meant` are the
    pods to look at by uid, where that was decided before."""
    wanted = queries(playbooks, selection)
    chosen = Chosen(playbooks, now, selection.since_seconds)
    ready: dict[str, ReadyPod] = {}
    taken: dict[str, Pod] = {}
    looked_at = Counter[str | None]()

    async def run_query(scope: Scope, served: Sequence[Playbook]) -> tuple[Scope, str]:
        version = ""
        async for page, page_version in cluster.list_pods(scope):
            version = version or page_version
            looked_at[scope.namespace] += len(page)
            for pod in page:
                serves = ready_pod(pod)
                if serves is not None:
                    ready[pod.metadata.uid] = serves
                if at_work(pod, now) is not None:
                    taken[pod.metadata.uid] = pod
                if meant is None:
                    aims = selection.aims
                    chosen.offer(pod, [p for p in served if aimed_at(aims, p.name, pod)])
                elif record := meant.get(pod.metadata.uid):
                    chosen.take(pod, record)
        return scope, version

    try:
        listed = await asyncio.gather(*(run_query(s, served) for s, served in wanted.items()))
    except ClusterError as error:
        if error.reason is not ErrorReason.FORBIDDEN:
            raise
        way_out = f"{error.message}; `podmedic rbac` prints the Role to apply"
        raise ClusterError(error.reason, way_out, status=error.status) from error
    selected = [
        replace(each, container=container_meant(selection.aims, names, each.pod))
        for each in chosen.selected()
        for names in [{playbook.name for playbook in each.playbooks}]
    ]
    asking = {
        s.pod.metadata.namespace
        for s in selected
        if s.skip is None and any(p.adapts_profile for p in s.playbooks)
    }
    empty = dict.fromkeys(s.namespace for s in wanted if s.namespace and not looked_at[s.namespace])
    return Gathered(
        selected=tuple(selected),
        levels=await read_levels(cluster, sorted(asking)) if asking else {},
        scopes=watch_scopes(listed),
        looked_at=looked_at.total(),
        ready=ready,
        taken=tuple(taken.values()),
        absent=await absent(cluster, tuple(empty)),
    )
