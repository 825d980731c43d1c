"""Pods that are tight of memory: ours counts against their limit, and the app is not to pay."""

import json
import re
import time
from pathlib import Path

import pytest

from lab.handle import Lab
from tests.lab import podmedic as pm

HELD_MIB = 80
GREEDY = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); echo ${#x}"


@pytest.fixture
def tight(lab: Lab, namespace: str) -> str:
    """A Guaranteed pod that uses most of its 96 MiB."""
    lab.images("busybox", "python")
    limits = {"memory": "96Mi", "cpu": "500m"}
    hold = f"held = bytearray({HELD_MIB} << 20); print(len(held), flush=True)"
    app = pm.deployment(
        "tight", f"exec python3 -c 'import time; {hold}; time.sleep(3600)'",
        image="python:3", container={"resources": {"limits": limits, "requests": limits}},
    )  # fmt: skip
    pm.apply(lab, namespace, app)
    pm.wait_ready(lab, namespace, "tight")
    return namespace


def _playbook(folder: Path, script: str) -> Path:
    debugger = {"image": "busybox:1.36", "strategy": ["shared"]}
    return pm.playbook(folder, [{"name": "step", "script": script}], debugger=debugger)


def _measured(lab: Lab, namespace: str) -> None:
    """Until the metrics API knows what the pod uses."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
    deadline = time.monotonic() + 120
    while not json.loads(lab.kubectl("get", "--raw", path))["items"]:
        assert time.monotonic() < deadline, "the metrics-server does not measure the pod"
        time.sleep(0.5)


def test_s29_a_step_that_wants_too_much_memory_ends_before_the_app(
    lab: Lab, tight: str, tmp_path: Path
) -> None:
    """The kernel has to kill somebody, and that is us; the app's process is larger, and is what it
    would take otherwise. Where the metrics API tells how tight the pod is, it is given nothing."""
    path = _playbook(tmp_path, GREEDY)
    for number in range(2):
        (pod,) = pm.run(lab, tight, path, directory=tmp_path / str(number)).report["pods"]
        # The node decides whether the kernel takes one process or the whole container of ours.
        if pod["outcome"] == "failed":
            assert pod["steps"][0]["exitCode"] == 137, pod
        else:
            assert (pod["outcome"], pod["reason"]) == ("unknown", "OOMKilled"), pod
        assert pod["harm"]["verdict"] == "unchanged", pod["harm"]
    (now,) = pm.pods(lab, tight)
    (status,) = now.status.container_statuses
    assert (status.restart_count, status.state.running is not None) == (0, True)

    before = pm.generations(lab, tight)
    with lab.metrics_api():
        _measured(lab, tight)
        run = pm.run(lab, tight, path, directory=tmp_path / "held")
        ahead = pm.podmedic(lab, "preflight", path, "-n", tight, "-o", "json", directory=tmp_path)
        shell = pm.podmedic(
            lab, "shell", now.metadata.name, "-n", tight, "--image=busybox:1.36",
            "--command=true", directory=tmp_path,
        )  # fmt: skip
    (pod,) = run.report["pods"]
    assert run.code == 5, run.stderr
    assert (pod["outcome"], pod["reason"]) == ("skipped", "MemoryHeadroom")
    told = re.fullmatch(
        r"the pod uses (\d+) of its 96 MiB of memory: a container that starts may take 16 MiB, and "
        "the kernel the app for that",
        pod["message"],
    )
    assert told is not None, pod["message"]
    assert HELD_MIB <= int(told[1]) < 96
    assert [step["outcome"] for step in pod["steps"]] == ["not-evaluated"]
    (row,) = json.loads(ahead.stdout)["pods"]
    assert (row["verdict"], row["reason"]) == ("held-back", "MemoryHeadroom")
    assert (shell.code, shell.stdout) == (125, "")
    assert f"podmedic: pod {now.metadata.name}: the pod uses " in shell.stderr
    assert pm.generations(lab, tight) == before
