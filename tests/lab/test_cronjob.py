"""cronjob.yaml as it stands: a Job from it sweeps its namespace with its own Role and no more."""

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import wait_crashing

CRONJOB = Path(__file__).parents[2] / "cronjob.yaml"
CRASH = 'echo "fatal: environment variable LEDGER_URL is not set" >&2; exit 1'


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def pushgateway(lab: Lab) -> Iterator[str]:
    """A real one on the machine, reached in the cluster as pushgateway.monitoring."""
    address = lab.machine_address
    port = free_port(address)
    program = shutil.which("prometheus-pushgateway")
    assert program is not None, "Debian package prometheus-pushgateway is missing"
    process = subprocess.Popen(
        [program, f"--web.listen-address={address}:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pushgateway", "namespace": "monitoring"},
        "spec": {"ports": [{"port": 9091, "targetPort": port}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "pushgateway",
            "namespace": "monitoring",
            "labels": {"kubernetes.io/service-name": "pushgateway"},
        },
        "addressType": "IPv4",
        "ports": [{"port": port}],
        "endpoints": [{"addresses": [address]}],
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
    lab.apply("\n---\n".join(map(json.dumps, (namespace, service, endpoints))))
    try:
        yield f"http://{address}:{port}"
    finally:
        lab.kubectl("delete", "namespace", "monitoring", "--wait=false")
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def reports(lab: Lab, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """A volume for the claim podmedic-reports: a folder of the node, as an administrator gives."""
    folder = tmp_path / "reports"
    folder.mkdir()
    node = lab.kubectl(
        "get", "nodes", "-l", "type!=kwok", "-o", "jsonpath={.items[0].metadata.name}"
    )
    name = f"reports-{namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"name": "podmedic-reports", "namespace": namespace},
            "local": {"path": str(folder)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "kubernetes.io/hostname",
                                    "operator": "In",
                                    "values": [node],
                                }
                            ]
                        }
                    ]
                }
            },
        },
    }
    lab.apply(json.dumps(volume))
    yield folder
    lab.kubectl("delete", "persistentvolume", name, "--wait=false")


def test_a_job_from_the_cronjob(lab: Lab, namespace: str, pushgateway: str, reports: Path) -> None:
    """Report on the volume, metrics in the Pushgateway, no request refused, no secret read."""
    lab.images("busybox", "tools", "runner")
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, replicas=2))
    wait_crashing(lab, namespace, "ledger", 2)
    lab.kubectl("apply", "-n", namespace, "-f", str(CRONJOB))
    offset = lab.audit_offset()
    lab.kubectl("create", "job", "now", "-n", namespace, "--from=cronjob/podmedic")
    lab.kubectl(
        "wait", "-n", namespace, "--for=condition=Complete", "job/now", "--timeout=150s",
        timeout_seconds=170,
    )  # fmt: skip

    report = json.loads((reports / "report.json").read_bytes())
    assert {p["workload"]["name"] for p in report["pods"]} == {"ledger"}
    assert "LEDGER_URL" in report["findings"][0]["message"]
    assert (reports / "report.html").stat().st_size > 1000

    with urllib.request.urlopen(f"{pushgateway}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert re.search(r'^podmedic_pods\{.*outcome="failed".*\} 2$', metrics, re.MULTILINE)
    assert "podmedic_run_last_success_timestamp_seconds" in metrics
    assert not any(pod["name"] in metrics for pod in report["pods"])

    account = f"system:serviceaccount:{namespace}:podmedic"
    ours = [r for r in lab.requests(offset) if r["user"]["username"] == account]
    assert ours
    assert not [r["requestURI"] for r in ours if r["responseStatus"]["code"] >= 400]
    used = {
        (
            r["verb"],
            "/".join(filter(None, (r["objectRef"]["resource"], r["objectRef"].get("subresource")))),
        )
        for r in ours
    }
    assert used == {
        ("list", "pods"),
        ("watch", "pods"),
        ("patch", "pods/ephemeralcontainers"),
        ("get", "pods/log"),
        ("list", "events"),
        ("watch", "events"),
        ("create", "selfsubjectaccessreviews"),
        ("create", "selfsubjectreviews"),
        ("list", "deployments"),
        ("list", "statefulsets"),
        ("list", "daemonsets"),
        ("list", "jobs"),
        ("list", "services"),
        ("list", "poddisruptionbudgets"),
        ("list", "replicasets"),
        ("create", "leases"),
        ("update", "leases"),
    }
