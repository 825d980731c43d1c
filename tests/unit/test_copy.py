"""The copy of a pod, whole; when it may be deleted by others; what it takes to make one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runner.injection import EXPIRES_ANNOTATION, copy_body, run_label
from runner.model.pod import Container
from runner.permissions import needs
from runner.playbook import load
from runner.policy import DEFAULT
from runner.policy.spec import PolicySpec
from runner.select import COPY_LABEL, skip_reason
from runner.sweep.copies import expired, makes_copies
from tests.unit.pods import NOW, ago, pod, running

PLAYBOOK = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: probe}
spec:
  debugger: {strategy: [STRATEGY]}
  steps: [{name: a, run: [ls]}]
"""
LIMITS = {"limits": {"memory": "64Mi"}}
ORIGINAL: dict[str, Any] = {
    "metadata": {
        "name": "web-1", "namespace": "shop", "uid": "u1", "labels": {"app": "web"},
        "annotations": {"a": "b"}, "finalizers": ["f"],
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "u"}],
    },
    "spec": {
        "nodeName": "node1", "hostname": "web", "subdomain": "web", "hostPID": True,
        "shareProcessNamespace": True, "priorityClassName": "high",
        "priority": 1000, "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": [{"key": "k"}], "serviceAccountName": "web", "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 600, "securityContext": {"fsGroup": 1},
        "ephemeralContainers": [{"name": "old", "image": "x"}],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "other", "emptyDir": {}},
                    {"name": "seed", "emptyDir": {}}, {"name": "logs", "hostPath": {"path": "/l"}},
                    {"name": "db", "persistentVolumeClaim": {"claimName": "db"}},
                    {"name": "share", "nfs": {"server": "s", "path": "/", "readOnly": False}}],
        "initContainers": [
            {"name": "proxy", "image": "p", "restartPolicy": "Always"},
            {"name": "setup", "image": "s", "volumeMounts": [
                {"name": "seed", "mountPath": "/s"}, {"name": "logs", "mountPath": "/l"},
                {"name": "db", "mountPath": "/db"}, {"name": "share", "mountPath": "/share"},
            ]},
        ],
        "containers": [
            {"name": "app", "image": "web:1", "resources": LIMITS, "ports": [{"hostPort": 80}],
             "livenessProbe": {"exec": {}}, "lifecycle": {"postStart": {}}},
            {"name": "side", "image": "side:1"},
        ],
    },
    "status": {"phase": "Running"},
}  # fmt: skip
BODY: dict[str, Any] = {
    "name": "podmedic-x-1",
    "image": "web@sha256:aa",
    "command": ["/bin/sh", "-c", "true"],
    "env": [
        {
            "name": "CPU",
            "valueFrom": {"resourceFieldRef": {"containerName": "app", "resource": "limits.cpu"}},
        }
    ],
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
}


def test_the_whole_copy() -> None:
    """No labels but ours, no owners, probes, hooks, ports, node, priority; nobody does the app's
    work, and nothing is written that the pod itself may be at work on."""
    made = copy_body(
        ORIGINAL, Container(name="app"), BODY,
        run_id="r1", expires=datetime(2026, 11, 23, 3, 5, tzinfo=UTC), lifetime_seconds=200,
    )  # fmt: skip
    env = {
        "name": "CPU",
        "valueFrom": {
            "resourceFieldRef": {"containerName": "podmedic-x-1", "resource": "limits.cpu"}
        },
    }
    assert made == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "podmedic-x-1",
            "namespace": "shop",
            "labels": {COPY_LABEL: run_label("r1")},
            "annotations": {
                EXPIRES_ANNOTATION: "2026-11-23T03:05:00+00:00",
                "podmedic.io/copy-of": "web-1",
            },
        },
        "spec": {
            "tolerations": [{"key": "k"}],
            "serviceAccountName": "web",
            "securityContext": {"fsGroup": 1},
            "containers": [{**BODY, "env": [env], "resources": LIMITS}],
            "initContainers": [
                {
                    "name": "setup",
                    "image": "s",
                    "volumeMounts": [
                        {"name": "seed", "mountPath": "/s"},
                        {"name": "logs", "mountPath": "/l", "readOnly": True},
                        {"name": "db", "mountPath": "/db"},
                        {"name": "share", "mountPath": "/share"},
                    ],
                }
            ],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "seed", "emptyDir": {}},
                {"name": "logs", "hostPath": {"path": "/l"}},
                {"name": "db", "persistentVolumeClaim": {"claimName": "db", "readOnly": True}},
                {"name": "share", "nfs": {"server": "s", "path": "/", "readOnly": True}},
            ],
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 200,
            "terminationGracePeriodSeconds": 1,
        },
    }


@pytest.mark.parametrize(
    ("says", "gone"),
    [
        (ago(seconds=1), True),
        (ago(seconds=-1), False),
        ("2020-01-01T00:00:00", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_only_what_says_that_it_has_expired_is_deleted(says: str, gone: bool) -> None:
    copy = pod(running(), metadata={"annotations": {EXPIRES_ANNOTATION: says} if says else {}})
    assert expired(copy, NOW) is gone


def test_a_copy_is_no_target() -> None:
    skip = skip_reason(pod(running(), metadata={"labels": {COPY_LABEL: "x"}}))
    assert skip is not None
    assert skip.reason == "Copy"


@pytest.mark.parametrize(("strategy", "wanted"), [("copy", True), ("auto", False)])
def test_only_who_names_it_needs_to_create_pods(strategy: str, wanted: bool) -> None:
    playbook = load(PLAYBOOK.replace("STRATEGY", strategy), "p.yaml")
    ours = [need for need in needs([playbook]) if need.resource == "pods" and not need.group]
    verbs = [verb for need in ours for verb in need.verbs]
    assert verbs == ["list", "watch", *(["get", "create", "delete"] if wanted else [])]
    assert makes_copies([playbook]) is wanted
    injects = [need.resource for need in needs([playbook]) if need.verbs == ("patch",)]
    assert injects == ([] if wanted else ["pods/ephemeralcontainers"])


def test_a_policy_has_to_name_it() -> None:
    assert "copy" not in PolicySpec().strategies
    assert "copy" in DEFAULT.spec.strategies
