"""Reading container logs through the Kubernetes adapter, from a real kubelet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lab.handle import Lab
from runner.cluster import ClusterError, ErrorReason, Scope
from runner.kube import KubeCluster, connect
from tests.lab.kube import Follower, listed, pending_pods


@pytest_asyncio.fixture
async def kube(lab: Lab) -> AsyncIterator[KubeCluster]:
    async with await connect(kubeconfig=str(lab.kubeconfig)) as cluster:
        yield cluster


def run_pod(lab: Lab, namespace: str, name: str, script: str, image: str = "busybox:1.36") -> None:
    lab.images("busybox:1.36")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": image, "command": ["sh", "-c", script]}],
        },
    }
    lab.put(pod)


async def finished(kube: KubeCluster, namespace: str, name: str) -> None:
    scope = Scope(namespace=namespace)
    pods, version = await listed(kube, scope)
    if any(pod.metadata.name == name and pod.status.phase == "Succeeded" for pod in pods):
        return
    async with Follower(kube.watch_pods(scope, version)) as follower:
        await follower.until(
            lambda event: (
                event.pod is not None
                and event.pod.metadata.name == name
                and event.pod.status.phase == "Succeeded"
            ),
            timeout_seconds=60.0,
        )


async def log(kube: KubeCluster, namespace: str, pod: str, **more: Any) -> bytes:
    more = {"container": "app", "limit_bytes": 1 << 24, **more}
    chunks = [chunk async for chunk in kube.read_log(namespace, pod, **more)]
    return b"".join(chunks)


async def test_a_log_arrives_whole_or_as_much_as_is_asked_for(
    lab: Lab, kube: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes in chunks; the first bytes with limit_bytes, the last lines with tail_lines.
    A slow reader gets all of it, and little of it waits in memory."""
    run_pod(lab, namespace, "talker", "seq 1 100000; printf '\\001\\377end'; sleep 1")
    await finished(kube, namespace, "talker")
    whole = b"".join(b"%d\n" % number for number in range(1, 100001)) + b"\x01\xffend"

    assert await log(kube, namespace, "talker") == whole
    assert await log(kube, namespace, "talker", limit_bytes=1000) == whole[:1000]
    assert await log(kube, namespace, "talker", tail_lines=2) == b"100000\n\x01\xffend"
    assert dict(kube.requests_sent)["get", "200"] == 3

    monkeypatch.setattr("runner.kube.curl._UNREAD_LIMIT", 32 * 1024)
    slowly, longest = b"", 0
    async for chunk in kube.read_log(namespace, "talker", "app", limit_bytes=1 << 24):
        slowly += chunk
        longest = max(longest, len(chunk))
        await asyncio.sleep(0.02)
    assert slowly == whole
    assert longest < 64 * 1024


async def test_the_first_chunk_does_not_wait_for_the_last(
    lab: Lab, kube: KubeCluster, namespace: str
) -> None:
    """Whoever stops reading early leaves nothing behind that a later request trips over."""
    run_pod(lab, namespace, "talker", "seq 1 100000; sleep 1")
    await finished(kube, namespace, "talker")

    stream = kube.read_log(namespace, "talker", "app", limit_bytes=1 << 24)
    first = await anext(stream)
    await stream.aclose()

    assert first.startswith(b"1\n2\n")
    assert await log(kube, namespace, "talker", tail_lines=1) == b"100000\n"


async def test_logs_that_there_are_not(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """Not scheduled: empty. Not started: not ready. No such pod, no such container: said."""
    pending_pods(lab, namespace, "pending")
    run_pod(lab, namespace, "no-image", "true", image="no-such-image:1")
    scope = Scope(namespace=namespace)
    _, version = await listed(kube, scope)
    async with Follower(kube.watch_pods(scope, version)) as follower:
        await follower.until(
            lambda event: (
                event.pod is not None
                and any(status.state.waiting for status in event.pod.status.container_statuses)
            )
        )

    assert await log(kube, namespace, "pending") == b""
    reasons = {}
    cases: dict[str, dict[str, Any]] = {
        "no image": {"pod": "no-image"},
        "no pod": {"pod": "absent"},
        "no container": {"pod": "no-image", "container": "zzz"},
        "no previous": {"pod": "no-image", "previous": True},
    }
    for case, arguments in cases.items():
        with pytest.raises(ClusterError) as caught:
            await log(kube, namespace, **arguments)
        reasons[case] = caught.value.reason
    assert reasons == {
        "no image": ErrorReason.NOT_READY,
        "no pod": ErrorReason.GONE,
        "no container": ErrorReason.INVALID,
        "no previous": ErrorReason.NOT_READY,
    }
