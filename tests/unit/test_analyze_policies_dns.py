"""NetworkPolicies that let a pod ask no DNS server."""

import pytest

from runner.analyze import Policies
from runner.model.objects import NetworkPolicy, Objects, PolicyPeer, PolicyPort, PolicyRule
from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps, examination, findings_of, running
from tests.unit.test_analyze_policies import out, policy
from tests.unit.test_analyze_triage import healthy
from tests.unit.test_analyze_triage import steps as triage_steps

CRASHLOOP, TRIAGE = resolve("crashloop"), resolve("triage")
NO_DNS = "cluster=yes\nkubernetes=timeout\n"
SILENT = "getaddrinfo: Temporary failure in name resolution (SocketError)\n"
DB = PolicyPeer(pod_selector={"matchLabels": {"app": "db"}})
POSTGRES = PolicyRule(to=(DB,), ports=(PolicyPort(port=5432),))


def first(*policies: NetworkPolicy, dns: str = NO_DNS) -> str:
    one = examination(log=SILENT, steps=crashloop_steps(dns=dns))
    seen = Policies(Objects(policies=policies), [one.pod]).known_to(one)
    return findings_of(CRASHLOOP, seen)[0].rule


def test_the_policy_that_forgets_dns_is_named() -> None:
    forgets = policy(out(POSTGRES), name="geo-egress")
    one = examination(log=SILENT, steps=crashloop_steps(dns=NO_DNS))
    seen = Policies(Objects(policies=(forgets,)), [one.pod]).known_to(one)
    found = [(each.rule, each.message) for each in findings_of(CRASHLOOP, seen)]
    assert found == [
        (
            "dns-blocked-by-policy",
            (
                "Inside the pods no host name resolves, because the NetworkPolicy geo-egress that "
                "selects the pod for egress does not let anything out to port 53."
            ),
        )
    ]
    runs = examination(**healthy(state=running(), steps=triage_steps(dns=NO_DNS)))
    seen = Policies(Objects(policies=(forgets,)), [runs.pod]).known_to(runs)
    assert [each.rule for each in findings_of(TRIAGE, seen)] == ["dns-blocked-by-policy"]


@pytest.mark.parametrize(
    "allowed",
    [
        PolicyRule(ports=(PolicyPort(protocol="UDP", port=53),)),
        PolicyRule(ports=(PolicyPort(protocol="UDP", port=1, end_port=1024),)),
        PolicyRule(ports=(PolicyPort(protocol="UDP", port="dns"),)),
        PolicyRule(to=(DB,)),
    ],
    ids=["port 53", "a range", "a name", "all ports"],
)
def test_a_policy_that_may_let_dns_out_is_not_blamed(allowed: PolicyRule) -> None:
    forgets = policy(out(POSTGRES), name="geo-egress")
    assert first(forgets, policy(out(allowed), name="dns")) == "cluster-dns-down"
    assert first(policy(out(POSTGRES, allowed))) == "cluster-dns-down"


def test_where_dns_answers_no_policy_is_blamed() -> None:
    answers = "cluster=yes\nkubernetes=ok\n"
    assert first(policy(out(POSTGRES)), dns=answers) != "dns-blocked-by-policy"
