"""What NetworkPolicies keep a pod from, as far as their ports say it. Whom a rule lets a pod reach
is not looked at: what it may allow is taken for allowed."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from runner.model.examination import Blocked, Examination
from runner.model.objects import EgressRule, NetworkPolicy, PolicyPort, Service
from runner.select import selector_means


def with_policies(
    examination: Examination, policies: Iterable[NetworkPolicy], services: Sequence[Service]
) -> Examination:
    """The examination, and what the policies mean for its pod; `services` are those of all
    namespaces that were listed."""
    meta = examination.pod.metadata
    chosen = [
        each
        for each in policies
        if each.metadata.namespace == meta.namespace
        and _restricts_egress(each)
        and selector_means(each.spec.pod_selector, meta.labels)
    ]
    if not chosen:
        return examination
    names = tuple(sorted(each.metadata.name for each in chosen))
    rules = [rule for each in chosen for rule in each.spec.egress or ()]
    known = {(s.metadata.namespace, s.metadata.name): s for s in services}
    blocked = {
        (host, port): Blocked(host=host, port=port, policies=names)
        for container in (*examination.pod.spec.init_containers, *examination.pod.spec.containers)
        if container.name == examination.target_container
        for host, named in container.endpoints
        if (port := _pods_port(host, named, meta.namespace, known))
        and not any(_may_allow(rule, port) for rule in rules)
    }
    return msgspec.structs.replace(examination, policies=names, blocked=tuple(blocked.values()))


def _restricts_egress(policy: NetworkPolicy) -> bool:
    """Without `policyTypes` one with egress rules does."""
    types = policy.spec.policy_types
    return "Egress" in types or (not types and bool(policy.spec.egress))


def _pods_port(
    host: str, port: int, namespace: str, services: Mapping[tuple[str, str], Service]
) -> int:
    """What a policy sees: a packet to a Service has the port of a pod by then. 0 when unknown."""
    name, _, rest = host.rstrip(".").partition(".")
    service = services.get((rest.partition(".")[0] or namespace, name))
    if service is None:
        return port
    target = next((each.target_port for each in service.spec.ports if each.port == port), 0)
    return (target or port) if isinstance(target, int) else 0


def _may_allow(rule: EgressRule, port: int) -> bool:
    return not rule.ports or any(_covers(each, port) for each in rule.ports)


def _covers(allowed: PolicyPort, port: int) -> bool:
    if allowed.protocol != "TCP":
        return False
    if not isinstance(allowed.port, int):
        return True  # all ports, or one by a name that its pods give it
    return allowed.port <= port <= (allowed.end_port or allowed.port)
