"""A run works under exactly the role that `podmedic rbac` prints, and uses all of it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from runner.permissions import needs
from tests.lab import podmedic as pm
from tests.lab.test_sweep import CRASH, SLEEP
from tests.lab.waiting import until, wait_crashing
from tests.playbooks import every, with_included


def kubeconfig_of(lab: Lab, namespace: str, account: str, path: Path) -> Path:
    """For a ServiceAccount, with a token of an hour."""
    token = lab.client().token(namespace, account)
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
    ("create", "selfsubjectrulesreviews.authorization.k8s.io"),
    ("create", "selfsubjectreviews.authentication.k8s.io"),
}


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Iterator[str]:
    """Pods that are well, crash, or are on no node; a Service without pods that one of them names,
    a policy, an autoscaler without a target: whatever rules may ask for is asked for."""
    lab.images("busybox", "tools")
    # Whether it was changed meanwhile is asked of a ConfigMap that an ill pod uses.
    settings = {"envFrom": [{"configMapRef": {"name": "settings", "optional": True}}]}
    limited = settings | {"resources": {"limits": {"memory": "256Mi"}}}
    names_host = {"env": [{"name": "API", "value": "http://nobody:80"}]}
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "nobody"},
        "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]},
    }  # fmt: skip
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]},
    }  # fmt: skip
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "nothing"},
        "spec": {
            "maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nothing"},
        },
    }  # fmt: skip
    nowhere = {"nodeSelector": {"no-such": "node"}}
    with lab.namespace() as namespace:
        pm.apply(
            lab, namespace, pm.deployment("web", SLEEP, replicas=2, container=limited),
            pm.deployment("ledger", CRASH, container=limited | names_host), service, scaler, policy,
            pm.deployment("queue", CRASH, container=settings) | {"kind": "StatefulSet"},
            pm.deployment("waits", SLEEP, container=settings, spec=nowhere),
            pm.deployment("starves", SLEEP, container=settings, spec=nowhere)
            | {"kind": "StatefulSet"},
        )  # fmt: skip
        pm.wait_ready(lab, namespace, "web")
        wait_crashing(lab, namespace, "ledger", 1)
        wait_crashing(lab, namespace, "queue", 1)
        able = "jsonpath={.status.conditions[?(@.type=='AbleToScale')].status}=False"
        lab.kubectl("wait", "hpa/nothing", "-n", namespace, f"--for={able}", "--timeout=180s")
        yield namespace


def by_role() -> list[tuple[str, ...]]:
    """Every built-in playbook, those that need the same together."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for name in every():
        wanted = needs(tuple({each.name: each for each in with_included(name)}.values()))
        found.setdefault(tuple((n.resource, n.group, n.verbs) for n in wanted), []).append(name)
    return [tuple(names) for names in found.values()]


@pytest.mark.parametrize("playbooks", by_role(), ids=lambda names: names[0])
def test_the_role_is_enough_and_all_of_it_is_used(
    lab: Lab, shop: str, tmp_path: Path, playbooks: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    # Without a name it is triage.
    named = () if playbooks == ("triage",) else playbooks
    printed = pm.podmedic(lab, "rbac", *named, "--namespaced", "-n", shop, directory=out).stdout
    lab.kubectl("apply", "-f", "-", input=printed)
    kubeconfig = kubeconfig_of(lab, shop, "podmedic", tmp_path / "kubeconfig")
    # What needs a target that runs would only take longer there, and nothing more of the role.
    only = ("--selector=app=ledger",) if len(playbooks) > 10 else ()

    if "pending" in playbooks:
        # A pod that is on no node counts as pending after a while only.
        until(
            lambda: pm.podmedic(lab, "plan", "pending", "-n", shop, directory=out).code == 0,
            "no pod counts as pending", every_seconds=2,
        )  # fmt: skip
    offset = lab.audit_offset()
    run = pm.podmedic(
        lab, "run", *named, *only, "-n", shop, "-o", out, "--kubeconfig", kubeconfig, "--cap=0",
        directory=out,
    )  # fmt: skip
    account = f"system:serviceaccount:{shop}:podmedic"
    events = [
        event
        for event in lab.requests(offset, user_agent="podmedic/")
        if event["user"]["username"] == account
    ]

    assert run.code == 1, run.stderr
    assert [e for e in events if e["responseStatus"]["code"] == 403] == []
    granted = granted_by(
        json.loads(lab.kubectl("get", "role", "podmedic", "-n", shop, "-o", "json"))
    )
    # Asked for only where a namespace has no pod, where several pods of one are injected, and, by
    # playbooks that judge no Jobs, where a pod of one has failed.
    rare = {("get", "namespaces"), ("list", "poddisruptionbudgets.policy")}
    if "triage" not in playbooks:
        rare.add(("list", "jobs.batch"))
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
    run = pm.podmedic(
        lab, "plan", "-n", "default", "--kubeconfig", kubeconfig, directory=out
    )  # fmt: skip
    assert run.code == 3
    assert run.stderr.startswith("podmedic: not allowed to list pods in namespace default: ")
    assert run.stderr.endswith("; `podmedic rbac` prints the Role to apply\n")
