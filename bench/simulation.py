"""Simulated nodes of our own, with a log for each container, and pods that run on them."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.measure import VoidError
from bench.objects import Objects, objects, remove_pods
from bench.recording import Recording
from lab.handle import Lab

NODES = 10
# Of one workload, as the replicas of a cluster are: what is read once for a workload counts once.
_REPLICAS = 100
# After that podmedic enters the target's process namespace: what it does to a pod that is well.
_SETTLED_SECONDS = 6.0
_RUNNING_SECONDS = 300.0
_READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated"}
_ROOM = {"cpu": "1k", "memory": "1Ti", "pods": "1M"}


def _node(name: str, address: str, port: int) -> dict[str, Any]:
    """Ready from the beginning, so that kwok leaves its address, which is ours, alone."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name},
        },
        "spec": {
            "taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "allocatable": _ROOM,
            "capacity": _ROOM,
            "conditions": [_READY],
        },
    }


def _owner(name: str) -> dict[str, Any]:
    """A workload that no controller watches over: it would make and remove pods of its own."""
    spec = {"containers": [{"name": "web", "image": "registry.example.com/shop/web:4.17.2"}]}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name},
        "template": {"spec": spec},
    }


def pod_manifest(
    number: int, message: str, node: str, owner: dict[str, Any] | None = None
) -> dict[str, Any]:
    """As large as a pod of a real cluster is: 5 kB once it runs. `message` is what its ephemeral
    containers leave behind; `owner` a stored object."""
    environment = [
        {"name": f"SHOP_SETTING_{i}", "value": f"https://service-{i}.shop.svc.cluster.local:8443"}
        for i in range(6)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"web-{number:05}",
            **({"ownerReferences": [_reference(owner)]} if owner is not None else {}),
            "labels": {
                "app.kubernetes.io/name": "web",
                "app.kubernetes.io/part-of": "shop",
                "app.kubernetes.io/version": "4.17.2",
                "pod-template-hash": "5d8c7f9b6c",
            },
            "annotations": {
                "lab.podmedic.io/message": message,
                "checksum/config": "8f0e3c1d5a7b" * 5,
                "prometheus.io/scrape": "true",
            },
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": "web",
                    "image": "registry.example.com/shop/web:4.17.2",
                    "args": ["serve", "--config=/etc/web/config.yaml"],
                    "env": environment,
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                    "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
                }
            ],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}],
        },
    }


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


@dataclass(frozen=True)
class Simulation:
    """Simulated nodes that are up; `message` is how an ephemeral container's word ends."""

    lab: Lab
    message: str

    @contextlib.contextmanager
    def pods(self, count: int) -> Iterator[str]:
        """A namespace with so many running pods; at the end they are gone."""
        with self.lab.namespace("bench") as namespace:
            try:
                asyncio.run(self._start(namespace, count))
                yield namespace
            finally:
                remove_pods(self.lab, namespace)

    async def _start(self, namespace: str, count: int) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        async with objects(self.lab) as api:
            owners = [
                await api.send(
                    "POST", f"/api/v1/namespaces/{namespace}/podtemplates", _owner(f"web-{number}")
                )
                for number in range(-(-count // _REPLICAS))
            ]

            async def create(number: int) -> None:
                owner = owners[number // _REPLICAS]
                pod = pod_manifest(number, self.message, f"bench-{number % NODES}", owner)
                await api.send("POST", path, pod)

            await api.for_each(range(count), create)
            running = f"{path}?resourceVersion=0&fieldSelector=status.phase%3DRunning"

            async def all_run() -> bool:
                return len((await api.send("GET", running))["items"]) == count

            await api.wait_until(f"{count} simulated pods to run", all_run, _RUNNING_SECONDS)
        await asyncio.sleep(_SETTLED_SECONDS)


def _need_kwok(lab: Lab) -> None:
    nodes = json.loads(lab.kubectl("get", "nodes", "-l", "type=kwok", "-o", "json"))["items"]
    if not nodes:
        raise VoidError(
            f"no kwok in lab {lab.layout.name}: python -m lab --name {lab.layout.name} up --kwok 1"
        )


async def _add_nodes(lab: Lab, port: int) -> None:
    async with objects(lab) as api:
        for number in range(NODES):
            node = _node(f"bench-{number}", lab.machine_address, port)
            await api.send("POST", "/api/v1/nodes", node)


async def _remove_nodes(lab: Lab) -> None:
    async def remove(api: Objects, number: int) -> None:
        # Those of a run that was killed are there; after an error of ours they may not be.
        with contextlib.suppress(VoidError):
            await api.send("DELETE", f"/api/v1/nodes/bench-{number}")

    async with objects(lab) as api:
        await asyncio.gather(*(remove(api, number) for number in range(NODES)))


@contextlib.contextmanager
def _log_endpoint(lab: Lab, recording: Recording) -> Iterator[int]:
    """The port at which the recording is served."""
    with tempfile.NamedTemporaryFile() as log:
        log.write(recording.log)
        log.flush()
        pki = lab.layout.pki
        files = (log.name, str(pki / "kwok.crt"), str(pki / "kwok.key"))
        command = [sys.executable, "-m", "bench.kubelet", *files, lab.machine_address]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            try:
                line = server.stdout.readline()
                if not line:
                    raise VoidError("the log endpoint does not start")
                yield int(line)
            finally:
                server.stdin.close()
                server.wait(timeout=30)


@contextlib.contextmanager
def simulation(lab: Lab, recording: Recording) -> Iterator[Simulation]:
    """Nodes whose containers all ran the recorded program. Raises VoidError without kwok."""
    _need_kwok(lab)
    with _log_endpoint(lab, recording) as port:
        asyncio.run(_remove_nodes(lab))
        try:
            asyncio.run(_add_nodes(lab, port))
            yield Simulation(lab, recording.message)
        finally:
            asyncio.run(_remove_nodes(lab))
