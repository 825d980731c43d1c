"""The playbook dns-failure: what its rules say of each way to fail, and how its steps see it."""

import pytest

from tests.unit.library_cases import MISSING, Case, said, without_case

NAME = "dns-failure"
CLUSTER = "domain=cluster.local\nservers=1\nsearches=3\nndots=5\ncluster=yes\n"
NODE = "servers=1\nsearches=0\nndots=1\ncluster=no\n"
GOOD = "server 10.96.0.10 asked=10 answered=10 slow=4 slowest_ms=120 udp=ok tcp=ok\n"
NAMES = "name cluster kubernetes.default ok 2\nname env:DB db.shop ok 2\nname args alias hosts 0\n"


def server(line: str, ip: str = "10.96.0.10") -> str:
    return f"server {ip} {line}\n"


CASES: list[Case] = [
    ({"config": CLUSTER, "servers": GOOD, "names": NAMES, "library": "library env:DB db.shop ok\n",
      "nslookup": "dig is there\n"}, []),
    ({"config": "servers=0\nsearches=0\nndots=1\ncluster=no\n", "servers": ""}, [
        ("no-nameserver", ("The /etc/resolv.conf of the pod names no nameserver, so nothing "
         "resolves."))]),
    ({"config": CLUSTER,
      "servers": server("asked=3 answered=0 slow=0 slowest_ms=0 udp=timeout tcp=unreachable"),
      "names": "name cluster kubernetes.default timeout 1\nname env:DB db timeout 1\n",
      "library": "library env:DB db fail\n"}, [
        ("dns-down", ("None of the 1 nameservers of the pod answers, neither by UDP nor by TCP: "
         "nothing resolves."))]),
    ({"config": CLUSTER, "names": NAMES,
      "servers": GOOD + server("asked=3 answered=0 slow=0 slowest_ms=0 udp=closed tcp=closed", "10.0.0.9")}, [
        ("dns-server-silent", ("Nameserver 10.0.0.9 of the pod does not answer (closed): each "
         "look-up that begins with it waits, five seconds by default, before the next one is asked."))]),
    ({"config": CLUSTER,
      "servers": server("asked=3 answered=0 slow=0 slowest_ms=0 udp=timeout tcp=ok")}, [
        ("dns-udp-fails", ("Nameserver 10.96.0.10 answers by TCP and not by UDP (timeout), which "
         "is what resolvers use: look-ups time out."))]),
    ({"config": CLUSTER,
      "servers": server("asked=10 answered=10 slow=0 slowest_ms=1 udp=ok tcp=closed")}, [
        ("dns-tcp-fails", ("Nameserver 10.96.0.10 answers by UDP and not by TCP (closed): answers "
         "that are too long for UDP fail."))]),
    ({"config": CLUSTER, "names": "name cluster kubernetes.default servfail 4\nname args db servfail 4\n",
      "servers": server("asked=10 answered=10 slow=0 slowest_ms=1 udp=servfail tcp=servfail")}, [
        ("cluster-name-fails", ("Nameserver 10.96.0.10 answers SERVFAIL when asked for "
         "kubernetes.default.svc: it is there and cannot resolve the cluster's own names."))]),
    ({"config": CLUSTER, "names": "name args db nxdomain 4\n",
      "servers": server("asked=10 answered=10 slow=0 slowest_ms=1 udp=nxdomain tcp=nxdomain")}, [
        ("cluster-name-unknown", ("Nameserver 10.96.0.10 says that "
         "kubernetes.default.svc.cluster.local does not exist (NXDOMAIN): no Service resolves."))]),
    ({"config": CLUSTER, "servers": server("asked=10 answered=7 slow=0 slowest_ms=1 udp=ok tcp=ok")}, [
        ("dns-unreliable", ("Nameserver 10.96.0.10 answered 7 of 10 questions: each that is lost "
         "costs the application five seconds by default."))]),
    ({"config": CLUSTER, "servers": server("asked=10 answered=10 slow=5 slowest_ms=180 udp=ok tcp=ok")}, [
        ("dns-slow", ("Nameserver 10.96.0.10 took 100 ms or more for 5 of 10 answers about the "
         "cluster's own name, which it knows without asking anybody."))]),
    ({"config": NODE, "servers": GOOD, "names": "name env:DB db.shop.svc nxdomain 1\n"}, [
        ("not-the-clusters-dns", ("The host db.shop.svc that the configuration names (env:DB) does "
         "not exist for the pod's nameserver, which is not the cluster's: Services do not resolve "
         "in this pod."))]),
    ({"config": NODE, "servers": GOOD, "names": "name env:DB www.example.com nxdomain 1\n"}, [
        ("host-unknown", ("DNS works and says that the host www.example.com that the configuration "
         "names (env:DB) does not exist (NXDOMAIN)."))]),
    ({"config": CLUSTER, "servers": GOOD, "names": "name env:DB db nxdomain 4\n"}, [
        ("host-unknown", ("DNS works and says that the host db that the configuration names "
         "(env:DB) does not exist (NXDOMAIN)."))]),
    ({"config": CLUSTER, "servers": GOOD, "names": "name args a.example servfail 4\n"}, [
        ("host-servfail", ("DNS answers SERVFAIL for the host a.example that the configuration "
         "names (args): the server is there, but the one that it asks in turn fails."))]),
    ({"config": CLUSTER, "servers": GOOD, "names": "name args a.example timeout 4\n"}, [
        ("host-times-out", ("DNS answers for the cluster's own name and not for the host a.example "
         "that the configuration names (args): the server waits for one that it asks in turn."))]),
    ({"config": CLUSTER, "servers": GOOD, "names": "name args a.example.com ok 4\nname args db.shop ok 3\n"}, [
        ("search-amplification", ("Each look-up of a.example.com asks 4 questions, of which only "
         "the last is answered with an address, because it has fewer dots than ndots:5 wants: that "
         "is load on DNS, and delay for the application."))]),
    ({"config": CLUSTER, "servers": MISSING, "names": MISSING, "nslookup": MISSING,
      "library": "library cluster kubernetes.default.svc ok\nlibrary env:DB db timeout\n"}, [
        ("host-unresolvable", ("The host db (env:DB) does not resolve in the pod: there is no "
         "answer."))]),
    ({"config": CLUSTER, "servers": MISSING, "names": MISSING, "library": MISSING,
      "nslookup": "lookup cluster kubernetes.default.svc ok\nlookup env:DB db nxdomain\n"}, [
        ("host-unresolvable-by-nslookup", ("The host db (env:DB) does not resolve in the pod: "
         "nslookup says NXDOMAIN."))]),
    # The node's DNS knows nothing of the cluster, and need not.
    ({"config": NODE, "servers": MISSING, "names": MISSING, "nslookup": MISSING,
      "library": "library cluster kubernetes.default.svc fail\n"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "expected"), CASES)
def test_what_is_said(outputs: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert said(NAME, outputs) == expected


def test_every_rule_has_a_case() -> None:
    assert without_case(NAME, CASES) == set()
