"""What conditions and templates get to see of a container's part of the pod template."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.model.pod import LIMIT_RANGE_ANNOTATION, Container, Pod
from runner.model.quantity import quantity, quantity_bytes

_LARGEST = 2**52
_DEFAULTED = re.compile(r"(?P<what>.+) limit for (?:init )?container (?P<name>\S+)")


def of_spec(spec: Container, pod: Pod) -> dict[str, Any]:
    return {
        "envFrom": bool(spec.env_from),
        "envNames": [variable.name for variable in spec.env],
        "unexpanded": [
            {"name": variable.name, "reference": reference}
            for variable in spec.env
            for reference in variable.unexpanded
        ],
        "fromSecrets": list(_from_secrets(spec)),
        "sources": dict(_sources(spec)),
        "proxied": [{"host": each.host, "variable": each.variable} for each in spec.proxied],
        "trusted": [
            {"variable": each.variable, "path": each.path, "source": _mounted(spec, pod, each.path)}
            for each in spec.trusted
        ],
        "defaultLimits": _default_limits(spec, pod),
        "restartable": spec.restart_policy == "Always",
        "command": list(spec.command),
        "args": list(spec.args),
        "ports": [port.container_port for port in spec.ports],
        "mounts": [mount.mount_path for mount in spec.volume_mounts],
        "memoryLimit": _resource(spec, "limits", "memory"),
        "memoryRequest": _resource(spec, "requests", "memory"),
        "cpuLimit": _resource(spec, "limits", "cpu"),
        "livenessProbe": spec.liveness_probe is not None,
        "readinessProbe": spec.readiness_probe is not None,
        "startupProbe": spec.startup_probe is not None,
        "postStart": _post_start(spec),
        "memoryVolumes": list(_memory_volumes(spec, pod)),
        "hostMounts": list(_host_mounts(spec, pod)),
        "probes": {
            "liveness": _asks(spec, spec.liveness_probe),
            "readiness": _asks(spec, spec.readiness_probe),
            "startup": _asks(spec, spec.startup_probe),
        },
        "heapFlag": spec.heap.flag if spec.heap else "",
        "heapSource": spec.heap.source if spec.heap else "",
        "heapFillsLimit": _heap_fills_limit(spec),
        **dict(_limits(spec)),
        **dict(_user(spec, pod)),
        **dict(_delay(spec)),
    }


def claims(pod: Pod) -> list[str]:
    named = (each.persistent_volume_claim or {} for each in pod.spec.volumes)
    return [str(claim["claimName"]) for claim in named if claim.get("claimName")]


def avoids_itself(pod: Pod) -> bool:
    """True when its required anti-affinity keeps pods with its own labels away."""
    rules = (pod.spec.affinity.get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or ()
    return any(_selects(rule.get("labelSelector") or {}, pod.metadata.labels) for rule in rules)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Of a selector without expressions: those it has mostly speak of other pods."""
    wanted = selector.get("matchLabels") or {}
    for each in selector.get("matchExpressions") or ():
        if each.get("operator") != "In" or labels.get(each.get("key")) not in each.get(
            "values", ()
        ):
            return False
    return bool(wanted or selector.get("matchExpressions")) and all(
        labels.get(key) == value for key, value in wanted.items()
    )


def _from_secrets(spec: Container) -> Iterator[dict[str, Any]]:
    for variable in spec.env:
        reference = (variable.value_from or {}).get("secretKeyRef")
        if isinstance(reference, Mapping):
            yield {
                "name": variable.name,
                "secret": str(reference.get("name", "")),
                "key": str(reference.get("key", "")),
                "optional": reference.get("optional") is True,
            }


def _sources(spec: Container) -> Iterator[tuple[str, str]]:
    """Where variables come from that have no value of their own, in words."""
    for variable in spec.env:
        for kind, reference in (variable.value_from or {}).items():
            if not isinstance(reference, Mapping):
                continue
            if kind in ("secretKeyRef", "configMapKeyRef"):
                what = "Secret" if kind == "secretKeyRef" else "ConfigMap"
                of = f"key {reference.get('key', '')} of {what} {reference.get('name', '')}"
                yield variable.name, of
            elif kind == "fieldRef":
                yield variable.name, f"{reference.get('fieldPath', '')} of the pod"


def _mounted(spec: Container, pod: Pod, path: str) -> str:
    """What is mounted there: `ConfigMap internal-ca`; empty when it is no such volume."""
    above = [m for m in spec.volume_mounts if f"{path}/".startswith(m.mount_path.rstrip("/") + "/")]
    if not above:
        return ""
    name = max(above, key=lambda mount: len(mount.mount_path)).name
    volume = next((each for each in pod.spec.volumes if each.name == name), None)
    if volume is not None and volume.config_map:
        return f"ConfigMap {volume.config_map.get('name', '')}"
    if volume is not None and volume.secret:
        return f"Secret {volume.secret.get('secretName', '')}"
    return ""


def _default_limits(spec: Container, pod: Pod) -> list[str]:
    """Resources whose limit is none of the pod template's, but a LimitRange's default."""
    said = pod.metadata.annotations.get(LIMIT_RANGE_ANNOTATION, "").partition(":")[2]
    found: list[str] = []
    for part in said.split(";"):
        match = re.fullmatch(
            r"(?P<what>.+) limit for (?:init )?container (?P<name>\S+)", part.strip()
        )
        if match is not None and match["name"] == spec.name:
            found += re.split(r",\s*", match["what"])
    return found


def _heap_fills_limit(spec: Container) -> bool:
    """A runtime needs memory besides its heap: nine tenths are too much."""
    limit = quantity_bytes(_resource(spec, "limits", "memory"))
    return spec.heap is not None and limit is not None and spec.heap.kib * 10 >= (limit >> 10) * 9


def _user(spec: Container, pod: Pod) -> Iterator[tuple[str, int]]:
    for context in (spec.security_context, pod.spec.security_context):
        user = context.get("runAsUser")
        if isinstance(user, int):
            yield "runAsUser", user
            return


def _delay(spec: Container) -> Iterator[tuple[str, int]]:
    delay = (spec.readiness_probe or {}).get("initialDelaySeconds")
    if isinstance(delay, int):
        yield "readinessDelaySeconds", delay


def _asks(spec: Container, probe: Mapping[str, Any] | None) -> str:
    """What a probe asks for, in words."""
    if probe is None:
        return ""
    for way in ("httpGet", "tcpSocket", "grpc"):
        how = probe.get(way)
        if isinstance(how, Mapping):
            port = f"port {_port(spec, how.get('port', ''))}"
            if way == "httpGet":
                return f"GET {how.get('path') or '/'} on {port}"
            return f"gRPC on {port}" if way == "grpc" else f"TCP on {port}"
    how = probe.get("exec")
    words = how.get("command") if isinstance(how, Mapping) else None
    return " ".join(str(word) for word in words) if isinstance(words, list) else ""


def _port(spec: Container, port: Any) -> str:
    number = next((p.container_port for p in spec.ports if p.name == port and p.name), None)
    return str(port) if number is None else f"{port} ({number})"


def _resource(spec: Container, kind: str, name: str) -> str:
    amounts = spec.resources.get(kind)
    return str(amounts.get(name, "")) if isinstance(amounts, Mapping) else ""


def _memory_volumes(spec: Container, pod: Pod) -> Iterator[str]:
    """Where what it writes counts against its memory limit."""
    volumes = pod.spec.volumes
    return _paths(spec, {v.name for v in volumes if (v.empty_dir or {}).get("medium") == "Memory"})


def _host_mounts(spec: Container, pod: Pod) -> Iterator[str]:
    return _paths(spec, {v.name for v in pod.spec.volumes if v.host_path is not None})


def _paths(spec: Container, volumes: set[str]) -> Iterator[str]:
    return (mount.mount_path for mount in spec.volume_mounts if mount.name in volumes)


def _post_start(spec: Container) -> str:
    hook = (spec.lifecycle or {}).get("postStart")
    command = hook.get("exec") if isinstance(hook, Mapping) else None
    words = command.get("command") if isinstance(command, Mapping) else None
    return " ".join(str(word) for word in words) if isinstance(words, list) else ""


def _limits(spec: Container) -> Iterator[tuple[str, int]]:
    processors = quantity(_resource(spec, "limits", "cpu"))
    if processors is not None and 0 < processors < _LARGEST:
        yield "cpuLimitMillis", round(processors * 1000)
    memory = quantity_bytes(_resource(spec, "limits", "memory"))
    if memory is not None and 0 < memory < _LARGEST:
        yield "memoryLimitKiB", memory >> 10
