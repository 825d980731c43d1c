"""Which ConfigMaps changed under the pods that are ill. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from runner.model.changes import ConfigurationChange
from runner.model.objects import ConfigMap
from runner.model.pod import Container, Pod
from runner.model.subject import PodRef, Workload
from runner.select import app_status

ENV, FILES, SUB_PATH = "env", "files", "subPath"
# What is applied together with a pod is no change of its configuration.
_TOGETHER = timedelta(seconds=30)
_MAX_PODS = 10
# Every pod of the cluster mounts it, and its content is the cluster's own.
_OF_CLUSTER = "kube-root-ca.crt"
_DATA = frozenset({"f:data", "f:binaryData"})

Ill = tuple[Workload, Pod, str]
"""A pod that is not well, with its workload and the container in question."""


def used_config_maps(pod: Pod, container: str) -> Mapping[str, tuple[str, ...]]:
    """By name, how the container uses them: `env`, `files`, `subPath`."""
    found: dict[str, dict[str, None]] = {}
    spec = next(
        (c for c in (*pod.spec.containers, *pod.spec.init_containers) if c.name == container), None
    )
    if spec is not None:
        for name, how in (*_of_environment(spec), *_of_mounts(pod, spec)):
            found.setdefault(name, {})[how] = None
    return {name: tuple(hows) for name, hows in found.items()}


def _of_environment(container: Container) -> Iterator[tuple[str, str]]:
    references = [(v.value_from or {}).get("configMapKeyRef") for v in container.env]
    references += [source.get("configMapRef") for source in container.env_from]
    yield from ((name, ENV) for reference in references if (name := _name(reference)))


def _of_mounts(pod: Pod, container: Container) -> Iterator[tuple[str, str]]:
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    for mount in container.volume_mounts:
        volume = volumes.get(mount.name)
        if volume is None:
            continue
        sources = (volume.projected or {}).get("sources")
        references = [volume.config_map]
        if isinstance(sources, list):
            references += [s.get("configMap") for s in sources if isinstance(s, Mapping)]
        how = SUB_PATH if mount.sub_path or mount.sub_path_expr else FILES
        yield from ((name, how) for reference in references if (name := _name(reference)))


def _name(reference: Any) -> str:
    name = reference.get("name") if isinstance(reference, Mapping) else ""
    return name if isinstance(name, str) and name != _OF_CLUSTER else ""


def changed_at(config_map: ConfigMap) -> datetime | None:
    """When its data was last set, by what the API server remembers of each manager."""
    meta = config_map.metadata
    times = [m.time for m in meta.managed_fields if m.time is not None and _DATA & m.fields.keys()]
    return max(times, default=meta.creation_timestamp)


def configuration_changes(
    ill: Iterable[Ill], config_maps: Sequence[ConfigMap]
) -> tuple[ConfigurationChange, ...]:
    """One for each workload, container and ConfigMap, the latest change first."""
    times = {
        (each.metadata.namespace, each.metadata.name): when
        for each in config_maps
        if (when := changed_at(each)) is not None
    }
    found: dict[tuple[Workload, str, str], ConfigurationChange] = {}
    for workload, pod, container in ill:
        made = pod.metadata.creation_timestamp
        for name, used_as in used_config_maps(pod, container).items():
            when = times.get((pod.metadata.namespace, name))
            if when is None or made is None or when < made + _TOGETHER:
                continue
            ref = PodRef(namespace=pod.metadata.namespace, name=pod.metadata.name)
            key = (workload, container, name)
            before = found.get(key)
            found[key] = ConfigurationChange(
                workload=workload,
                container=container,
                name=name,
                changed_at=when,
                used_as=used_as,
                stale=_stale(pod, container, used_as, when)
                or (before is not None and before.stale),
                pods=(*(before.pods if before is not None else ()), ref)[:_MAX_PODS],
            )
    return tuple(sorted(found.values(), key=_rank))


def _rank(each: ConfigurationChange) -> tuple[str, str, str, float, str]:
    where = each.workload
    latest_first = -each.changed_at.timestamp()
    return where.namespace, where.name, each.container, latest_first, each.name


def _stale(pod: Pod, container: str, used_as: Sequence[str], when: datetime) -> bool:
    """The container runs since before the change, and reads what changed only when it starts."""
    status = app_status(pod, container)
    running = status.state.running if status is not None else None
    if running is None or running.started_at is None or running.started_at >= when:
        return False
    return ENV in used_as or SUB_PATH in used_as
