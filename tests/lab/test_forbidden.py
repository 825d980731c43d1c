"""A permission that is taken away turns what needs it into a question, never into "healthy"."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.handle import Lab
from runner.playbook.debugger import TOOLS_IMAGE
from tests.lab import podmedic as pm
from tests.lab.test_objects import apply, wait_refused
from tests.lab.test_rbac import kubeconfig_of
from tests.lab.waiting import wait_crashing

DATABASE = "10.244.200.10"
ILL = (
    "configmap-volume-missing",
    "hpa-target-missing",
    "service-selector-mismatch",
    "serviceaccount-missing",
)
# What each of them is found by, and what is said where that may not be asked for.
HIDDEN = {
    ("Deployment/grafter", "volume-not-mountable"): ("rule volume-not-mountable", "events: forbidden: list events"),
    ("Deployment/orders", "blocked-by-policy"): (
        "rule blocked-by-policy", "policies: forbidden: list networkpolicies.networking.k8s.io",
    ),
    ("Deployment/releaser", "service-account-missing"): (
        "fact workloads", "; ".join(
            f"forbidden: list {kind}"
            for kind in ("daemonsets.apps", "deployments.apps", "jobs.batch", "statefulsets.apps")
        ),
    ),
    ("HorizontalPodAutoscaler/web-autoscaler", "autoscaler-target-missing"): (
        "fact autoscalers", "forbidden: list horizontalpodautoscalers.autoscaling",
    ),
    ("Service/checkout", "service-selects-another-label"): ("fact services", "forbidden: list services"),
}  # fmt: skip
BESIDE = {
    ("fact changes", "forbidden: list replicasets.apps"),
    ("fact configurationChanges", "forbidden: list configmaps"),
}
LOG_RULE = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: words}
spec:
  findings:
    - id: timed-out
      match: {in: [logs.last], patterns: ['timed out']}
      severity: critical
      title: t
      message: m
"""


def ill(lab: Lab, namespace: str) -> None:
    """A workload for each fact; no plugin of the lab enforces policies, so that a route does."""
    route = ["ip", "route", "add", DATABASE, "dev", "lo"]
    cut = {
        "name": "cut", "image": TOOLS_IMAGE, "command": route,
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
    }  # fmt: skip
    orders = pm.deployment(
        "orders", f"echo 'cannot connect to {DATABASE}:5432: connection timed out'; exit 1",
        container={"env": [{"name": "DATABASE_URL", "value": f"postgres://{DATABASE}:5432/x"}]},
        spec={"initContainers": [cut]},
    )  # fmt: skip
    dns = {"ports": [{"protocol": "UDP", "port": 53}]}
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "dns"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [dns]},
    }  # fmt: skip
    pm.apply(lab, namespace, policy, orders)
    for name in ILL:
        apply(lab, namespace, name)
    wait_refused(lab, namespace, "releaser")
    wait_crashing(lab, namespace, "orders", 1)
    able = "jsonpath={.status.conditions[?(@.type=='AbleToScale')].status}=False"
    lab.kubectl(
        "wait", "hpa/web-autoscaler", "-n", namespace, f"--for={able}", "--timeout=180s"
    )  # fmt: skip


def only(lab: Lab, namespace: str, folder: Path, resources: Sequence[str]) -> Path:
    """A kubeconfig of somebody whose Role has nothing but these of what `podmedic rbac` prints."""
    printed = pm.podmedic(lab, "rbac", "--namespaced", "-n", namespace, directory=folder).stdout
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(printed))
    for document in documents:
        if document["kind"] == "Role":
            document["rules"] = [r for r in document["rules"] if r["resources"][0] in resources]
    lab.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, documents)))
    return kubeconfig_of(lab, namespace, "podmedic", folder / "kubeconfig")


def found(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (f"{f['workload']['kind']}/{f['workload']['name']}", f["rule"]) for f in report["findings"]
    }


def asked(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["subject"], each["message"]) for each in report["notEvaluated"]}


def test_what_may_not_be_listed_is_a_question(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    ill(lab, namespace)
    out = tmp_path / "out"
    everything = pm.podmedic(lab, "run", "-n", namespace, "-o", out, directory=out).report
    assert found(everything) == set(HIDDEN)
    assert [each for each in asked(everything) if "forbidden" in each[1]] == []

    least = only(lab, namespace, tmp_path, ["pods", "pods/log", "pods/ephemeralcontainers"])
    run = pm.podmedic(lab, "run", "-n", namespace, "-o", out, "--kubeconfig", least, directory=out)
    # The symptom stays, without the policy that is to blame.
    assert found(run.report) == {("Deployment/orders", "connection-timed-out")}
    assert asked(run.report) >= {*HIDDEN.values(), *BESIDE}
    outcomes = {pod["name"].split("-")[0]: pod["outcome"] for pod in run.report["pods"]}
    assert outcomes == {
        "checkout": "passed", "frontend": "passed", "grafter": "warned", "orders": "failed",
    }  # fmt: skip
    assert "forbidden: list" in run.stdout

    playbook = tmp_path / "words.yaml"
    playbook.write_text(LOG_RULE)
    for resources, rules in ((["pods"], []), (["pods", "pods/log"], ["timed-out"])):
        few = only(lab, namespace, tmp_path, resources)
        told = pm.podmedic(
            lab, "run", playbook, "-n", namespace, "-l", "app=orders", "-o", out,
            "--kubeconfig", few, directory=out,
        ).report  # fmt: skip
        assert [each["rule"] for each in told["findings"]] == rules
        question = ("rule timed-out", "logs.last: forbidden: get pods/log")
        assert (question in asked(told)) is (not rules)
