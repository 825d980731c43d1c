"""The playbook egress-latency on pods whose peers are slow in one phase each."""

from pathlib import Path

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_library_dns import client as with_nameserver
from tests.lab.test_library_dns import server as nameserver
from tests.lab.test_library_services import said_of
from tests.lab.test_sweep import SLEEP

# Port 8080 answers, 8000 after 0.7 s, 80 hangs up on every third; 8443 shakes hands after 0.4 s;
# 5432 says nothing.
SERVER = r"""
import http.server, socket, ssl, subprocess, threading, time

class Web(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.asked += 1
        if self.server.server_port == 8000: time.sleep(0.7)
        if self.server.server_port == 80 and self.server.asked % 3 == 0: return
        self.send_response(200); self.end_headers()

class Late(http.server.ThreadingHTTPServer):
    asked = 0
    def finish_request(self, request, address):
        if self.server_port == 8443:
            time.sleep(0.4)
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, address)

subprocess.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k -out /tmp/c -subj /CN=x".split(), check=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/c", "/tmp/k")
silent = socket.create_server(("", 5432))
for port in (8080, 8000, 80, 8443):
    threading.Thread(target=Late(("", port), Web).serve_forever).start()
open("/tmp/up", "w")
"""
EXPECTED = {
    "healthy": set[str](),
    "slow-server": {"server-slow"},
    "slow-tls": {"tls-slow"},
    "unreliable": {"unreliable"},
    "closed": {"unreachable"},
    "slow": {"dns-slow"},
}


def test_the_slowest_phase_is_named(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    up = {"exec": {"command": ["ls", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 120}
    context = {"runAsUser": 0}
    container = {
        "command": ["python3", "-c", SERVER],
        "startupProbe": up,
        "securityContext": context,
    }
    pm.apply(
        lab, namespace, nameserver("slow"),
        pm.deployment("peer", "", image=TOOLS_IMAGE, container=container),
    )  # fmt: skip
    lab.kubectl("wait", "--for=condition=Ready", "pod", "--all", "-n", namespace, "--timeout=120s")
    addresses = {
        p.metadata.name.partition("-")[0]: p.status.pod_ip for p in pm.pods(lab, namespace)
    }
    peer = addresses["peer"]
    peers = {
        "healthy": f"{peer}:8080 {peer}:5432",
        "slow-server": f"{peer}:8000",
        "slow-tls": f"{peer}:8443",
        "unreliable": f"{peer}:80",
        "closed": f"{peer}:81",
    }
    slow = with_nameserver(namespace, "slow", {"slow": addresses["dns"]})
    (app,) = slow["spec"]["template"]["spec"]["containers"]
    app["env"] = [{"name": "PEER", "value": "kubernetes.default.svc.cluster.local:443"}]
    pm.apply(
        lab, namespace, slow,
        *(pm.deployment(name, SLEEP, container={"env": [{"name": "PEERS", "value": value}]})
          for name, value in peers.items()),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    run = pm.run(
        lab, namespace, "egress-latency", "-l", f"app in ({','.join(EXPECTED)})",
        "--max-in-flight=3", directory=tmp_path / "out",
    )  # fmt: skip
    steps = [(p["name"], s["outcome"], s["stdout"]) for p in run.report["pods"] for s in p["steps"]]
    assert said_of(run.report) == {name: rules for name, rules in EXPECTED.items() if rules}, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}
