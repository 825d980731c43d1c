"""The playbook dns-failure on pods whose nameserver fails in one way each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP

# A nameserver that is as ill as MODE says; what it knows are the cluster's names and example.com.
SERVER = r"""
import os, socket, socketserver, struct, threading, time

MODE, count = os.environ["MODE"], [0]

def answer(question):
    end = question.index(0, 12) + 5
    name = question[12:end - 5]
    rcode, records = 3, 0
    if MODE == "servfail": rcode = 2
    elif MODE != "nxdomain" and name.endswith(b"\x07default\x03svc\x07cluster\x05local"): rcode, records = 0, 1
    elif name == b"\x03www\x07example\x03com": rcode, records = 0, 1
    elif name == b"\x03ill\x07example\x03com": rcode = 2
    elif name == b"\x04late\x07example\x03com": return b""
    head = question[:2] + struct.pack("!5H", 0x8580 | rcode, 1, records, 0, 0)
    return head + question[12:end] + records * (b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 5, 4) + bytes([10, 96, 0, 1]))

class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        size, = struct.unpack("!H", self.request.recv(2))
        said = answer(self.request.recv(size))
        if MODE != "silent" and said: self.request.sendall(struct.pack("!H", len(said)) + said)
        else: time.sleep(9)

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
if MODE != "udp":
    socketserver.ThreadingTCPServer.daemon_threads = True
    tcp = socketserver.ThreadingTCPServer(("", 53), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
open("/tmp/up", "w")
while True:
    question, sender = udp.recvfrom(4096)
    count[0] += 1
    if MODE in ("silent", "tcp") or MODE == "lossy" and count[0] % 3 == 0: continue
    if MODE == "slow": time.sleep(0.15)
    said = answer(question)
    if said: udp.sendto(said, sender)
"""
# What the nameserver of each pod is, and what is said of the pod.
EXPECTED: Mapping[str, set[str]] = {
    "good": {"search-amplification", "host-servfail", "host-times-out", "host-unknown"},
    "silent": {"dns-down"},
    "tcp": {"dns-udp-fails"},
    "udp": {"dns-tcp-fails"},
    "servfail": {"cluster-name-fails"},
    "nxdomain": {"cluster-name-unknown"},
    "slow": {"dns-slow"},
    "lossy": {"dns-unreliable"},
}


def server(mode: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"dns-{mode}"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "dns", "image": TOOLS_IMAGE, "command": ["python3", "-c", SERVER],
                "env": [{"name": "MODE", "value": mode}], "securityContext": {"runAsUser": 0},
                # Asked until it is up, and not for ever: each time is a process in each pod.
                "startupProbe": {
                    "exec": {"command": ["ls", "/tmp/up"]}, "periodSeconds": 1,
                    "failureThreshold": 120,
                },
            }],
        },
    }  # fmt: skip


def client(namespace: str, mode: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    searches = [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    hosts = "www.example.com:443 ill.example.com:443 late.example.com:443 gone.example.com:443"
    return pm.deployment(
        mode,
        SLEEP,
        container={"env": [{"name": "PEERS", "value": hosts}]} if mode == "good" else {},
        spec={
            "dnsPolicy": "None",
            "dnsConfig": {
                "nameservers": [addresses[mode]],
                "searches": searches,
                "options": [{"name": "ndots", "value": "5"}],
            },
        },
    )


def test_each_way_to_fail_is_told_apart(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """With the cluster's own DNS, and a Service that exists, nothing is said."""
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, *(server(mode) for mode in EXPECTED))
    lab.kubectl("wait", "--for=condition=Ready", "pod", "--all", "-n", namespace, "--timeout=120s")
    addresses = {
        pod.metadata.name.removeprefix("dns-"): pod.status.pod_ip for pod in pm.pods(lab, namespace)
    }
    healthy = {"env": [{"name": "API_HOST", "value": "kubernetes.default.svc"}]}
    wrong = {"env": [{"name": "DB_HOST", "value": "no-such-service"}]}
    # As a node's DNS is: it answers, and knows nothing of Services.
    node = {"dnsPolicy": "None", "dnsConfig": {"nameservers": [addresses["nxdomain"]]}}
    pm.apply(
        lab, namespace, *(client(namespace, mode, addresses) for mode in EXPECTED),
        pm.deployment("healthy", SLEEP, container=healthy),
        pm.deployment("wrong", SLEEP, container=wrong),
        pm.deployment("node", SLEEP, container=wrong, spec=node),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED, "healthy", "wrong", "node")
    run = pm.run(
        lab, namespace, "dns-failure", "-l", "app", "--max-in-flight=4", directory=tmp_path / "out"
    )
    said: dict[str, set[str]] = {}
    for finding in run.report["findings"]:
        said.setdefault(finding["workload"]["name"], set()).add(finding["rule"])
    steps = [
        (p["name"], s["name"], s["outcome"], s["stdout"])
        for p in run.report["pods"]
        for s in p["steps"]
    ]
    assert said == {
        **EXPECTED,
        "wrong": {"host-unknown"},
        "node": {"not-the-clusters-dns"},
    }, steps
    assert {(name, outcome) for _, name, outcome, _ in steps} == {
        (name, "passed") for name in ("config", "servers", "names", "library", "nslookup")
    }


def test_an_image_without_dig(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Less is told apart, and what was not looked at is said to be so."""
    lab.images("busybox")
    wrong = {"env": [{"name": "DB_HOST", "value": "no-such-service"}]}
    right = {"env": [{"name": "API_HOST", "value": "kubernetes.default.svc.cluster.local"}]}
    pm.apply(
        lab, namespace, pm.deployment("wrong", SLEEP, container=wrong),
        pm.deployment("right", SLEEP, container=right),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "wrong", "right")
    text = Path("playbooks/dns-failure.yaml").read_text()
    mine = tmp_path / "dns-failure.yaml"
    mine.write_text(text.replace("profile: auto", 'profile: auto, image: "busybox:1.36"'))
    run = pm.run(lab, namespace, mine, directory=tmp_path / "out")
    assert [(f["workload"]["name"], f["rule"], f["message"]) for f in run.report["findings"]] == [
        ("wrong", "host-unresolvable-by-nslookup", ("The host no-such-service (env:DB_HOST) does "
         "not resolve in the pod: nslookup says NXDOMAIN.")),
    ]  # fmt: skip
    outcomes = {s["name"]: s["outcome"] for p in run.report["pods"] for s in p["steps"]}
    assert outcomes == {
        "config": "passed", "servers": "not-evaluated", "names": "not-evaluated",
        "library": "not-evaluated", "nslookup": "passed",
    }  # fmt: skip
