"""The whole way with real parts: Prometheus sees a crash loop, a rule fires, two Alertmanagers
post to two replicas of `podmedic serve`, and one run names the cause."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab import serving as sv
from tests.lab.test_cronjob import free_port, reports

__all__ = ["reports"]
CRASH = 'echo "fatal: environment variable LEDGER_URL is not set" >&2; exit 1'
MOST_SECONDS = 90


RULES = {
    "groups": [
        {
            "name": "pods",
            "interval": "1s",
            "rules": [
                {
                    # Of a crash loop the kubelet shows `waiting: CrashLoopBackOff` for moments only,
                    # and now and then not at all within two minutes; what it counts is sure.
                    "alert": "KubePodCrashLooping",
                    "expr": 'increase(kube_pod_container_status_restarts_total{job="kube-state-metrics"}'
                    "[5m]) > 0",
                    "labels": {"severity": "critical"},
                    "annotations": {
                        "summary": "Pod {{ $labels.namespace }}/{{ $labels.pod }} restarts"
                    },
                }
            ],
        }
    ]
}


def exposition(lab: Lab, namespace: str) -> str:
    """What kube-state-metrics says of the pods of a namespace, as much as the rule asks for."""
    lines = ["# TYPE kube_pod_container_status_restarts_total counter"]
    for pod in lab.client().get(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        for status in pod["status"].get("containerStatuses", ()):
            labels = {
                "namespace": namespace, "pod": pod["metadata"]["name"], "container": status["name"],
            }  # fmt: skip
            told = ",".join(f'{key}="{value}"' for key, value in labels.items())
            count = status["restartCount"]
            lines.append(f"kube_pod_container_status_restarts_total{{{told}}} {count}")
    return "\n".join(lines) + "\n"


class Monitoring:
    """Prometheus and two Alertmanagers that do not know of each other, in the lab's network."""

    def __init__(self, lab: Lab, folder: Path, exporter: str, replicas: list[str]) -> None:
        self._lab = lab
        self._exporter = exporter
        self._folder = folder
        self._stack = ExitStack()
        self.address = urllib.parse.urlsplit(lab.api).hostname or ""
        ports = [free_port(lab.machine_address) for _ in range(3)]
        self.prometheus = f"{self.address}:{ports[0]}"
        self.alertmanagers = [f"{self.address}:{port}" for port in ports[1:]]
        (folder / "token").write_text(sv.TOKEN)
        self._write("rules.yaml", RULES)
        self._write("prometheus.yaml", self._prometheus(replicas))
        self._write("alertmanager.yaml", self._alertmanager(replicas))

    def __enter__(self) -> Self:
        self._run(
            "prometheus", f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'tsdb'}",
            f"--web.listen-address={self.prometheus}", "--query.lookback-delta=10s",
        )  # fmt: skip
        for number, address in enumerate(self.alertmanagers):
            self._run(
                "prometheus-alertmanager", f"--config.file={self._folder / 'alertmanager.yaml'}",
                f"--storage.path={self._folder / f'alertmanager-{number}'}",
                f"--web.listen-address={address}", "--cluster.listen-address=",
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def query(self, expression: str) -> list[Any]:
        """The samples of an instant query."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://{self.prometheus}/api/v1/query?{asked}", timeout=10
        ) as a:
            found: list[Any] = json.loads(a.read())["data"]["result"]
            return found

    def _prometheus(self, replicas: list[str]) -> dict[str, Any]:
        states = {
            "job_name": "kube-state-metrics",
            "honor_labels": True,
            "static_configs": [{"targets": [self._exporter]}],
        }
        own = {"job_name": "podmedic", "static_configs": [{"targets": replicas}]}
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [states, own],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": self.alertmanagers}]}]},
        }

    def _alertmanager(self, replicas: list[str]) -> dict[str, Any]:
        credentials = {"authorization": {"credentials_file": str(self._folder / "token")}}
        hooks = [{"url": f"http://{r}/v1/alerts", "http_config": credentials} for r in replicas]
        return {
            "route": {
                "receiver": "podmedic",
                "group_by": ["namespace", "alertname"],
                "group_wait": "1s",
            },
            "receivers": [{"name": "podmedic", "webhook_configs": hooks}],
        }

    def _write(self, name: str, document: dict[str, Any]) -> None:
        (self._folder / name).write_text(yaml.safe_dump(document))

    def _run(self, *command: str) -> None:
        self._stack.enter_context(_process("nsenter", f"--net={self._lab.netns}", *command))


@contextmanager
def _process(*command: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class Listener:
    """A webhook of somebody who wants to be told, and an exporter of the states of pods."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        address = lab.machine_address
        self.heard: list[dict[str, Any]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(exposition(lab, namespace).encode())

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.address = f"{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def listener(lab: Lab, namespace: str) -> Iterator[Listener]:
    made = Listener(lab, namespace)
    yield made
    made.close()


@pytest.fixture
def deployed(
    lab: Lab, namespace: str, tmp_path: Path, reports: Path, listener: Listener
) -> list[str]:
    """deploy/serve/serve.yaml as it stands; the addresses of its two replicas."""
    lab.images("busybox", "tools", "runner")
    role = pm.podmedic(lab, "rbac", "triage", "crashloop", "--namespaced", "-n", namespace,
                       directory=tmp_path / "x").stdout  # fmt: skip
    lab.kubectl("apply", "-f", "-", input=role)
    lab.kubectl("create", "secret", "generic", "podmedic-serve", "-n", namespace,
                f"--from-literal=token={sv.TOKEN}")  # fmt: skip
    # A node keeps an image that it has under the name of a release.
    image = f"ghcr.io/podmedic/runner:{namespace}"
    lab.tag("runner", image)
    manifests = sv.MANIFESTS.read_text().replace("ghcr.io/podmedic/runner:0.1.0", image)
    told = f"- --notify=json://{listener.address}/"
    manifests = re.sub(r"^( +)- --keep=100$", rf"\g<0>\n\1{told}", manifests, flags=re.MULTILINE)
    lab.kubectl("apply", "-n", namespace, "-f", "-", input=manifests)
    pm.wait_ready(lab, namespace, "podmedic-serve")
    found = lab.kubectl(
        "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/component=serve",
        "-o", "jsonpath={.items[*].status.podIP}",
    )  # fmt: skip
    return [f"{address}:8080" for address in found.split()]


def test_from_a_crash_loop_to_one_report(
    lab: Lab,
    namespace: str,
    tmp_path: Path,
    reports: Path,
    deployed: list[str],
    listener: "Listener",
) -> None:
    with Monitoring(lab, tmp_path, listener.address, deployed) as monitoring:
        began = time.monotonic()
        pm.apply(lab, namespace, pm.deployment("ledger", CRASH))
        sv.until(lambda: bool(sv.jobs(lab, namespace)), MOST_SECONDS)
        name = sv.jobs(lab, namespace)[0]["metadata"]["name"]
        lab.kubectl("wait", "-n", namespace, "--for=condition=Complete", f"job/{name}",
                    f"--timeout={MOST_SECONDS}s", timeout_seconds=MOST_SECONDS + 20)  # fmt: skip
        seconds = time.monotonic() - began
        # Both Alertmanagers have told both replicas by now, and Prometheus has asked them.
        told = 'sum(podmedic_serve_alerts_total{outcome=~"stored|known"})'
        sv.until(lambda: float(monitoring.query(told)[0]["value"][1]) >= 4, 60)
        stored = monitoring.query("sum(podmedic_serve_runs_stored_total)")
        made = sv.jobs(lab, namespace)

    (run,) = (reports / "alerts").iterdir()
    report = json.loads((run / "report.json").read_bytes())
    trigger = report["run"]["trigger"]
    (alert,) = trigger["alerts"]
    assert (trigger["id"], report["run"]["id"]) == (name, run.name)
    received = datetime.fromisoformat(trigger["receivedAt"]).timestamp()
    assert [job["metadata"]["name"] for job in made] == [name]
    assert stored[0]["value"][1] == "1"
    assert "LEDGER_URL" in report["findings"][0]["message"]
    (message,) = listener.heard
    assert message["message"].startswith(
        "Started by KubePodCrashLooping.\n- critical: Deployment/ledger"
    )
    assert {pod["workload"]["name"] for pod in report["pods"]} == {"ledger"}
    assert (alert["name"], alert["route"], alert["labels"]["severity"]) == (
        "KubePodCrashLooping", "crash", "critical",
    )  # fmt: skip
    assert alert["generatorUrl"].startswith("http://")
    assert "The alert that started this run" in (run / "report.html").read_text()
    assert seconds < MOST_SECONDS
    # The first thing on disk, before anything is touched; a machine with eight times more to do
    # than it has cores takes longer to start a pod.
    patience = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / 8)
    assert 0 < (run / "run.json").stat().st_mtime - received < 5 * patience
