"""A run works under exactly the role that `podmedic rbac` prints, and uses all of it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import CRASH, SLEEP, wait_crashing


def kubeconfig_of(lab: Lab, namespace: str, account: str, path: Path) -> Path:
    """For a ServiceAccount, with a token of an hour."""
    token = lab.kubectl("create", "token", account, "-n", namespace).strip()
    authority = base64.b64encode((lab.layout.pki / "ca.crt").read_bytes()).decode()
    cluster = {"server": lab.api, "certificate-authority-data": authority}
    context = {"cluster": "lab", "user": "account", "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "account", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    path.write_text(json.dumps(document))
    return path


def used(events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    found = set()
    for event in events:
        what = event.get("objectRef", {})
        resource = what.get("resource", "")
        if what.get("subresource"):
            resource = f"{resource}/{what['subresource']}"
        found.add((event["verb"], _named(resource, what.get("apiGroup", ""))))
    return found


def granted_by(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (verb, _named(resource, group))
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def _named(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


REVIEWS = {
    ("create", "selfsubjectaccessreviews.authorization.k8s.io"),
    ("create", "selfsubjectreviews.authentication.k8s.io"),
}


@pytest.mark.parametrize("playbooks", [("crashloop",), ("triage",), ()], ids=str)
def test_the_role_is_enough_and_all_of_it_is_used(
    lab: Lab, namespace: str, tmp_path: Path, playbooks: tuple[str, ...]
) -> None:
    lab.images("busybox", "tools")
    limited = {"resources": {"limits": {"memory": "256Mi"}}}
    web = pm.deployment("web", SLEEP, replicas=2, container=limited)
    pm.apply(
        lab, namespace, web, pm.deployment("ledger", CRASH, container=limited),
        pm.deployment("queue", CRASH) | {"kind": "StatefulSet"},
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "web")
    wait_crashing(lab, namespace, "ledger", 1)
    wait_crashing(lab, namespace, "queue", 1)
    out = tmp_path / "out"
    printed = pm.podmedic(
        lab, "rbac", *playbooks, "--namespaced", "-n", namespace, directory=out
    ).stdout
    lab.kubectl("apply", "-f", "-", input=printed)
    kubeconfig = kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig")

    offset = lab.audit_offset()
    run = pm.podmedic(
        lab, "run", *playbooks, "-n", namespace, "-o", out, "--kubeconfig", kubeconfig,
        directory=out,
    )  # fmt: skip
    account = f"system:serviceaccount:{namespace}:podmedic"
    events = [
        event
        for event in lab.requests(offset, user_agent="podmedic/")
        if event["user"]["username"] == account
    ]

    assert run.code == 1, run.stderr
    assert [e for e in events if e["responseStatus"]["code"] == 403] == []
    role = json.loads(lab.kubectl("get", "role", "podmedic", "-n", namespace, "-o", "json"))
    granted = granted_by(role)
    # Asked for only when a Service selects the pods of no workload, and when nothing is selected.
    rare = {("list", "endpointslices.discovery.k8s.io"), ("get", "namespaces")}
    assert used(events) - REVIEWS == granted - (rare & granted - used(events))


def test_s06_a_missing_verb_is_named_before_anything_is_changed(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Verb, resource and namespace, the command that mends it, and no pod touched."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    out = tmp_path / "out"
    printed = pm.podmedic(
        lab, "rbac", "triage", "--namespaced", "-n", namespace, directory=out
    ).stdout
    lab.kubectl("apply", "-f", "-", input=printed.replace("- patch", "- get"))
    kubeconfig = kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig")
    before = pm.generations(lab, namespace)
    run = pm.podmedic(
        lab, "run", "triage", "-n", namespace, "-o", out, "--kubeconfig", kubeconfig,
        directory=out,
    )  # fmt: skip
    assert run.code == 3
    assert run.stderr == (
        f"podmedic: missing permission: patch pods/ephemeralcontainers in namespace {namespace}; "
        "nothing was changed. `podmedic rbac` prints the Role to apply.\n"
    )
    assert pm.generations(lab, namespace) == before
