"""The playbook service-unreachable on clients of Services that fail in one way each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP

SERVER = ["python3", "-m", "http.server", "8080"]
# In the pods' network, and nobody's.
NOBODY = "10.244.250.250"
# What each client names, and what is said of it.
EXPECTED: Mapping[str, tuple[str, set[str]]] = {
    "healthy": ("web:80", set()),
    "headless": ("web-headless:8080", set()),
    "no-port": ("web:81", {"service-port-missing"}),
    "no-endpoints": ("empty:80", {"service-without-endpoints"}),
    "unready": ("warming:80", {"service-endpoints-not-ready"}),
    "closed": ("closed:80", {"target-port-closed"}),
    "half": ("half:80", {"endpoint-bad"}),
    "silent": ("silent:80", {"endpoints-silent"}),
    "unproxied": ("unproxied:80", {"cluster-ip-fails"}),
    "typo": ("wed:80", {"host-unresolved"}),
    "address": (f"{NOBODY}:80", {"host-silent"}),
}


def service(
    name: str, app: str, *, target: int = 8080, port: int = 80, **spec: Any
) -> dict[str, Any]:
    chosen = {"selector": {"app": app}} if app else {}
    ports = [{"port": port, "targetPort": target, "name": "http"}]
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": ports, **chosen, **spec},
    }  # fmt: skip


def endpoints(name: str, *addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }  # fmt: skip


def client(name: str, peer: str, **spec: Any) -> dict[str, Any]:
    container = {"env": [{"name": "PEER", "value": peer}]}
    return pm.deployment(name, SLEEP, container=container, spec=spec)


def servers(lab: Lab, namespace: str) -> str:
    """The Services and what is behind them; gives the address of a pod that serves."""
    unproxied = service("unproxied", "web")
    # kube-proxy leaves it to another proxy, which there is not.
    unproxied["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "nobody"}
    web = pm.deployment("web", "", image=TOOLS_IMAGE, replicas=2, container={"command": SERVER})
    probe = {"httpGet": {"port": 8080, "path": "/nothing"}, "periodSeconds": 1}
    warming = pm.deployment(
        "warming", "", image=TOOLS_IMAGE, container={"command": SERVER, "readinessProbe": probe}
    )
    pm.apply(
        lab, namespace, web, warming, unproxied,
        service("web", "web"), service("closed", "web", target=9999), service("warming", "warming"),
        service("web-headless", "web", port=8080, clusterIP="None"), service("empty", "nobody"),
        service("half", ""), service("silent", ""),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "web")
    serving = [
        p.status.pod_ip for p in pm.pods(lab, namespace) if p.metadata.labels["app"] == "web"
    ]
    return serving[0]


def said_of(report: dict[str, Any]) -> dict[str, set[str]]:
    said: dict[str, set[str]] = {}
    for finding in report["findings"]:
        said.setdefault(finding["workload"]["name"], set()).add(finding["rule"])
    return said


def test_each_way_to_fail_is_told_apart(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    serving = servers(lab, namespace)
    pm.apply(lab, namespace, *(client(name, peer) for name, (peer, _) in EXPECTED.items()))
    pm.wait_ready(lab, namespace, *EXPECTED)
    idle = next(p for p in pm.pods(lab, namespace) if p.metadata.labels["app"] == "healthy")
    pm.apply(
        lab, namespace,
        endpoints("half", serving, idle.status.pod_ip), endpoints("silent", NOBODY),
    )  # fmt: skip
    chosen = f"app in ({','.join(EXPECTED)})"
    run = pm.run(
        lab, namespace, "service-unreachable", "-l", chosen, "--max-in-flight=4",
        directory=tmp_path / "out",
    )  # fmt: skip
    steps = [(p["name"], s["outcome"], s["stdout"]) for p in run.report["pods"] for s in p["steps"]]
    expected = {name: rules for name, (_, rules) in EXPECTED.items() if rules}
    assert said_of(run.report) == expected, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}
    half = next(f for f in run.report["findings"] if f["workload"]["name"] == "half")
    assert half["message"] == (
        "Container app uses half:80; of the 2 ready pods behind Service "
        f"{namespace}/half 1 accept connections, these do not: {idle.status.pod_ip}."
    )
