"""Simulated pods: what a benchmark with a thousand of them relies on."""

import os
import subprocess
import sys
import time

import pytest

from lab import kwok
from lab.handle import Lab

pytestmark = pytest.mark.kwok

_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: simulated
  namespace: %s
  annotations: {lab.podmedic.io/message: 'said "so"', lab.podmedic.io/exit-code: "3"}
spec:
  nodeSelector: {type: kwok}
  tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
  containers: [{name: app, image: app}]
"""
_STATE = "{.status.ephemeralContainerStatuses[*].state.terminated.%s}"


@pytest.fixture(scope="module")
def simulating(lab: Lab) -> Lab:
    """The session's lab with a simulated node more."""
    command = [sys.executable, "-m", "lab", "--name", lab.layout.name, "up", "--kwok", "1"]
    subprocess.run(command, check=True, timeout=600)
    return lab


@pytest.fixture
def pod(simulating: Lab, namespace: str) -> tuple[str, ...]:
    """A running simulated pod, as arguments for kubectl."""
    simulating.apply(_POD % namespace)
    simulating.kubectl(
        "wait", "-n", namespace, "--for=condition=Ready", "pod/simulated", "--timeout=180s"
    )
    return ("-n", namespace, "simulated")


def _inject(lab: Lab, pod: tuple[str, ...], name: str) -> float:
    """Seconds until the new ephemeral container has ended."""
    body = f'{{"spec": {{"ephemeralContainers": [{{"name": "{name}", "image": "debugger"}}]}}}}'
    patch = ("--subresource=ephemeralcontainers", "--type=strategic", "-p", body)
    started = time.monotonic()
    lab.kubectl("patch", "pod", *pod, *patch)
    ended = f'{{.status.ephemeralContainerStatuses[?(@.name=="{name}")].state.terminated.reason}}'
    lab.kubectl("wait", "pod", *pod, f"--for=jsonpath={ended}=Error", "--timeout=180s")
    return time.monotonic() - started


def test_an_ephemeral_container_ends_as_the_pod_says(simulating: Lab, pod: tuple[str, ...]) -> None:
    seconds = [_inject(simulating, pod, name) for name in ("first", "second")]

    def of_all(field: str) -> str:
        return simulating.kubectl("get", "pod", *pod, "-o", f"jsonpath={_STATE % field}")

    assert of_all("message") == 'said "so" said "so"'
    assert of_all("exitCode") == "3 3"
    assert min(seconds) >= 1.0
    assert sorted(of_all("containerID").split()) == ["kwok://first", "kwok://second"]
    assert len(set(of_all("startedAt").split())) == 2, "the first was answered anew"


@pytest.mark.parametrize(
    "payload",
    [b"one line\n", b"", b"\n\n", b"no end", os.urandom(200_000)],
    ids=["line", "nothing", "empty lines", "no end", "any bytes"],
)
def test_a_log_request_returns_what_was_written(
    simulating: Lab, pod: tuple[str, ...], payload: bytes
) -> None:
    kwok.write_log(kwok.log_path(simulating.layout), payload)

    program = [sys.executable, "-m", "lab", "--name", simulating.layout.name, "kubectl"]
    done = subprocess.run([*program, "logs", *pod], capture_output=True, check=True, timeout=60)

    assert done.stdout == payload


def test_real_pods_stay_on_the_real_node(simulating: Lab, namespace: str) -> None:
    simulating.kubectl("run", "-n", namespace, "real", "--image=busybox:1.36", "--", "sleep", "60")
    simulating.kubectl(
        "wait", "-n", namespace, "--for=condition=Ready", "pod/real", "--timeout=180s"
    )

    node = simulating.kubectl(
        "get", "pod", "-n", namespace, "real", "-o", "jsonpath={.spec.nodeName}"
    )

    assert node == "lab-node"
