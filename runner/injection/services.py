"""What stands behind the Services that a container's configuration names, for steps that compare
it with what the pod reaches. Pure; nothing but names, numbers and addresses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from runner.injection.endpoints import endpoints_of
from runner.model.objects import EndpointSlice, Service, ServicePort
from runner.model.pod import Container, Pod

SERVICES_VARIABLE = "PODMEDIC_SERVICES"
"""Set in scripts that name it. Where Services may not be listed those steps are not run."""
MAX_ADDRESSES = 8
MAX_CHARACTERS = 4096

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_SERVICE_NAME = "kubernetes.io/service-name"


class Backends(NamedTuple):
    """A port of a Service as the pod names it. `target_port` is 0 when the Service has no such
    port; `addresses` are ADDRESS PORT of those that are ready, the first few."""

    host: str
    port: int
    namespace: str
    service: str
    cluster_ip: str
    target_port: int
    ready: int
    unready: int
    addresses: tuple[tuple[str, int], ...]

    def line(self) -> str:
        """`HOST PORT NAMESPACE SERVICE CLUSTERIP TARGETPORT READY UNREADY ADDRESS/PORT,…`"""
        addresses = ",".join(f"{address}/{port}" for address, port in self.addresses)
        words = (
            self.host, self.port, self.namespace, self.service, self.cluster_ip or "-",
            self.target_port or "-", self.ready, self.unready, addresses or "-",
        )  # fmt: skip
        return " ".join(str(word) for word in words)


class ServiceMap:
    """The Services of the namespaces that were listed, and what stands behind them."""

    def __init__(self, services: Sequence[Service], slices: Sequence[EndpointSlice]) -> None:
        self._services: Mapping[tuple[str, str], Service] = {
            (s.metadata.namespace, s.metadata.name): s
            for s in services
            if s.spec.type != "ExternalName"
        }
        self._slices: dict[tuple[str, str], list[EndpointSlice]] = {}
        for each in slices:
            name = each.metadata.labels.get(_SERVICE_NAME, "")
            self._slices.setdefault((each.metadata.namespace, name), []).append(each)
        self._by_address = {
            s.spec.cluster_ip: key
            for key, s in self._services.items()
            if s.spec.cluster_ip not in ("", "None")
        }

    def named_by(self, pod: Pod, container: Container) -> Iterator[Backends]:
        """One for each host and port of the configuration that means a TCP port of a Service."""
        for endpoint in endpoints_of(container):
            key = self._key(endpoint.host, pod.metadata.namespace)
            service = self._services.get(key) if key else None
            if key is None or service is None:
                continue
            ports = service.spec.ports
            number = endpoint.port or (ports[0].port if len(ports) == 1 else 0)
            known = [port for port in ports if port.port == number]
            if not number or (known and known[0].protocol != "TCP"):
                continue
            yield self._backends(endpoint.host, number, key, service, next(iter(known), None))

    def lines(self, pod: Pod, container: Container) -> str:
        """As many whole lines as fit: what a container runs stays in the pod for ever."""
        text = ""
        for each in self.named_by(pod, container):
            line = f"{each.line()}\n"
            if len(text) + len(line) > MAX_CHARACTERS:
                break
            text += line
        return text

    def _key(self, host: str, namespace: str) -> tuple[str, str] | None:
        if host in self._by_address:
            return self._by_address[host]
        labels = host.rstrip(".").split(".")
        if len(labels) > 2 and labels[2] != "svc":
            return None
        return (labels[1] if len(labels) > 1 else namespace, labels[0])

    def _backends(
        self, host: str, number: int, key: tuple[str, str], service: Service,
        port: ServicePort | None,
    ) -> Backends:  # fmt: skip
        ready: list[tuple[str, int]] = []
        unready = target = 0
        for each in self._slices.get(key, ()):
            found = _port_of(each, port.name if port is not None else "")
            target = target or found
            for endpoint in each.endpoints or ():
                addresses = [str(a) for a in endpoint.get("addresses") or ()]
                conditions = endpoint.get("conditions") or {}
                if conditions.get("ready") is False:
                    unready += 1
                elif addresses and _ADDRESS.fullmatch(addresses[0]):
                    ready.append((addresses[0], found or number))
        if port is None:
            target = 0
        elif not target:
            target = port.target_port if isinstance(port.target_port, int) else 0
            target = target or number
        namespace, name = key
        return Backends(
            host, number, namespace, name, service.spec.cluster_ip, target,
            len(ready), unready, tuple(ready[:MAX_ADDRESSES]) if port is not None else (),
        )  # fmt: skip


def _port_of(one: EndpointSlice, name: str) -> int:
    for port in one.ports or ():
        number = port.get("port")
        if (port.get("name") or "") == name and isinstance(number, int) and 0 < number < 65536:
            return number
    return 0
