"""What the tests of the Kubernetes adapter share: pods that never start, and watches awaited."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Self, TypeVar

from lab.handle import Lab
from runner.cluster import Cluster, Scope
from runner.model.pod import Pod
from tests.lab.waiting import until

T = TypeVar("T")

CONTAINER: dict[str, Any] = {
    "name": "pm-1",
    "image": "busybox:1.36",
    "command": ["sh", "-c", "true"],
    "env": [
        {"name": "EMPTY", "value": ""},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}


def pending_pods(lab: Lab, namespace: str, *names: str) -> None:
    """Pods that no node takes: all the API of a pod, and no kubelet that changes them."""
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {
                "nodeSelector": {"no-such": "node"},
                "containers": [{"name": "app", "image": "busybox:1.36"}],
            },
        }
        for name in names
    ]
    lab.put(*pods)


@contextmanager
def pods_of_a_new_kind(lab: Lab, namespace: str, *names: str) -> Iterator[str]:
    """Custom resources that have what a pod has to have; their path."""
    group, client = f"{namespace}.example.com", lab.client()
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"newpods.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "newpods", "singular": "newpod", "kind": "NewPod"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = f"/apis/{group}/v1/namespaces/{namespace}/newpods"
    client.apply(f"{definitions}/newpods.{group}", json.dumps(definition))
    try:
        # "Established" comes a moment before it is served.
        until(lambda: client.exists(path), f"{path} is not served", every_seconds=0.1)
        for name in names:
            pod = {
                "apiVersion": f"{group}/v1",
                "kind": "NewPod",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"containers": [{"name": "app", "image": "busybox:1.36"}]},
            }
            client.apply(f"{path}/{name}", json.dumps(pod))
        yield path
    finally:
        client.delete(f"{definitions}/newpods.{group}")


async def listed(cluster: Cluster, scope: Scope) -> tuple[list[Pod], str]:
    """All pods, and the version to watch from."""
    pods: list[Pod] = []
    latest = ""
    async for page, version in cluster.list_pods(scope):
        latest = version
        pods.extend(page)
    return pods, latest


async def the_pod(cluster: Cluster, namespace: str, name: str) -> Pod:
    scope = Scope(namespace=namespace, field_selector=f"metadata.name={name}")
    (pod,) = (await listed(cluster, scope))[0]
    return pod


class Follower(Generic[T]):
    """Reads a watch in a task of its own."""

    def __init__(self, stream: AsyncIterator[T]) -> None:
        self.seen: list[T] = []
        self._stream = stream
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for item in self._stream:
                self.seen.append(item)
                self._changed.set()
        finally:
            self._changed.set()

    async def until(self, wanted: Callable[[T], bool], timeout_seconds: float = 20.0) -> T:
        """The first thing seen that is wanted; raises what ended the watch, or TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                for item in self.seen:
                    if wanted(item):
                        return item
                if self._task.done():
                    self._task.result()
                    raise AssertionError("the watch ended")
                self._changed.clear()
                await self._changed.wait()
