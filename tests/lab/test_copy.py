"""Strategy `copy`: the steps run in a copy of the pod, the pod stays as it was, the copy goes."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.injection import EXPIRES_ANNOTATION
from runner.select import COPY_LABEL
from tests.lab import podmedic as pm
from tests.lab.test_strategies import LOOK, attempts
from tests.lab.test_sweep import CRASH
from tests.lab.waiting import wait_crashing

WAIT = {"name": "wait", "run": ["sleep", "90"], "timeoutSeconds": 100}
QUICK = {"name": "quick", "run": ["cat", "/etc/hostname"]}


def copying(folder: Path, *steps: dict[str, Any], then: tuple[str, ...] = ()) -> Path:
    debugger = {"image": "busybox:1.36", "strategy": ["copy", *then]}
    return pm.playbook(folder, steps, debugger=debugger)


def copies(lab: Lab, namespace: str) -> list[dict[str, Any]]:
    raw = json.loads(lab.kubectl("get", "pods", "-n", namespace, "-l", COPY_LABEL, "-o", "json"))
    return [p for p in raw["items"] if "deletionTimestamp" not in p["metadata"]]


def running_copy(lab: Lab, namespace: str) -> dict[str, Any]:
    """The one copy, once it is ready: it exists when its first event arrives."""
    lab.kubectl("wait", "pods", "-n", namespace, "-l", COPY_LABEL, "--for=create", "--timeout=180s")
    lab.kubectl(
        "wait", "pods", "-n", namespace, "-l", COPY_LABEL, "--for=condition=Ready",
        "--timeout=180s",
    )  # fmt: skip
    (copy,) = copies(lab, namespace)
    return copy


def crashing(lab: Lab, namespace: str, **more: Any) -> None:
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, **more))
    wait_crashing(lab, namespace, "ledger", 1)


def test_a_copy_is_looked_into_and_the_pod_is_not_touched(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox", "python")
    crashing(lab, namespace, image="python:3")
    before = pm.generations(lab, namespace)
    run = pm.run(lab, namespace, copying(tmp_path, *LOOK), directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert pod["steps"][0]["outcome"] == "passed", pod
    assert "/usr/bin/python3" in pod["steps"][0]["stdout"]
    assert attempts(pod) == [("copy", "used", "")]
    assert pod["strategy"] == "copy"
    (injection,) = pod["injections"]
    assert injection["image"].startswith("python@sha256:")
    after = pm.generations(lab, namespace)
    assert {name: after[name] for name in before} == before
    assert copies(lab, namespace) == []


def test_no_service_takes_the_copy_for_one_of_its_pods(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A stopped run (Ctrl-C) leaves none behind."""
    lab.images("busybox")
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ledger"},
        "spec": {
            "selector": {"app": "ledger"}, "ports": [{"port": 80}],
            "publishNotReadyAddresses": True,
        },
    }  # fmt: skip
    probe = {"livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1}}
    pm.apply(lab, namespace, service)
    crashing(lab, namespace, container=probe)
    process = pm.start_run(lab, namespace, copying(tmp_path, WAIT), directory=tmp_path / "out")
    try:
        copy = running_copy(lab, namespace)
        metadata, spec = copy["metadata"], copy["spec"]
        assert list(metadata["labels"]) == [COPY_LABEL]
        assert "ownerReferences" not in metadata
        assert "livenessProbe" not in spec["containers"][0]
        assert spec["restartPolicy"] == "Never"
        lives = datetime.fromisoformat(metadata["annotations"][EXPIRES_ANNOTATION]) - datetime.now(
            UTC
        )
        assert timedelta() < lives < timedelta(minutes=10)
        slices = json.loads(lab.kubectl("get", "endpointslices", "-n", namespace, "-o", "json"))
        behind = [e["targetRef"]["name"] for s in slices["items"] for e in s["endpoints"] or ()]
        assert len(behind) == 1
        assert metadata["name"] not in behind
    finally:
        pm.kill(process, signal.SIGINT)
    assert copies(lab, namespace) == []


def test_the_copy_of_a_run_that_was_killed_goes_with_the_next(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Once it has expired, and only what says that it is ours."""
    lab.images("busybox")
    crashing(lab, namespace)
    process = pm.start_run(lab, namespace, copying(tmp_path, WAIT), directory=tmp_path / "one")
    running_copy(lab, namespace)
    pm.kill(process, signal.SIGKILL)
    (left,) = copies(lab, namespace)
    foreign = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "foreign", "labels": {COPY_LABEL: "x"}},
        "spec": {"containers": [{"name": "a", "image": "busybox:1.36", "command": ["sleep", "99"]}],
                 "terminationGracePeriodSeconds": 0},
    }  # fmt: skip
    pm.apply(lab, namespace, foreign)
    path = copying(tmp_path, QUICK)
    pm.run(lab, namespace, path, directory=tmp_path / "two")
    names = {p["metadata"]["name"] for p in copies(lab, namespace)}
    assert names == {left["metadata"]["name"], "foreign"}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    lab.kubectl(
        "annotate", "pod", left["metadata"]["name"], "-n", namespace, "--overwrite",
        f"{EXPIRES_ANNOTATION}={past}",
    )  # fmt: skip
    run = pm.run(lab, namespace, path, directory=tmp_path / "three")
    assert {p["metadata"]["name"] for p in copies(lab, namespace)} == {"foreign"}
    skipped = {p["name"]: p["reason"] for p in run.report["pods"] if p["outcome"] == "skipped"}
    assert skipped["foreign"] == "Copy"


def test_a_copy_without_a_shell_is_told_and_the_next_strategy_taken(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox")
    pause = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"},
        "spec": {"containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]},
    }  # fmt: skip
    pm.apply(lab, namespace, pause)
    pm.wait_pod(lab, namespace, "bare")
    run = pm.run(
        lab, namespace, copying(tmp_path, QUICK, then=("shared",)), directory=tmp_path / "out"
    )
    (pod,) = run.report["pods"]
    assert attempts(pod) == [("copy", "failed", "RunContainerError"), ("shared", "used", "")]
    assert pod["steps"][0]["outcome"] == "passed"
    assert copies(lab, namespace) == []


def test_preflight_asks_whether_the_copy_would_be_accepted(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """A quota that is full refuses a further pod, which no ephemeral container would meet."""
    lab.images("busybox")
    crashing(lab, namespace)
    path = copying(tmp_path, QUICK)
    quota = {
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"},
        "spec": {"hard": {"pods": "1"}},
    }  # fmt: skip
    for full, verdict in ((False, "accepted"), (True, "refused")):
        if full:
            pm.apply(lab, namespace, quota)
            lab.kubectl(
                "wait", "resourcequota/full", "-n", namespace, "--for=jsonpath={.status.used.pods}=1",
                "--timeout=180s",
            )  # fmt: skip
        found = pm.podmedic(
            lab, "preflight", path, "-n", namespace, "-o", "json", directory=tmp_path / "out"
        )
        (pod,) = json.loads(found.stdout)["pods"]
        assert pod["verdict"] == verdict, pod
    assert "exceeded quota" in pod["message"]
    assert copies(lab, namespace) == []
