"""Playbooks that inject nothing, and the one that only collects."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import until, wait_enterable


def test_why_pods_do_not_begin(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Each playbook alone says the cause, and no pod is changed."""
    lab.images("busybox")
    wants: dict[str, Any] = {"resources": {"requests": {"cpu": "900"}}}
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "nowhere"}}
    pm.apply(
        lab, namespace,
        pm.deployment("typo", SLEEP, image="busybox:1.36-no-such-tag"),
        pm.deployment("greedy", SLEEP, container=wants),
        pm.deployment("picky", SLEEP, spec={"nodeSelector": {"disk": "gold"}}),
        pm.deployment("claims", SLEEP, spec={"volumes": [claim]}),
        pm.deployment("held", SLEEP),
        pm.deployment("fine", SLEEP),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "fine", "held")
    (held,) = [
        p.metadata.name for p in pm.pods(lab, namespace) if p.metadata.labels["app"] == "held"
    ]
    keep = '{"metadata":{"finalizers":["example.com/keep"]}}'
    lab.kubectl("patch", "pod", held, "-n", namespace, "--type=merge", "-p", keep)
    lab.kubectl("delete", "pod", held, "-n", namespace, "--wait=false")
    try:
        lab.kubectl(
            "wait", "pods", "-n", namespace, "-l", "app=typo", "--timeout=180s",
            "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
        )  # fmt: skip
        # `pending` leaves pods alone that have just come, and a finalizer may take a moment.
        lab.kubectl(
            "wait", "pods", "-n", namespace, "-l", "app=fine", "--timeout=1s",
            "--for=condition=Ready",
        )  # fmt: skip

        def found() -> pm.Outcome | None:
            run = pm.run(
                lab, namespace, "image-pull", "pending", "stuck-terminating",
                directory=tmp_path / "out",
            )  # fmt: skip
            told = {finding["workload"]["name"] for finding in run.report["findings"]}
            return run if len(told) == 5 else None

        run = until(found, "not all five are told of", every_seconds=2)
        assert run is not None
        said: dict[str, set[str]] = {}
        for finding in run.report["findings"]:
            said.setdefault(finding["workload"]["name"], set()).add(finding["rule"])
        assert said == {
            "typo": {"image-not-found"},
            "greedy": {"resources-insufficient"},
            "picky": {"selector-matches-no-node"},
            "claims": {"volume-claim-missing"},
            "held": {"held-by-finalizer"},
        }
        assert run.report["summary"]["ephemeralContainers"] == 0
        assert not any(pm.ephemeral_containers(lab, namespace).values())
    finally:
        lab.kubectl(
            "patch", "pod", held, "-n", namespace, "--type=merge",
            "-p", '{"metadata":{"finalizers":null}}',
        )  # fmt: skip


def test_what_an_investigator_asks_for(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox", "tools")
    secret = [{"name": "API_PASSWORD", "value": "sw0rdfish-4711"}]
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, container={"env": secret}))
    pm.wait_ready(lab, namespace, "web")
    wait_enterable(lab, namespace, "web")
    out = tmp_path / "out"
    run = pm.run(lab, namespace, "incident-evidence", directory=out)
    (pod,) = run.report["pods"]
    steps = {step["name"]: step for step in pod["steps"]}
    assert {(name, step["outcome"]) for name, step in steps.items()} == {
        (name, "passed")
        for name in (
            "time", "processes", "sockets", "files", "mappings", "executables", "variables",
            "mounts", "limits", "changed", "network",
        )
    }  # fmt: skip
    assert "sleep 86400" in steps["processes"]["stdout"]
    assert "API_PASSWORD" in steps["variables"]["stdout"]
    assert "/bin/busybox" in steps["mappings"]["stdout"] + steps["executables"]["stdout"]
    assert "Max open files" in steps["limits"]["stdout"]
    assert all(b"sw0rdfish" not in path.read_bytes() for path in out.iterdir() if path.is_file())
    assert run.report["findings"] == []
    asked = len(steps) + len(("events", "logs"))
    assert run.report["summary"]["evidence"] == [
        {"playbook": "incident-evidence", "asked": asked, "whole": asked, "percent": 100,
         "missing": [], "notNeeded": ["changes: not ill (1 pod)"]}
    ]  # fmt: skip
    assert f"100 % complete ({asked} of {asked} items are whole)" in (
        (out / "report.html").read_text()
    )
