"""The playbook packet-capture on pods whose connections fail, and on one whose do not."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_library_services import said_of
from tests.lab.test_sweep import SLEEP

WEB = ["python3", "-m", "http.server", "8080"]
# It gets each packet, and its own find no way.
MUTE = "for to in 10.244.0.0/17 10.244.128.0/17; do ip route add blackhole $to; done"
# Takes connections and breaks them off.
RESETS = r"""
import socket, struct
with socket.create_server(("", 8080), backlog=64) as server:
    while True:
        one, _ = server.accept()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
"""
EXPECTED = {
    "healthy": set[str](),
    "refused": {"connections-refused"},
    "unanswered": {"connections-unanswered"},
    "reset": {"connections-reset"},
}


def server(name: str, command: list[str], **spec: Any) -> dict[str, Any]:
    return pm.deployment(name, "", image=TOOLS_IMAGE, container={"command": command}, spec=spec)


def test_what_the_packets_say(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    mute = {
        "name": "mute", "image": TOOLS_IMAGE, "command": ["sh", "-c", MUTE],
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
    }  # fmt: skip
    pm.apply(
        lab, namespace, server("web", WEB), server("breaks", ["python3", "-c", RESETS]),
        server("silent", WEB, initContainers=[mute]),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "web", "breaks", "silent")
    at = {p.metadata.labels["app"]: p.status.pod_ip for p in pm.pods(lab, namespace)}
    # One after the other, without an end: as an application that tries again and again.
    peers = {
        "healthy": (at["web"], 8080), "refused": (at["web"], 81),
        "unanswered": (at["silent"], 8080), "reset": (at["breaks"], 8080),
    }  # fmt: skip
    tries = "while :; do curl -s -m 5 -o /dev/null http://{}:{}/; sleep 0.5; done"
    clients = (
        pm.deployment(name, tries.format(*peer), image=TOOLS_IMAGE) for name, peer in peers.items()
    )
    pm.apply(lab, namespace, *clients)
    pm.wait_ready(lab, namespace, *EXPECTED)
    run = pm.run(
        lab, namespace, "packet-capture", "-l", f"app in ({','.join(EXPECTED)})",
        "--max-in-flight=4", directory=tmp_path / "out",
    )  # fmt: skip
    steps = [
        (p["name"], s["outcome"], s["message"], s["stdout"])
        for p in run.report["pods"]
        for s in p["steps"]
    ]
    assert said_of(run.report) == {name: rules for name, rules in EXPECTED.items() if rules}, steps
    assert {outcome for _, outcome, _, _ in steps} == {"passed"}
    assert {i["profile"] for p in run.report["pods"] for i in p["injections"]} == {"netadmin"}


def test_where_nobody_may_capture_nothing_is_said(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """And the pod does not count as healthy."""
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    pm.enforce(lab, namespace, "restricted")
    run = pm.run(lab, namespace, "packet-capture", directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    (step,) = pod["steps"]
    assert (step["outcome"], step["reason"]) == ("not-evaluated", "CapabilityMissing")
    assert run.report["findings"] == []
    assert {each["subject"] for each in run.report["notEvaluated"]} >= {"step capture"}
