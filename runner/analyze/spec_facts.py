"""What conditions and templates get to see of a container's part of the pod template."""

from collections.abc import Iterator, Mapping
from typing import Any

from runner.model.pod import Container
from runner.model.quantity import quantity, quantity_bytes

_LARGEST = 2**52


def of_spec(spec: Container) -> dict[str, Any]:
    return {
        "envFrom": bool(spec.env_from),
        "envNames": [variable.name for variable in spec.env],
        "unexpanded": [
            {"name": variable.name, "reference": reference}
            for variable in spec.env
            for reference in variable.unexpanded
        ],
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
        "probes": {
            "liveness": _asks(spec, spec.liveness_probe),
            "readiness": _asks(spec, spec.readiness_probe),
            "startup": _asks(spec, spec.startup_probe),
        },
        **dict(_limits(spec)),
    }


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
