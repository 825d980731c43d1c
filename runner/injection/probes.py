"""The probes of a container, for steps that replay them. Whoever wrote the pod wrote them: what is
no plain word is encoded or left out, and headers, which may hold secrets, are only counted."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from runner.late import late
from runner.model.pod import Container

MAX_PATH_CHARACTERS = 512

_KINDS = ("readiness", "liveness", "startup")
_HOST = late(r"[A-Za-z0-9_:](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9_])?\.?")
_SERVICE = late(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}")
# What RFC 3986 allows in path and query, and `%`: what is encoded already stays so.
_URL_CHARACTERS = "/?:@!$&'()*+,;=-._~%"


class Probe(NamedTuple):
    """`how` is `http`, `tcp`, `grpc` or `exec`; `port` is 0 where there is none or no container
    port has its name; `host` is empty for the pod's own address; `path` of grpc is a service."""

    kind: str
    how: str
    port: int
    timeout_seconds: int
    scheme: str = ""
    headers: int = 0
    host: str = ""
    path: str = ""

    def line(self) -> str:
        """`KIND HOW PORT TIMEOUT SCHEME HEADERS HOST PATH`, `-` for what there is not."""
        words = (
            self.kind, self.how, self.port or "-", self.timeout_seconds, self.scheme or "-",
            self.headers, self.host or "-", self.path or "-",
        )  # fmt: skip
        return " ".join(str(word) for word in words)


def probes_of(container: Container) -> Iterator[Probe]:
    """The readiness probe first."""
    given = (container.readiness_probe, container.liveness_probe, container.startup_probe)
    for kind, probe in zip(_KINDS, given, strict=True):
        if probe is not None and (found := _probe(container, kind, probe)) is not None:
            yield found


def _probe(container: Container, kind: str, probe: Mapping[str, Any]) -> Probe | None:
    timeout = _number(probe.get("timeoutSeconds")) or 1
    if "exec" in probe:
        return Probe(kind, "exec", 0, timeout)
    for how, key in (("http", "httpGet"), ("tcp", "tcpSocket"), ("grpc", "grpc")):
        action = probe.get(key)
        if not isinstance(action, Mapping):
            continue
        host = str(action.get("host") or "")
        if host and not _HOST.fullmatch(host):
            return None
        port = _port(container, action.get("port"))
        if how == "http":
            scheme = "https" if action.get("scheme") == "HTTPS" else "http"
            headers = action.get("httpHeaders")
            count = len(headers) if isinstance(headers, list | tuple) else 0
            path = _path(str(action.get("path") or "/"))
            return Probe(kind, how, port, timeout, scheme, count, host, path)
        service = str(action.get("service") or "")
        path = service if how == "grpc" and _SERVICE.fullmatch(service) else ""
        return Probe(kind, how, port, timeout, host=host, path=path)
    return None


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= 3600 else 0


def _port(container: Container, value: object) -> int:
    if isinstance(value, int):
        return value if 0 < value < 65536 else 0
    return next((p.container_port for p in container.ports if p.name and p.name == value), 0)


def _path(text: str) -> str:
    """As it stands in a request line, one word; cut where it is longer than any that is meant."""
    path = quote(text, safe=_URL_CHARACTERS)
    return (path if path.startswith("/") else f"/{path}")[:MAX_PATH_CHARACTERS]
