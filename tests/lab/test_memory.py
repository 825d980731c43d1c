"""Pods that are tight of memory: ours counts against their limit, and the app is not to pay."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, service_account_token
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


def _metrics(namespace: str, pod: str) -> dict[str, Any]:
    """What a metrics-server answers; the lab has none. The amount is what such a pod uses there."""
    return {
        "kind": "PodMetricsList",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": pod, "namespace": namespace, "labels": {"app": "tight"}},
                "timestamp": "2026-11-28T20:00:00Z",
                "window": "15.021s",
                "containers": [{"name": "app", "usage": {"cpu": "91u", "memory": "84644Ki"}}],
            }
        ],
    }


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
    told = (
        f"the pod uses {84644 >> 10} of its 96 MiB of memory: a container that starts may take "
        "16 MiB, and the kernel the app for that"
    )
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        metrics = rf"/apis/metrics\.k8s\.io/v1beta1/namespaces/{tight}/pods"
        answer = json.dumps(_metrics(tight, now.metadata.name)).encode()
        proxy.add(Fault.answer(answer, path=metrics, times=None))
        token = service_account_token(lab, tight)
        config = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=tight)
        run = pm.run(lab, tight, path, "--kubeconfig", config, directory=tmp_path / "held")
        ahead = pm.podmedic(
            lab, "preflight", path, "--kubeconfig", config, "-o", "json", directory=tmp_path
        )
        shell = pm.podmedic(
            lab, "shell", now.metadata.name, "--kubeconfig", config, "--image=busybox:1.36",
            "--command=true", directory=tmp_path,
        )  # fmt: skip
    (pod,) = run.report["pods"]
    assert run.code == 5, run.stderr
    assert (pod["outcome"], pod["reason"], pod["message"]) == ("skipped", "MemoryHeadroom", told)
    assert [step["outcome"] for step in pod["steps"]] == ["not-evaluated"]
    (row,) = json.loads(ahead.stdout)["pods"]
    assert (row["verdict"], row["reason"]) == ("held-back", "MemoryHeadroom")
    line = f"podmedic: pod {now.metadata.name}: {told} (MemoryHeadroom)\n"
    assert (shell.code, shell.stderr) == (125, line)
    assert pm.generations(lab, tight) == before
