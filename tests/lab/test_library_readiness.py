"""The playbook readiness-failing on pods whose probe fails in one way each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import until

# Answers by the path; /wait after two seconds, /never never.
SERVER = r"""
import http.server, os, time
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/wait": time.sleep(2)
        while self.path == "/never": time.sleep(9)
        code = {"/ok": 200, "/wait": 200, "/secret": 401, "/ready": 503}.get(self.path, 404)
        self.send_response(code); self.end_headers()
        self.wfile.write(b"cache is cold" if code == 503 else b"")
http.server.ThreadingHTTPServer((os.environ.get("AT", ""), 8080), Web).serve_forever()
"""
# Path or port of the probe of each pod, and what is said of it.
EXPECTED: Mapping[str, tuple[dict[str, Any], set[str]]] = {
    "loopback": ({"httpGet": {"path": "/ok", "port": 8080}}, {"probe-port-on-loopback"}),
    "wrong-port": ({"httpGet": {"path": "/ok", "port": 8081}}, {"probe-wrong-port"}),
    "no-server": ({"tcpSocket": {"port": 8080}}, {"probe-nothing-listens"}),
    "elsewhere": ({"tcpSocket": {"port": 9, "host": "127.0.0.1"}}, {"probe-host-elsewhere"}),
    "unnamed": ({"httpGet": {"path": "/ok", "port": "web"}}, {"probe-port-unnamed"}),
    "slow": ({"httpGet": {"path": "/wait", "port": 8080}}, {"probe-slow"}),
    "hangs": ({"httpGet": {"path": "/never", "port": 8080}}, {"probe-hangs"}),
    "path": ({"httpGet": {"path": "/healthz", "port": 8080}}, {"probe-path-missing"}),
    "protected": ({"httpGet": {"path": "/secret", "port": 8080}}, {"probe-refused"}),
    "tls": ({"httpGet": {"path": "/ok", "port": 8080, "scheme": "HTTPS"}}, {"probe-speaks-tls"}),
    "cold": ({"httpGet": {"path": "/ready", "port": 8080}}, {"probe-answers-5xx"}),
    "needs-db": ({"httpGet": {"path": "/ready", "port": 8080}}, {"dependency-down"}),
    "command": ({"exec": {"command": ["cat", "/no/such"]}}, {"probe-by-command-fails"}),
    "grpc": ({"grpc": {"port": 8081}}, {"probe-wrong-port"}),
    "gate": ({"httpGet": {"path": "/ok", "port": 8080}}, {"readiness-gate"}),
}  # fmt: skip
ENV = {"loopback": {"AT": "127.0.0.1"}, "needs-db": {"DB_URL": "postgres://no-such-db:5432/x"}}


def _deployment(name: str, probe: dict[str, Any]) -> dict[str, Any]:
    env = [{"name": n, "value": v} for n, v in ENV.get(name, {}).items()]
    container = {"env": env, "readinessProbe": {**probe, "periodSeconds": 1}}
    spec = {"readinessGates": [{"conditionType": "example.com/lb"}]} if name == "gate" else {}
    one = pm.deployment(name, SLEEP, container=container, spec=spec, image=TOOLS_IMAGE)
    if name != "no-server":
        one["spec"]["template"]["spec"]["containers"][0]["command"] = ["python3", "-c", SERVER]
    return one


def _wait_probed(lab: Lab, namespace: str, kubelet_says: str, names: set[str]) -> None:
    """Until the kubelet has told of each of the pods."""

    def told_of_all() -> bool:
        told = lab.kubectl(
            "get", "events", "-n", namespace, "--field-selector", f"reason={kubelet_says}",
            "-o", "jsonpath={.items[*].involvedObject.name}",
        ).split()  # fmt: skip
        return all(any(pod.startswith(f"{name}-") for pod in told) for name in names)

    until(told_of_all, "the kubelet does not tell of all probes")


def test_each_way_to_fail_is_told_apart(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Ready pods are left in peace: nothing is injected there."""
    lab.images("tools")
    pm.apply(
        lab, namespace, *(_deployment(name, probe) for name, (probe, _) in EXPECTED.items()),
        _deployment("ready", EXPECTED["gate"][0]),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "ready")
    _wait_probed(lab, namespace, "Unhealthy", {*EXPECTED} - {"gate", "unnamed"})
    run = pm.run(
        lab, namespace, "readiness-failing", "--max-in-flight=4", directory=tmp_path / "out"
    )
    said: dict[str, set[str]] = {}
    for finding in run.report["findings"]:
        said.setdefault(finding["workload"]["name"], set()).add(finding["rule"])
    steps = [
        (p["name"], s["name"], s["outcome"], s["stdout"])
        for p in run.report["pods"]
        for s in p["steps"]
    ]
    assert said == {name: rules for name, (_, rules) in EXPECTED.items()}, steps
    assert {outcome for _, _, outcome, _ in steps} == {"passed"}
    injected = {
        pod.rsplit("-", 2)[0]: len(c) for pod, c in pm.ephemeral_containers(lab, namespace).items()
    }
    assert injected == {**dict.fromkeys(EXPECTED, 1), "ready": 0}
    cold = next(f for f in run.report["findings"] if f["workload"]["name"] == "cold")
    assert cold["message"] == (
        'Container app answers its readiness probe for /ready with 503: "cache is cold".'
    )
    # No pod here has anything that could not be looked at.
    unasked = {(n["subject"], n["message"]) for n in run.report["notEvaluated"]}
    assert unasked == set()
