"""The playbook networkpolicy on pods whose way is closed.

The lab's network plugin enforces no NetworkPolicy. What one does to packets is done in the pods' own
network instead, by an init container: it sends them where nobody takes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.handle import Lab
from lab.network import DNS_SERVICE, KUBERNETES_SERVICE
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_library_services import SERVER, said_of, service
from tests.lab.test_sweep import SLEEP

EVERYTHING = ("10.96.0.0/16", "10.244.0.0/17", "10.244.128.0/17", "10.0.0.0/9")
EXPECTED: Mapping[str, set[str]] = {
    "healthy": set(),
    "denied": {"egress-blocked"},
    "no-dns": {"dns-blocked"},
    "no-service": {"service-blocked"},
    "forbidden": {"policy-blocks"},
    "half": {"service-partly-blocked"},
    "rejected": {"rejected"},
    "dropped": {"host-blocked"},
    "no-api": {"api-blocked"},
    "refused": {"refused-not-blocked"},
}


def client(name: str, peer: str, dropped: Sequence[str] = (), rejected: str = "") -> dict[str, Any]:
    lines = ["set -e", *(f"ip route add {to} dev lo" for to in dropped)]
    lines += [f"ip route add unreachable {rejected}"] if rejected else []
    cut = {
        "name": "cut", "image": TOOLS_IMAGE, "command": ["sh", "-c", "\n".join(lines)],
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
    }  # fmt: skip
    container = {"env": [{"name": "PEER", "value": peer}]}
    return pm.deployment(name, SLEEP, container=container, spec={"initContainers": [cut]})


def test_each_closed_way_is_told_apart(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    web = pm.deployment("web", "", image=TOOLS_IMAGE, replicas=2, container={"command": SERVER})
    pm.apply(lab, namespace, web, service("web", "web"))
    pm.wait_ready(lab, namespace, "web")
    one, two = (p.status.pod_ip for p in pm.pods(lab, namespace))
    address = lab.kubectl(
        "get", "service", "web", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"
    )
    let_in = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["forbidden"]}]}
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web-in"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}},
                 "ingress": [{"from": [{"podSelector": let_in}]}]},
    }  # fmt: skip
    pm.apply(
        lab, namespace,
        client("healthy", "web:80"),
        client("denied", "web:80", EVERYTHING),
        client("no-dns", f"{one}:8080", [DNS_SERVICE]),
        client("no-service", "web:80", [address, one, two]),
        client("forbidden", "web:80", [address, one, two]),
        policy,
        client("half", "web:80", [two]),
        client("rejected", f"{one}:8080", rejected=one),
        client("dropped", f"{one}:8080", [one]),
        client("no-api", "web:80", [KUBERNETES_SERVICE]),
        client("refused", f"{one}:81"),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    run = pm.run(
        lab, namespace, "networkpolicy", "-l", f"app in ({','.join(EXPECTED)})",
        "--max-in-flight=5", directory=tmp_path / "out",
    )  # fmt: skip
    steps = [(p["name"], s["outcome"], s["stdout"]) for p in run.report["pods"] for s in p["steps"]]
    assert said_of(run.report) == {name: rules for name, rules in EXPECTED.items() if rules}, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}
    (blocked,) = (f["message"] for f in run.report["findings"] if f["rule"] == "policy-blocks")
    assert blocked == (
        "Container app uses web, which does not answer: the NetworkPolicies that select the pods "
        "behind it (web-in) let nothing from this pod in to their port 8080."
    )
