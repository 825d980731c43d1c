"""What NetworkPolicies keep a pod from, on both sides of its connections."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from runner.analyze import Policies, judge
from runner.model.examination import Examination
from runner.model.objects import (
    Controller,
    ControllerSpec,
    IPBlock,
    NetworkPolicy,
    NetworkPolicySpec,
    Objects,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Service,
    ServicePort,
    ServiceSpec,
    Template,
)
from runner.model.pod import (
    Container,
    ContainerPort,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
)
from runner.playbook import resolve
from runner.select import selector_may_mean, selector_must_mean
from tests.unit.examinations import crashloop_steps, examination, findings_of

APP, DB = {"app": "web"}, {"app": "db", "tier": "data"}


def client(
    log: str = "db:5432: timed out\n", tcp: str = "timeout", host: str = "db", **pod: Any
) -> Examination:
    """A pod 10.0.0.5 of namespace shop with the label app=web, which uses a host."""
    one = examination(
        log=log, steps=crashloop_steps(f"endpoint env:DB {host} 5432 dns=ok tcp={tcp}\n")
    )
    container = msgspec.structs.replace(one.pod.spec.containers[0], endpoints=((host, 5432),))
    spec = msgspec.structs.replace(one.pod.spec, containers=(container,), **pod)
    metadata = msgspec.structs.replace(one.pod.metadata, labels=APP)
    status = msgspec.structs.replace(one.pod.status, pod_ip="10.0.0.5", host_ip="192.168.0.1")
    changed = msgspec.structs.replace(one.pod, spec=spec, metadata=metadata, status=status)
    return msgspec.structs.replace(one, pod=changed)


def service(
    target: int | str = 6432, namespace: str = "shop", name: str = "db", **spec: Any
) -> Service:
    spec = {"selector": {"app": "db"}, "cluster_ip": "10.96.0.9", **spec}
    ports = (ServicePort(port=5432, target_port=target),)
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=ServiceSpec(ports=ports, **spec)
    )


def backend(
    labels: dict[str, str] = DB, namespace: str = "shop", ready: str = "True", **more: Any
) -> Pod:
    ports = (ContainerPort(container_port=6432, name="sql"),)
    ip = more.pop("ip", "10.0.0.7")
    return Pod(
        metadata=ObjectMeta(name=f"db-{ip}", namespace=namespace, uid=ip, labels=labels),
        spec=PodSpec(containers=(Container(name="db", ports=ports),), **more),
        status=PodStatus(pod_ip=ip, conditions=(PodCondition(type="Ready", status=ready),)),
    )


def workload(labels: dict[str, str]) -> Controller:
    template = Template(metadata=ObjectMeta(labels=labels))
    return Controller(
        kind="StatefulSet",
        metadata=ObjectMeta(name="db", namespace="shop"),
        spec=ControllerSpec(template=template),
    )


def policy(spec: NetworkPolicySpec, name: str = "deny", namespace: str = "shop") -> NetworkPolicy:
    return NetworkPolicy(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


def out(*rules: PolicyRule, **spec: Any) -> NetworkPolicySpec:
    return NetworkPolicySpec(policy_types=("Egress",), egress=rules, **spec)


def into(*rules: PolicyRule, **spec: Any) -> NetworkPolicySpec:
    return NetworkPolicySpec(policy_types=("Ingress",), ingress=rules, **spec)


def ports(*allowed: PolicyPort) -> PolicyRule:
    return PolicyRule(ports=allowed)


def to(*peers: PolicyPeer, **rule: Any) -> PolicyRule:
    return PolicyRule(to=peers, **rule)


def from_(*peers: PolicyPeer, **rule: Any) -> PolicyRule:
    return PolicyRule(from_=peers, **rule)


def pods(namespaces: dict[str, str] | None = None, **labels: str) -> PolicyPeer:
    return PolicyPeer(
        pod_selector={"matchLabels": labels},
        namespace_selector=None if namespaces is None else {"matchLabels": namespaces},
    )


def block(cidr: str, *but: str) -> PolicyPeer:
    return PolicyPeer(ip_block=IPBlock(cidr=cidr, except_=but))


def told(
    one: Examination,
    policies: Sequence[NetworkPolicySpec | NetworkPolicy],
    services: Sequence[Service] = (),
    others: Sequence[Pod] = (),
    controllers: Sequence[Controller] = (),
) -> list[tuple[str, int, str]]:
    objects = Objects(
        policies=tuple(p if isinstance(p, NetworkPolicy) else policy(p) for p in policies),
        services=tuple(services),
        controllers=tuple(controllers),
    )
    found = Policies(objects, [one.pod, *others]).known_to(one)
    return [(each.host, each.port, each.direction) for each in found.blocked]


EGRESS = [("db", 6432, "egress")]
INGRESS = [("db", 6432, "ingress")]
OTHERS = {"matchLabels": {"app": "x"}}
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
SHOP = {"kubernetes.io/metadata.name": "shop"}


@pytest.mark.parametrize(
    ("specs", "services", "blocked"),
    [
        ([out()], [], [("db", 5432, "egress")]),
        ([out()], [service()], EGRESS),
        # Several policies add up; a rule without ports lets all out.
        ([out(), out(ports(PolicyPort(port=6432)))], [service()], []),
        ([out(), out(ports())], [], []),
        ([out(ports(PolicyPort(port=5432)))], [service()], EGRESS),
        ([out(ports(PolicyPort(port=6000, end_port=7000)))], [service()], []),
        ([out(ports(PolicyPort(port=5432, protocol="UDP")))], [], [("db", 5432, "egress")]),
        ([out(ports(PolicyPort(port="postgres")))], [], []),
        ([out(ports(PolicyPort()))], [], []),
        # Whose Service nobody listed may send to any port, but hardly to that of the DNS.
        ([out(ports(PolicyPort(port=6432)))], [], []),
        ([out(ports(PolicyPort(port=53)))], [], [("db", 5432, "egress")]),
        # Others' pods, and what comes in.
        ([out(pod_selector=OTHERS)], [], []),
        ([into()], [], []),
        ([NetworkPolicySpec()], [], []),
        ([NetworkPolicySpec(egress=(ports(PolicyPort(port=53)),))], [], [("db", 5432, "egress")]),
    ],
)  # fmt: skip
def test_by_ports(
    specs: list[NetworkPolicySpec],
    services: list[Service],
    blocked: list[tuple[str, int, str]],
) -> None:
    assert told(client(), specs, services) == blocked


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        (pods(app="db"), True),
        (pods(app="cache"), False),
        (pods(app="db", role="primary"), False),
        (PolicyPeer(pod_selector={}), True),
        (PolicyPeer(pod_selector={"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), False),
        # Pods of other namespaces; of those we know the names alone.
        (pods(MONITORING, app="db"), False),
        (pods(SHOP, app="db"), True),
        (pods({"team": "a"}, app="db"), True),
        (PolicyPeer(namespace_selector={}), True),
        (PolicyPeer(namespace_selector={"matchLabels": MONITORING}), False),
        (block("10.0.0.0/24"), True),
        (block("10.0.0.0/24", "10.0.0.7/32"), False),
        (block("192.0.2.0/24"), False),
        (block("nonsense"), True),
    ],
)  # fmt: skip
def test_by_whom_a_rule_means(peer: PolicyPeer, allowed: bool) -> None:
    """The pod behind the Service is known, with all its labels; one of several peers is enough."""
    expected = [] if allowed else EGRESS
    assert told(client(), [out(to(peer))], [service()], [backend()]) == expected
    assert told(client(), [out(to(pods(app="x"), peer))], [service()], [backend()]) == expected


def test_what_is_not_known_is_taken_for_allowed() -> None:
    """Without its pods of a Service only its selector is known, or what its workload gives them."""
    more, other = out(to(pods(app="db", role="primary"))), out(to(pods(app="db", tier="cache")))
    assert told(client(), [more], [service()]) == []
    assert told(client(), [other], [service()]) == []
    assert told(client(), [other], [service()], controllers=[workload(DB)]) == EGRESS
    assert told(client(), [more], [service()], controllers=[workload(DB)]) == []
    assert told(client(), [out(to(pods(app="cache")))], [service()]) == EGRESS
    # One that is not ready has no part in it.
    assert told(client(), [more], [service()], [backend(ready="False")]) == []


@pytest.mark.parametrize(
    ("host", "peer", "allowed"),
    [
        # No name of the cluster: no pod.
        ("db.example.com", PolicyPeer(namespace_selector={}), False),
        ("db.prod.corp.internal", PolicyPeer(namespace_selector={}), False),
        ("db.example.com", block("192.0.2.0/24"), True),
        # May be a pod of a headless Service, or a Service of a namespace that nobody listed.
        ("db-0.db.other", pods(app="db"), True),
        ("db.other.svc", pods(app="x"), True),
        ("203.0.113.9", PolicyPeer(namespace_selector={}), True),  # of a test network
        ("8.8.8.8", PolicyPeer(namespace_selector={}), False),
        ("8.8.8.8", block("8.8.0.0/16"), True),
        ("8.8.8.8", block("0.0.0.0/0", "8.8.8.0/24"), False),
        ("10.1.2.3", pods(app="db"), True),
        ("10.1.2.3", block("10.1.0.0/16"), True),
        ("10.1.2.3", block("10.2.0.0/16"), False),
        # The Service db by its address and by its longer names.
        ("10.96.0.9", pods(app="x"), False),
        ("db.shop", pods(app="x"), False),
        ("db.shop.svc.cluster.local.", pods(app="x"), False),
        ("db-0.db.shop.svc", pods(app="x"), False),
        # No policy is between a pod and itself or its node.
        ("127.0.0.1", pods(app="x"), True),
        ("localhost", pods(app="x"), True),
        ("192.168.0.1", pods(app="x"), True),
        ("10.0.0.5", pods(app="x"), True),
    ],
)
def test_other_hosts(host: str, peer: PolicyPeer, allowed: bool) -> None:
    blocked = told(client(host=host), [out(to(peer))], [service()], [backend()])
    assert [each[0] for each in blocked] == ([] if allowed else [host])


def test_services_that_are_no_pods() -> None:
    """An ExternalName and one whose endpoints somebody wrote: rules for pods may mean them."""
    rule = out(to(pods(app="x")))
    assert told(client(), [rule], [service(type="ExternalName")]) == []
    assert told(client(), [rule], [service(selector={})]) == []
    # Of a headless one the connection has its own port; a named port is that of the pod.
    assert told(client(), [out()], [service(cluster_ip="None")]) == [("db", 5432, "egress")]
    named = out(ports(PolicyPort(port=5432)))
    assert told(client(), [named], [service("sql")], [backend()]) == EGRESS
    assert told(client(), [named], [service("sql")]) == []


@pytest.mark.parametrize(
    ("specs", "blocked"),
    [
        ([into()], INGRESS),
        ([NetworkPolicySpec()], INGRESS),  # without policyTypes it is one for Ingress
        ([into(pod_selector={"matchLabels": {"app": "db"}})], INGRESS),
        ([into(pod_selector=OTHERS)], []),
        ([into(from_(pods(app="web")))], []),
        ([into(from_(pods(app="api")))], INGRESS),
        ([into(from_(pods(app="api"))), into(from_(pods(app="web")))], []),
        ([into(from_(pods(app="web"), ports=(PolicyPort(port=5432),)))], INGRESS),
        ([into(from_(pods(app="web"), ports=(PolicyPort(port=6432),)))], []),
        ([into(from_(pods(MONITORING)))], INGRESS),
        ([into(from_(pods(SHOP)))], []),
        ([into(from_(block("10.0.0.5/32")))], []),
        ([into(from_(block("10.0.0.0/8", "10.0.0.5/32")))], INGRESS),
        ([into(PolicyRule())], []),
        # Both sides forbid it.
        ([out(), into()], [*EGRESS, *INGRESS]),
    ],
)
def test_whom_the_other_side_lets_in(
    specs: list[NetworkPolicySpec], blocked: list[tuple[str, int, str]]
) -> None:
    own = [msgspec.structs.replace(s, pod_selector={"matchLabels": APP}) if s.egress is not None and "Egress" in s.policy_types else s for s in specs]  # fmt: skip
    assert told(client(), own, [service()], [backend()]) == blocked


def test_all_pods_behind_a_service_have_to_be_shut() -> None:
    primary = into(pod_selector={"matchLabels": {"role": "primary"}})
    both = [backend(), backend({**DB, "role": "primary"}, ip="10.0.0.8")]
    assert told(client(), [primary], [service()], both) == []
    assert told(client(), [primary], [service()], both[1:]) == INGRESS
    # Of pods that were not seen a policy has to mean the labels that they surely have.
    assert told(client(), [primary], [service()]) == []
    assert told(client(), [into()], [service()]) == INGRESS
    # One that may select them too may let us in.
    assert told(client(), [into(), into(PolicyRule(), pod_selector=OTHERS)], [service()]) == []


def test_the_other_side_in_another_namespace() -> None:
    """Its own namespace's policies count, and a peer without namespaceSelector means pods there."""
    theirs = [service(namespace="data")], [backend(namespace="data")]
    one = client(host="db.data")
    assert told(one, [policy(into(from_(pods(app="web"))), namespace="data")], *theirs) == [
        ("db.data", 6432, "ingress")
    ]
    assert told(one, [policy(into(from_(pods(SHOP))), namespace="data")], *theirs) == []
    assert told(one, [into()], *theirs) == []


def test_whatever_is_on_its_nodes_network_is_outside_of_policies() -> None:
    assert told(client(host_network=True), [out(), into()], [service()], [backend()]) == []
    assert told(client(), [into()], [service()], [backend(host_network=True)]) == []


def test_a_pod_may_come_to_itself_by_its_own_service() -> None:
    """No policy is between the two ends of such a connection."""
    assert told(client(), [out(), into()], [service(selector=APP)]) == []


def test_policies_of_another_namespace_do_not_concern_it() -> None:
    assert told(client(), [policy(out(), namespace="other")]) == []


@pytest.mark.parametrize(
    ("expression", "may", "must"),
    [
        ({"key": "app", "operator": "In", "values": ["db"]}, True, True),
        ({"key": "app", "operator": "In", "values": ["x"]}, False, False),
        ({"key": "role", "operator": "In", "values": ["x"]}, True, False),
        ({"key": "app", "operator": "NotIn", "values": ["db"]}, False, False),
        ({"key": "role", "operator": "NotIn", "values": ["x"]}, True, False),
        ({"key": "app", "operator": "Exists"}, True, True),
        ({"key": "role", "operator": "Exists"}, True, False),
        ({"key": "app", "operator": "DoesNotExist"}, False, False),
        ({"key": "role", "operator": "DoesNotExist"}, True, False),
    ],
)
def test_selectors_and_labels_that_are_known_in_part(
    expression: dict[str, Any], may: bool, must: bool
) -> None:
    selector = {"matchExpressions": [expression]}
    labels = {"app": "db"}
    assert (selector_may_mean(selector, labels), selector_must_mean(selector, labels)) == (
        may,
        must,
    )


def known(one: Examination, *policies: NetworkPolicy) -> Examination:
    objects = Objects(policies=policies, services=(service(),))
    return Policies(objects, [one.pod, backend()]).known_to(one)


def test_a_policy_is_the_cause_where_the_host_does_not_answer() -> None:
    """Of the pod's side, and of the other one."""
    own = {"pod_selector": {"matchLabels": APP}}
    one = known(client(), policy(out(**own), "b"), policy(out(**own), "a"))
    (finding,) = findings_of(resolve("crashloop"), one)
    assert (finding.rule, finding.confidence) == ("blocked-by-policy", "certain")
    assert finding.message == (
        "Container app exits with code 1 because db does not answer: the NetworkPolicies that "
        "select the pod (a, b) let no TCP out to its port 6432."
    )
    (finding,) = findings_of(resolve("crashloop"), known(client(), policy(into(), "shut")))
    assert (finding.rule, finding.confidence) == ("blocked-by-policy", "certain")
    assert finding.message == (
        "Container app exits with code 1 because db does not answer: the NetworkPolicies that "
        "select the pods behind it (shut) let nothing from this pod in to their port 6432."
    )


@pytest.mark.parametrize(
    ("log", "tcp"), [("db:5432: refused\n", "refused"), ("other:1: timed out\n", "timeout")]
)
def test_a_policy_is_no_cause_of_anything_else(log: str, tcp: str) -> None:
    """A connection that is refused came through."""
    one = known(client(log, tcp), policy(out()))
    assert "blocked-by-policy" not in [f.rule for f in findings_of(resolve("crashloop"), one)]


def test_policies_that_may_not_be_listed_are_a_question() -> None:
    why = "forbidden: list networkpolicies.networking.k8s.io"
    one = msgspec.structs.replace(client(), unknown={"policies": why})
    applies = {one.pod.metadata.uid: ["crashloop"]}
    questions = judge([resolve("crashloop")], [one], applies).not_evaluated
    assert [(q.subject, q.message) for q in questions if "policies" in q.message] == [
        ("fact policies", why),
        ("rule blocked-by-policy", f"policies: {why}"),
    ]
