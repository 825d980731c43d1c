"""What NetworkPolicies keep a pod from: where its own let it connect to, and whom those of the
other side let in.

Rules choose the other side by labels and addresses. Those of listed pods are known whole, of others
as far as a Service's selector or a pod template tells, of a namespace its name alone: what a rule
may allow by anything else is taken for allowed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network

import msgspec

from runner.model.examination import Blocked, Examination
from runner.model.objects import NetworkPolicy, Objects, PolicyPeer, PolicyPort, PolicyRule, Service
from runner.model.pod import Pod
from runner.select import condition_status, selector_may_mean, selector_means, selector_must_mean

_NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
_PUBLIC = ("com", "net", "org")
_DNS = 53


class _Side(msgspec.Struct, frozen=True):
    """One end of a connection. `pod` is None where it may be a pod or not; `whole` says that it has
    no other labels; `address` is empty where it is not known. `translated` is what may be a
    Service that nobody listed, whose pods have another port."""

    pod: bool | None = None
    namespace: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    whole: bool = False
    address: str = ""
    ports: Mapping[str, int] | None = None
    translated: bool = False


class Policies:
    """What the NetworkPolicies of a run say; `pods` are those that it saw."""

    def __init__(self, objects: Objects, pods: Iterable[Pod]) -> None:
        self._policies: dict[str, list[NetworkPolicy]] = {}
        for policy in objects.policies:
            self._policies.setdefault(policy.metadata.namespace, []).append(policy)
        self._objects = objects
        self._pods: dict[str, list[Pod]] = {}
        if self._policies:
            for pod in pods:
                self._pods.setdefault(pod.metadata.namespace, []).append(pod)
        self._services = {(s.metadata.namespace, s.metadata.name): s for s in objects.services}
        self._addresses = {
            s.spec.cluster_ip: s for s in objects.services if s.spec.cluster_ip not in ("", "None")
        }
        self._behind: dict[tuple[str, str], tuple[_Side, ...]] = {}
        # Replicas, which mostly come one after the other, differ by their addresses alone.
        self._by_address = any(
            peer.ip_block is not None
            for policy in objects.policies
            for rule in (*(policy.spec.egress or ()), *(policy.spec.ingress or ()))
            for peer in (*(rule.to or ()), *(rule.from_ or ()))
        )
        self._told: dict[tuple[object, ...], tuple[Blocked, ...]] = {}

    def known_to(self, examination: Examination) -> Examination:
        """The examination, and what the policies mean for its pod."""
        pod = examination.pod
        # What is on its node's network is outside of most plugins' policies.
        if not self._policies or pod.spec.host_network:
            return examination
        us = _side_of(pod)
        ours = [
            each
            for each in self._policies.get(us.namespace, ())
            if _restricts_egress(each) and selector_means(each.spec.pod_selector, us.labels)
        ]
        # No policy is between a pod and itself or its node.
        always = {"localhost", "127.0.0.1", "::1", pod.status.pod_ip, pod.status.host_ip}
        reached = (
            (host, port)
            for container in (*pod.spec.init_containers, *pod.spec.containers)
            if container.name == examination.target_container
            for host, port in container.endpoints
            if host not in always and not host.startswith("127.")
        )
        found: dict[tuple[str, int, str], Blocked] = {}
        for host, port in reached:
            key = (us.namespace, *sorted(us.labels.items()), host, port)
            if self._by_address:
                key = (*key, us.address)
            if key not in self._told:
                self._told[key] = tuple(self._blocked(us, ours, host, port))
            for one in self._told[key]:
                found.setdefault((one.host, one.port, one.direction), one)
        if not ours and not found:
            return examination
        rules = [rule for each in ours for rule in each.spec.egress or ()]
        return msgspec.structs.replace(
            examination,
            policies=_names(ours),
            without_dns=() if any(map(_may_allow_dns, rules)) else _names(ours),
            blocked=tuple(found.values()),
        )

    def _blocked(
        self, us: _Side, ours: Sequence[NetworkPolicy], host: str, port: int
    ) -> Iterator[Blocked]:
        service, sides = self._other_side(host, us.namespace)
        if service is not None and _is_behind(us, service):
            return  # it may come to itself
        ways = [(side, _port_of(side, service, port)) for side in sides]
        told = next((number for _, number in ways if number), 0)
        if not told or any(number == 0 for _, number in ways):
            return
        rules = [(each, rule) for each in ours for rule in each.spec.egress or ()]
        if ours and not any(
            _may_allow(rule, rule.to, policy, side, number)
            for policy, rule in rules
            for side, number in ways
        ):
            yield Blocked(host=host, port=told, policies=_names(ours))
        shut = [self._shut(us, side, number) for side, number in ways]
        if shut and all(shut):
            theirs = _names(each for one in shut for each in one)
            yield Blocked(host=host, port=told, policies=theirs, direction="ingress")

    def _shut(self, us: _Side, side: _Side, port: int) -> Sequence[NetworkPolicy]:
        """The policies that let nothing from us in to that port, none where some may."""
        if side.pod is not True:
            return ()
        means = selector_means if side.whole else selector_must_mean
        chosen = [
            each
            for each in self._policies.get(side.namespace, ())
            if _restricts_ingress(each) and means(each.spec.pod_selector, side.labels)
        ]
        if not side.whole and not chosen:
            return ()
        # One that may select the pod adds what it lets in.
        adding = chosen if side.whole else self._policies[side.namespace]
        if any(
            _may_allow(rule, rule.from_, each, us, port)
            for each in adding
            for rule in each.spec.ingress or ()
        ):
            return ()
        return chosen

    def _other_side(self, host: str, namespace: str) -> tuple[Service | None, tuple[_Side, ...]]:
        """What a host stands for; each side is one that a connection may come to."""
        try:
            address = ip_address(host)
        except ValueError:
            service, outside = self._service(host, namespace)
            if service is None:
                return None, (_Side(pod=False if outside else None, translated=not outside),)
            return service, self._sides(service)
        if service := self._addresses.get(host):
            return service, self._sides(service)
        # Pods have no addresses of the internet.
        if address.version == 4 and address.is_global:
            return None, (_Side(pod=False, address=host),)
        return None, (_Side(address=host, translated=True),)

    def _service(self, host: str, namespace: str) -> tuple[Service | None, bool]:
        """The Service that a name is of; else whether it surely is no name of the cluster."""
        words = host.rstrip(".").split(".")
        name, rest = words[0], words[1:]
        if len(rest) < 2 or rest[1] == "svc":
            found = self._services.get((rest[0] if rest else namespace, name))
            if found is not None:
                return found, False
        if rest and (len(rest) == 1 or len(rest) == 2 or rest[2] == "svc"):
            # A pod of a headless Service.
            found = self._services.get((rest[1] if len(rest) > 1 else namespace, rest[0]))
            if found is not None:
                return found, False
        public = len(rest) >= 2 and rest[-1] in _PUBLIC
        return None, public or (len(rest) >= 3 and "svc" not in rest[1:3])

    def _sides(self, service: Service) -> tuple[_Side, ...]:
        key = service.metadata.namespace, service.metadata.name
        if key not in self._behind:
            found = list(self._backends(service))
            if not self._by_address:
                found = list({(s.pod, *sorted(s.labels.items())): s for s in found}.values())
            self._behind[key] = tuple(found) or (_Side(),)
        return self._behind[key]

    def _backends(self, service: Service) -> Iterator[_Side]:
        """The ready pods behind a Service that were seen, else what its workloads make."""
        selector, namespace = service.spec.selector, service.metadata.namespace
        if service.spec.type == "ExternalName" or not selector:
            return
        seen = [
            pod
            for pod in self._pods.get(namespace, ())
            if selector.items() <= pod.metadata.labels.items()
            and condition_status(pod, "Ready") == "True"
        ]
        if seen:
            yield from (_side_of(pod) for pod in seen)
            return
        made = [
            each.spec.template.metadata.labels
            for each in self._objects.controllers
            if each.metadata.namespace == namespace
            and selector.items() <= each.spec.template.metadata.labels.items()
        ]
        for labels in made or [selector]:
            yield _Side(pod=True, namespace=namespace, labels=labels)


def _side_of(pod: Pod) -> _Side:
    ports = {p.name: p.container_port for c in pod.spec.containers for p in c.ports if p.name}
    return _Side(
        # Policies do not see a pod in what comes from its node's network.
        pod=None if pod.spec.host_network else True,
        namespace=pod.metadata.namespace,
        labels=pod.metadata.labels,
        whole=True,
        address=pod.status.pod_ip,
        ports=ports,
    )


def policy_facts(examination: Examination) -> Mapping[str, object]:
    return {
        "egress": list(examination.policies),
        "withoutDns": list(examination.without_dns),
        "blocked": [
            {**msgspec.structs.asdict(each), "policies": ", ".join(each.policies)}
            for each in examination.blocked
        ],
    }


def _names(policies: Iterable[NetworkPolicy]) -> tuple[str, ...]:
    return tuple(sorted({each.metadata.name for each in policies}))


def _is_behind(side: _Side, service: Service) -> bool:
    selector, home = service.spec.selector, service.metadata.namespace
    return bool(selector) and side.namespace == home and selector.items() <= side.labels.items()


def _restricts_egress(policy: NetworkPolicy) -> bool:
    """Without `policyTypes` one with egress rules does."""
    types = policy.spec.policy_types
    return "Egress" in types or (not types and bool(policy.spec.egress))


def _restricts_ingress(policy: NetworkPolicy) -> bool:
    """Without `policyTypes` every one does."""
    types = policy.spec.policy_types
    return "Ingress" in types or not types


def _port_of(side: _Side, service: Service | None, port: int) -> int:
    """What a policy sees: a packet to a Service has the port of a pod by then. 0 when unknown."""
    if service is None or service.spec.cluster_ip == "None" or service.spec.type == "ExternalName":
        return port
    target = next((each.target_port for each in service.spec.ports if each.port == port), 0)
    if isinstance(target, str):
        return (side.ports or {}).get(target, 0)
    return target or port


def _may_allow(
    rule: PolicyRule,
    peers: Sequence[PolicyPeer] | None,
    policy: NetworkPolicy,
    side: _Side,
    port: int,
) -> bool:
    ports = not rule.ports or any(_covers(each, port, side) for each in rule.ports)
    return ports and (
        not peers or any(_may_mean(each, policy.metadata.namespace, side) for each in peers)
    )


def _may_allow_dns(rule: PolicyRule) -> bool:
    """To whomever: where the DNS server of a pod is, nobody told us."""
    return not rule.ports or any(
        not isinstance(each.port, int) or each.port <= _DNS <= (each.end_port or each.port)
        for each in rule.ports
        if each.protocol != "SCTP"
    )


def _covers(allowed: PolicyPort, port: int, side: _Side) -> bool:
    if allowed.protocol != "TCP":
        return False
    if not isinstance(allowed.port, int):
        return True  # all ports, or one by a name that its pods give it
    if side.translated and allowed.port != _DNS:
        return True
    return allowed.port <= port <= (allowed.end_port or allowed.port)


def _may_mean(peer: PolicyPeer, home: str, side: _Side) -> bool:
    """`home` is the namespace of the policy: there are the pods of a peer that names none."""
    if peer.ip_block is not None:
        return not side.address or _within(side.address, peer.ip_block.cidr, peer.ip_block.except_)
    if side.pod is False:
        return False
    if side.pod is None:
        return True
    if peer.namespace_selector is None:
        if side.namespace != home:
            return False
    elif not selector_may_mean(peer.namespace_selector, {_NAME_OF_NAMESPACE: side.namespace}):
        return False
    means = selector_means if side.whole else selector_may_mean
    return peer.pod_selector is None or means(peer.pod_selector, side.labels)


def _within(address: str, cidr: str, excepted: Sequence[str]) -> bool:
    """What cannot be read is taken for allowed."""
    try:
        one = ip_address(address)
        return one in ip_network(cidr, strict=False) and not any(
            one in ip_network(each, strict=False) for each in excepted
        )
    except ValueError:
        return True
