"""The command as a user calls it, against the lab."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lab.handle import Lab
from runner import killpoints
from runner.model.pod import Pod
from tests.lab import preloaded

COMMAND = preloaded.COMMAND
RUN_SECONDS = 180
# An app that is well and ends when it is told to. Each second another process, in each of a hundred
# pods, would be a tenth of what two cores have. It takes a moment to end: so does whoever tells it.
SLEEP = "trap 'sleep 0.2; exit 0' TERM; sleep 86400 & wait"


@dataclass(frozen=True)
class Outcome:
    """What a user has afterwards: exit code, both streams, and the directory."""

    code: int
    stdout: str
    stderr: str
    directory: Path

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.directory / "report.json").read_bytes())
        return report


def environment(lab: Lab | None) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KUBE", "PODMEDIC"))}
    return clean | {"KUBECONFIG": str(lab.kubeconfig)} if lab is not None else clean


def podmedic(
    lab: Lab | None,
    *arguments: str | Path,
    directory: Path,
    timeout_seconds: int = RUN_SECONDS,
    kill_at: str = "",
    itself: bool = False,
) -> Outcome:
    """`podmedic ARGUMENTS` in an empty folder beside `directory`. `kill_at` is a kill point;
    `itself` is the command and no preloaded process."""
    variables = environment(lab) | ({killpoints.VARIABLE: kill_at} if kill_at else {})
    if itself:
        done = subprocess.run(
            [COMMAND, *arguments],
            env=variables,
            cwd=directory.parent,
            capture_output=True,
            check=False,
            timeout=timeout_seconds,
        )
    else:
        done = preloaded.call(
            arguments, environment=variables, folder=directory.parent,
            timeout_seconds=timeout_seconds,
        )  # fmt: skip
    _no_traceback(done.stderr.decode(errors="replace"))
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode(), directory)


def _no_traceback(stderr: str) -> None:
    """Whatever a user does: what Python says to its developers is never for them."""
    assert "\nTraceback (most recent call last)" not in f"\n{stderr}", stderr


def run(
    lab: Lab,
    namespace: str,
    *arguments: str | Path,
    directory: Path,
    kill_at: str = "",
    itself: bool = False,
) -> Outcome:
    """`podmedic run … -n NAMESPACE -o DIRECTORY`."""
    words = ("run", *arguments, "-n", namespace, "-o", directory)
    return podmedic(lab, *words, directory=directory, kill_at=kill_at, itself=itself)


def start_run(
    lab: Lab, namespace: str, *arguments: str | Path, directory: Path
) -> subprocess.Popen[str]:
    """The same in the background, with its output in a pipe."""
    return preloaded.Process(
        ["run", *arguments, "-n", namespace, "-o", directory],
        env=environment(lab),
        cwd=directory.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_shell(lab: Lab, namespace: str, pod: str, *arguments: str) -> subprocess.Popen[str]:
    return preloaded.Process(
        ["shell", pod, "-n", namespace, *arguments],
        env=environment(lab),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    _no_traceback(stderr)
    return process.returncode, stdout, stderr


def pods(lab: Lab, namespace: str) -> list[Pod]:
    raw = lab.client().get(f"/api/v1/namespaces/{namespace}/pods")
    return [msgspec.convert(item, Pod, strict=False) for item in raw["items"]]


def ephemeral_containers(lab: Lab, namespace: str) -> dict[str, list[str]]:
    """Names of the ephemeral containers by pod."""
    return {
        pod.metadata.name: [c.name for c in pod.spec.ephemeral_containers]
        for pod in pods(lab, namespace)
    }


def generations(lab: Lab, namespace: str) -> dict[str, int]:
    return {pod.metadata.name: pod.metadata.generation for pod in pods(lab, namespace)}


def deployment(
    name: str, script: str, *, replicas: int = 1, image: str = "busybox:1.36",
    container: dict[str, Any] | None = None, spec: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A Deployment whose one container runs a shell script."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    # Crash-looping shells do not wait for anything.
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {
                            "name": "app",
                            "image": image,
                            "command": ["sh", "-c", script],
                            **(container or {}),
                        }
                    ],
                    **(spec or {}),
                },
            },
        },
    }


def apply(lab: Lab, namespace: str, *objects: dict[str, Any]) -> None:
    lab.put(*objects, namespace=namespace)


def wait_ready(lab: Lab, namespace: str, *names: str) -> None:
    """Until the Deployments are rolled out."""
    for name in names:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        lab.client().await_object(path, name, _rolled_out)


def wait_pod(lab: Lab, namespace: str, *names: str) -> None:
    """Until the pods are ready."""
    for name in names:
        path = f"/api/v1/namespaces/{namespace}/pods"
        lab.client().await_object(path, name, lambda pod: "Ready" in _true_conditions(pod))


def _rolled_out(deployment: dict[str, Any]) -> bool:
    """As `kubectl rollout status` sees it."""
    status, replicas = deployment.get("status", {}), deployment["spec"]["replicas"]
    counts = [status.get(f"{of}Replicas", 0) for of in ("updated", "available")]
    return (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and counts == [replicas, replicas]
        and status.get("replicas", 0) == replicas
    )


def _true_conditions(thing: dict[str, Any]) -> list[str]:
    conditions = thing.get("status", {}).get("conditions", [])
    return [each["type"] for each in conditions if each["status"] == "True"]


def enforce(lab: Lab, namespace: str, level: str) -> None:
    """The Pod Security level that the namespace enforces from now on."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    metadata = {"name": namespace, "labels": labels}
    lab.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def playbook(directory: Path, steps: Sequence[dict[str, Any]], **spec: Any) -> Path:
    """A playbook file for any pod, with a small debugger image."""
    document = {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Playbook",
        "metadata": {"name": "probe"},
        "spec": {"debugger": {"image": "busybox:1.36"}, "steps": list(steps), **spec},
    }
    path = directory / "probe.yaml"
    path.write_text(json.dumps(document))
    return path
