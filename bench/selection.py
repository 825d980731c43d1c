"""Which 200 of 10 000 running pods are in a crash loop: `podmedic plan` against the typed client.

A condition is nothing that the API server can select by, so all the pods have to be read.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import (
    PODMEDIC,
    Finished,
    VoidError,
    command_line,
    costs,
    environment,
    limit,
    run,
)
from bench.objects import objects, remove_pods
from bench.simulation import pod_manifest
from lab.handle import Lab

PODS = 10_000
_EVERY = 50
_PEAK_RSS_MB = 150.0
_SECONDS = 0.7
_STARTED_AT = "2025-01-01T00:00:00Z"
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady",
               "PodScheduled")  # fmt: skip


def _status(number: int, sick: bool) -> dict[str, Any]:
    """As a kubelet writes it."""
    name, address = "web", f"10.244.{number // 250}.{number % 250}"
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "startedAt": _STARTED_AT,
        "finishedAt": _STARTED_AT,
        "containerID": f"containerd://{number:064x}",
    }
    waiting = {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 5m0s restarting failed container={name} pod=web-{number:05}",
    }
    container = {
        "name": name,
        "image": "registry.example.com/shop/web:4.17.2",
        "imageID": f"registry.example.com/shop/web@sha256:{'ab' * 32}",
        "containerID": f"containerd://{number:064x}",
        "ready": not sick,
        "started": not sick,
        "restartCount": 17 if sick else 0,
        "state": {"waiting": waiting} if sick else {"running": {"startedAt": _STARTED_AT}},
        "lastState": {"terminated": ended} if sick else {},
    }
    false = ("Ready", "ContainersReady") if sick else ()
    return {
        "phase": "Running",
        "startTime": _STARTED_AT,
        "hostIP": "10.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "conditions": [
            {
                "type": kind,
                "status": "False" if kind in false else "True",
                "lastTransitionTime": _STARTED_AT,
            }
            for kind in _CONDITIONS
        ],
        "containerStatuses": [container],
    }


async def _create(lab: Lab, namespace: str, count: int) -> None:
    """On no node, so that nobody else writes their status."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    async with objects(lab) as api:

        async def one(number: int) -> None:
            pod = pod_manifest(number, "none", node="")
            # Nobody's: the scheduler would look at ten thousand pods all the time.
            pod["spec"]["schedulerName"] = "nobody"
            name = (await api.send("POST", path, pod))["metadata"]["name"]
            await api.send(
                "PATCH",
                f"{path}/{name}/status",
                {"status": _status(number, number % _EVERY == 0)},
                "application/merge-patch+json",
            )

        await api.for_each(range(count), one)


@contextmanager
def _pods(lab: Lab, count: int) -> Iterator[str]:
    with lab.namespace("bench") as namespace:
        try:
            asyncio.run(_create(lab, namespace, count))
            yield namespace
        finally:
            remove_pods(lab, namespace)


def _playbook(folder: Path) -> Path:
    path = folder / "selection.yaml"
    document = {
        "apiVersion": "podmedic.io/v1alpha1",
        "kind": "Playbook",
        "metadata": {"name": "selection"},
        "spec": {
            "targets": {"conditions": ["CrashLoopBackOff"]},
            "steps": [{"name": "probe", "run": ["true"]}],
        },
    }
    path.write_text(json.dumps(document))
    return path


def _checked(done: Finished, pods: int) -> Finished:
    done.must_end_with(0)
    wanted = [f"pod/web-{number:05}" for number in range(0, pods, _EVERY)]
    if sorted(done.stdout.decode().split()) != wanted:
        raise VoidError(f"{len(done.stdout.split())} pods selected, {len(wanted)} are sick")
    return done


def measure(lab: Lab, runs: int, pods: int = PODS) -> dict[str, Any]:
    ours: list[Finished] = []
    typed: list[Finished] = []
    with tempfile.TemporaryDirectory() as folder, _pods(lab, pods) as namespace:
        commands: tuple[tuple[list[Finished], list[str | Path]], ...] = (
            (
                ours,
                [PODMEDIC, "plan", _playbook(Path(folder)), "-n", namespace, "-o", "name",
                 "--field-selector=status.phase=Running"],
            ),
            (typed, [sys.executable, "-m", "bench.typed_list", namespace]),
        )  # fmt: skip
        for _ in range(runs):
            for found, command in commands:
                found.append(_checked(run(command, environment=environment(lab)), pods))

    def median(found: list[Finished], field: str) -> float:
        return float(statistics.median(getattr(one, field) for one in found))

    return {
        "pods": pods,
        "selected": pods // _EVERY,
        "podmedic": costs(ours),
        "typed_client": costs(typed),
        "limits": [
            limit("peak RSS in MB", median(ours, "peak_rss_mb"), _PEAK_RSS_MB),
            limit(
                "peak RSS, of the typed client's",
                median(ours, "peak_rss_mb") / median(typed, "peak_rss_mb"),
                0.15,
            ),
            limit("seconds of CPU, the start included", median(ours, "cpu_seconds"), _SECONDS),
            limit(
                "wall, of the typed client's",
                median(ours, "wall_seconds") / median(typed, "wall_seconds"),
                1 / 15,
            ),
        ],
    }


if __name__ == "__main__":
    command_line("selection", __doc__, measure, runs=3)
