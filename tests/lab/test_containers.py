"""`podmedic containers`: what pods carry of ephemeral containers, as a user sees it."""

import json
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP


def pod_json(lab: Lab, namespace: str) -> dict[str, Any]:
    found = json.loads(lab.kubectl("get", "pods", "-n", namespace, "-o", "json"))
    (pod,) = found["items"]
    return dict(pod)


def size(pod: dict[str, Any]) -> int:
    return len(json.dumps(pod, separators=(",", ":")))


def test_containers_tells_who_what_and_the_way_out(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Ours and kubectl's, with state and weight; none at first, and nothing is changed."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    out = tmp_path / "out"
    empty = pm.podmedic(lab, "containers", "-n", namespace, directory=out)
    assert (empty.code, empty.stdout, empty.stderr) == (0, "No ephemeral containers.\n", "")

    before = pod_json(lab, namespace)
    name = before["metadata"]["name"]
    probe = pm.playbook(tmp_path, [{"name": "hello", "run": ["echo", "hello"]}])
    run = pm.run(lab, namespace, probe, "-o", "name", directory=out)
    assert (run.code, run.stdout) == (0, f"pod/{name}\n"), run.stderr
    grown = size(pod_json(lab, namespace)) - size(before)
    lab.kubectl(
        "debug", name, "-n", namespace, "--image=busybox:1.36", "--profile=restricted",
        "--container=by-hand", "--attach=false", "--", "true",
    )  # fmt: skip

    listed = pm.podmedic(lab, "containers", "-n", namespace, "-o", "json", directory=out)
    document = json.loads(listed.stdout)
    ours, theirs = sorted(document["containers"], key=lambda c: c["container"] == "by-hand")
    run_id = run.report["run"]["id"]
    assert ours["from"] == f"podmedic run {run_id}"
    assert (ours["pod"], ours["state"], ours["exitCode"]) == (name, "terminated", 0)
    assert ours["workload"] == {"kind": "Deployment", "name": "web"}
    assert 0.8 * grown < ours["bytes"] < 1.2 * grown
    assert (theirs["from"], theirs["image"]) == ("kubectl", "busybox:1.36")
    (workload,) = document["workloads"]
    assert (workload["pods"], workload["containers"], workload["due"]) == (1, 2, False)
    assert workload["command"] == f"kubectl rollout restart deployment/web -n {namespace}"

    table = pm.podmedic(lab, "containers", "-n", namespace, "-o", "wide", directory=out).stdout
    assert table.splitlines()[0].split() == [
        "NAMESPACE", "POD", "CONTAINER", "FROM", "STATE", "AGE", "BYTES", "WORKLOAD", "NODE", "IMAGE",
    ]  # fmt: skip
    assert "2 ephemeral containers in 1 pod," in table
    after = pod_json(lab, namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 2
