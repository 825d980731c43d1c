"""The playbook security-baseline on a pod that may too much and on one that may little."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_library_disk import said_of, steps_of
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable

EXPECTED = {
    "loose": {
        "capabilities-dangerous",
        "node-folder-mounted",
        "port-undeclared",
        "program-deleted",
        "root-file-system-writable",
        "runs-as-root",
        "seccomp-off",
        "service-account-token-mounted",
    },
    "tight": set[str](),
}


def test_what_a_pod_may_and_what_runs_in_it(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The image has no scanner: that step is not evaluated, and so are the rules that need it."""
    lab.images("busybox", "tools")
    loose: dict[str, Any] = {
        "securityContext": {"capabilities": {"add": ["SYS_PTRACE", "SYS_TIME"]}},
        "ports": [{"containerPort": 8080}],
        "volumeMounts": [{"name": "node", "mountPath": "/node", "readOnly": True}],
    }
    tight = {
        "securityContext": {
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "ports": [{"containerPort": 8080}],
    }
    # busybox asks its own name what it is: nc and sleep.
    listens = "cp /bin/busybox /tmp/nc; /tmp/nc -ll -p 9999 -e true & sleep 1; rm /tmp/nc"
    node = [{"name": "node", "hostPath": {"path": "/usr/share/zoneinfo"}}]
    pm.apply(
        lab, namespace,
        pm.deployment("loose", f"{listens}; {SLEEP}", container=loose, spec={"volumes": node}),
        pm.deployment(
            "tight", SLEEP, container=tight, spec={"automountServiceAccountToken": False}
        ),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    wait_enterable(lab, namespace, *EXPECTED)
    run = pm.run(lab, namespace, "security-baseline", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(EXPECTED)) == EXPECTED, steps
    assert {(name, outcome) for name, outcome, _ in steps} == {
        ("processes", "passed"),
        ("executables", "passed"),
        ("listeners", "passed"),
        ("files", "passed"),
        ("scan", "not-evaluated"),
    }
    unanswered = {
        each["subject"]
        for each in run.report["notEvaluated"]
        if each["subject"].startswith("rule ")
    }
    assert unanswered == {
        f"rule vulnerabilities-{level}" for level in ("critical", "high", "medium")
    }
    by_rule = {f["rule"]: f["message"] for f in run.report["findings"]}
    assert (
        by_rule["capabilities-dangerous"] == "Processes of container app have SYS_PTRACE,SYS_TIME."
    )
    assert "runs /tmp/nc, which is not there" in by_rule["program-deleted"]
