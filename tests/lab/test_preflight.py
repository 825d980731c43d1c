"""`podmedic preflight` tells beforehand what the API server and the kubelet will do."""

import json
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_rbac import kubeconfig_of
from tests.lab.test_sweep import SLEEP

GENERAL = {"image": "busybox:1.36", "profile": "general"}
STEP = [{"name": "hello", "run": ["true"]}]


def bare(name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "busybox:1.36", "command": ["sh", "-c", SLEEP]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def verdicts(outcome: pm.Outcome) -> dict[str, tuple[str, str]]:
    pods = json.loads(outcome.stdout)["pods"]
    return {pod["name"]: (pod["verdict"], pod["reason"]) for pod in pods}


def test_s21_s22_s51_every_pod_gets_its_verdict_and_nothing_changes(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Accepted; without sandbox; unscheduled; on a node without a kubelet: said before, with one
    dry run per kind, and no pod's generation moves."""
    lab.images("busybox")
    missing = {"volumes": [{"name": "v", "configMap": {"name": "no-such"}}]}
    mount = [{"name": "v", "mountPath": "/v"}]
    stuck = bare("stuck", **missing)
    stuck["spec"]["containers"][0]["volumeMounts"] = mount
    pm.apply(
        lab, namespace,
        pm.deployment("web", SLEEP, replicas=3),
        bare("nowhere", nodeSelector={"no-such": "node"}),
        bare("asleep", nodeName="no-such-node"),
        stuck,
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "web")
    before = pm.generations(lab, namespace)
    path, out = pm.playbook(tmp_path, STEP), tmp_path / "out"
    offset = lab.audit_offset()
    told = pm.podmedic(lab, "preflight", path, "-n", namespace, "-o", "json", directory=out)
    patches = [r for r in lab.requests(offset, "podmedic/") if r["verb"] == "patch"]

    assert told.code == 1, told.stderr
    found = verdicts(told)
    assert found.pop("nowhere") == ("will-not-start", "Unscheduled")
    assert found.pop("asleep") == ("will-not-start", "NoSandbox")
    assert found.pop("stuck") == ("will-not-start", "NoSandbox")
    assert set(found.values()) == {("accepted", "")}
    assert len(found) == 3
    assert len(patches) == json.loads(told.stdout)["dryRuns"] == 1
    assert pm.generations(lab, namespace) == before

    table = pm.podmedic(lab, "preflight", path, "-n", namespace, directory=out).stdout
    assert "6 pods: 3 accepted, 3 will-not-start. The API server was asked once." in table


def test_s09_s11_pod_security_is_said_with_the_container_that_offends(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A restricted namespace takes profile restricted and refuses general; a pod with an older
    debugger that is not allowed there any more is refused, and the message names it."""
    lab.images("busybox")
    restricted = {
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
        },
    }  # fmt: skip
    strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pods = [bare(name, **restricted) for name in ("clean", "poisoned")]
    for pod in pods:
        pod["spec"]["containers"][0]["securityContext"] = strict
    pm.apply(lab, namespace, *pods)
    lab.kubectl("wait", "pods", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=180s")
    lab.kubectl(
        "debug", "poisoned", "-n", namespace, "--image=busybox:1.36", "--profile=general",
        "--container=old-debugger", "--attach=false", "--", "true",
    )  # fmt: skip
    pm.enforce(lab, namespace, "restricted")
    before, out = pm.generations(lab, namespace), tmp_path / "out"
    fits = pm.podmedic(
        lab, "preflight", pm.playbook(tmp_path, STEP), "-n", namespace, "-o", "json", directory=out
    )
    assert verdicts(fits) == {"clean": ("accepted", ""), "poisoned": ("refused", "PodSecurity")}
    poisoned = next(p for p in json.loads(fits.stdout)["pods"] if p["name"] == "poisoned")
    assert "old-debugger" in poisoned["message"]
    too_much = pm.podmedic(
        lab, "preflight", pm.playbook(tmp_path, STEP, debugger=GENERAL), "-n", namespace,
        "-o", "json", directory=out,
    )  # fmt: skip
    assert set(verdicts(too_much).values()) == {("refused", "PodSecurity")}
    assert pm.generations(lab, namespace) == before


def test_missing_permissions_are_named(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Whoever may only list pods and try a PATCH learns what a run would need beside that."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    out = tmp_path / "out"
    printed = pm.podmedic(
        lab, "rbac", "triage", "--namespaced", "-n", namespace, directory=out
    ).stdout
    lab.kubectl("apply", "-f", "-", input=printed.replace("pods/log", "pods/proxy"))
    kubeconfig = kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig")
    told = pm.podmedic(
        lab, "preflight", "triage", "-n", namespace, "-o", "json", "--kubeconfig", kubeconfig,
        directory=out,
    )  # fmt: skip
    document = json.loads(told.stdout)
    assert told.code == 1
    assert document["missingPermissions"] == [
        {"verb": "get", "resource": "pods/log", "namespace": namespace}
    ]
    assert document["notLookedAt"] == ["nodes: forbidden: list nodes"]
    assert {pod["verdict"] for pod in document["pods"]} == {"accepted"}
