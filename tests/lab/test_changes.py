"""What changed before pods fell ill, beside the cause."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_rbac import kubeconfig_of
from tests.lab.waiting import wait_crashing

SCRIPT = "test -n \"$GREETING\" || { echo GREETING is not set; exit 1; }; trap 'sleep 0.2; exit 0' TERM; sleep 86400 & wait"


def workload(kind: str, name: str, *, broken: bool) -> dict[str, Any]:
    """With GREETING, or, broken, with another variable instead and half the memory."""
    variable = {"name": "GREETINGS" if broken else "GREETING", "value": "swordfish"}
    memory = {"limits": {"memory": "64Mi" if broken else "128Mi"}}
    one = pm.deployment(name, SCRIPT, container={"env": [variable], "resources": memory})
    one["kind"] = kind
    # A container without a probe is Ready while it lives: the rollout must not take that for well.
    one["spec"]["minReadySeconds"] = 5
    if kind == "StatefulSet":
        one["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel", "replicas": 2}
    if kind == "DaemonSet":
        del one["spec"]["replicas"]
    return one


KINDS = {"web": "Deployment", "db": "StatefulSet", "agent": "DaemonSet"}


def test_what_changed_stands_beside_the_cause(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    for broken in (False, True):
        pm.apply(lab, namespace, *(workload(k, n, broken=broken) for n, k in KINDS.items()))
        if not broken:
            for name, kind in KINDS.items():
                lab.kubectl(
                    "rollout", "status", f"{kind}/{name}", "-n", namespace, "--timeout=180s"
                )
    for name in KINDS:
        wait_crashing(lab, namespace, name, 1)
    run = pm.run(lab, namespace, "crashloop", directory=tmp_path / "out")
    told = {
        change["workload"]["name"]: (
            change["workload"]["kind"],
            change["before"]["number"],
            # The old pod of the Deployment goes on serving, and so does one of the StatefulSet's.
            change["before"]["ready"],
            change["after"]["number"],
            [(each["path"], each["before"], each["after"]) for each in change["differences"]],
        )
        for change in run.report["changes"]
    }
    differences = [
        ("containers[app].env[GREETING]", "(not shown)", None),
        ("containers[app].env[GREETINGS]", None, "(not shown)"),
        ("containers[app].resources.limits.memory", "128Mi", "64Mi"),
    ]
    assert told == {
        "web": ("Deployment", 1, 1, 2, differences),
        "db": ("StatefulSet", 1, 1, 2, differences),
        "agent": ("DaemonSet", 1, 0, 2, differences),
    }
    line = (
        "~ Revision 2 differs from 1 (1 Ready pod): env[GREETING] is gone; env[GREETINGS] is new, "
        "and 1 other difference"
    )
    assert line in " ".join(run.stdout.split())
    assert all(b"swordfish" not in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_without_the_permission_it_is_said(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    pm.apply(lab, namespace, workload("Deployment", "web", broken=True))
    wait_crashing(lab, namespace, "web", 1)
    out = tmp_path / "out"
    printed = pm.podmedic(
        lab, "rbac", "crashloop", "--namespaced", "-n", namespace, directory=out
    ).stdout
    assert "- replicasets\n" in printed
    lab.kubectl("apply", "-f", "-", input=printed.replace("- replicasets\n", "- jobs\n"))
    kubeconfig = kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig")
    run = pm.podmedic(
        lab, "run", "crashloop", "-n", namespace, "-o", out, "--kubeconfig", kubeconfig,
        directory=out,
    )  # fmt: skip
    (question,) = [q for q in run.report["notEvaluated"] if q["subject"] == "fact changes"]
    assert (question["reason"], question["message"]) == (
        "Forbidden", "forbidden: list replicasets.apps",
    )  # fmt: skip
    assert run.report["changes"] == []


def test_configuration_that_changed_stands_beside_the_cause(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """An edit of a ConfigMap that a crash loop reads: told, with rules that may ask for it, and
    only its metadata was read."""
    lab.images("busybox", "tools")
    settings: dict[str, Any] = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"GREETING": "swordfish"},
    }  # fmt: skip
    container = {
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    web = pm.deployment("web", SCRIPT, container=container)
    web["spec"]["template"]["spec"]["volumes"] = [
        {"name": "settings", "configMap": {"name": "settings"}}
    ]
    pm.apply(lab, namespace, settings, web)
    pm.wait_ready(lab, namespace, "web")
    made = _time(lab, namespace, "pod", "-l", "app=web", "-o", f"jsonpath={_CREATED}")
    # What is changed within half a minute is taken for a part of the same rollout.
    time.sleep(max(0.0, made.timestamp() + 31 - time.time()))
    settings["data"] = {"FAREWELL": "swordfish"}
    pm.apply(lab, namespace, settings)
    lab.kubectl("exec", "deploy/web", "-n", namespace, "--", "kill", "1")
    wait_crashing(lab, namespace, "web", 1)
    rule = {
        "id": "edited", "severity": "critical", "title": "The configuration was edited",
        "each": "configurationChanges.filter(c, c.agoSeconds < 600 && !c.stale)",
        "message": "{{ item.name }} {{ item.usedAs | join(' ') }}",
    }  # fmt: skip
    file = pm.playbook(
        tmp_path, [{"name": "look", "run": ["true"]}], findings=[rule], evidence={"changes": True}
    )
    offset = lab.audit_offset()
    run = pm.run(lab, namespace, file, directory=tmp_path / "out")
    (change,) = run.report["configurationChanges"]
    pods = change.pop("pods")
    changed = datetime.fromisoformat(change.pop("changedAt"))
    assert change == {
        "workload": {"kind": "Deployment", "namespace": namespace, "name": "web"},
        "container": "app", "name": "settings", "usedAs": ["env", "files"], "stale": False,
    }  # fmt: skip
    assert timedelta(seconds=30) <= changed - made <= timedelta(seconds=120)
    assert [f["message"] for f in run.report["findings"]] == ["settings env files"]
    line = f"~ ConfigMap settings was changed at {changed:%Y-%m-%d %H:%M:%S} UTC, after pod "
    assert line + pods[0]["name"] in " ".join(run.stdout.split())
    (asked,) = [
        e for e in lab.requests(offset, user_agent="podmedic/")
        if e.get("objectRef", {}).get("resource") == "configmaps"
    ]  # fmt: skip
    assert asked["verb"] == "list"
    kept = (tmp_path / "out").iterdir()
    assert all(b"swordfish" not in path.read_bytes() for path in kept)


_CREATED = "{.items[0].metadata.creationTimestamp}"


def _time(lab: Lab, namespace: str, *words: str) -> datetime:
    return datetime.fromisoformat(lab.kubectl("get", *words, "-n", namespace))


def test_rules_can_ask_what_changed(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """And only playbooks that want it cost the request."""
    lab.images("busybox")
    pm.apply(lab, namespace, workload("Deployment", "web", broken=False))
    pm.wait_ready(lab, namespace, "web")
    pm.apply(lab, namespace, workload("Deployment", "web", broken=True))
    wait_crashing(lab, namespace, "web", 1)
    rule = {
        "id": "variable-went", "severity": "critical", "title": "A variable went",
        "each": "changes.filter(c, c.path.contains('.env[') && c.after == '')",
        "message": "{{ item.path }} is gone.",
    }  # fmt: skip
    step = {"name": "look", "run": ["true"]}
    targets = {"conditions": ["CrashLoopBackOff"]}
    for wanted in (True, False):
        file = pm.playbook(
            tmp_path, [step], findings=[rule], targets=targets, evidence={"changes": wanted}
        )
        offset = lab.audit_offset()
        run = pm.run(lab, namespace, file, directory=tmp_path / f"out-{wanted}")
        asked = [
            e for e in lab.requests(offset, user_agent="podmedic/")
            if e.get("objectRef", {}).get("resource") == "replicasets"
        ]  # fmt: skip
        said = [f["message"] for f in run.report["findings"]]
        assert said == (["containers[app].env[GREETING] is gone."] if wanted else []), json.dumps(
            run.report["notEvaluated"]
        )
        assert len(asked) == (1 if wanted else 0)
