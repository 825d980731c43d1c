"""The Kubernetes adapter behind a proxy that shows it the faults of networks and API servers."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, Match, service_account_token
from runner.cluster import ClusterError, ErrorReason, PodEvent, Scope
from runner.kube import KubeCluster, connect
from runner.kube import cluster as cluster_module
from runner.kube.retry import RetryPolicy
from runner.kube.watch import WatchPolicy
from tests.lab.kube import (
    CONTAINER,
    Follower,
    listed,
    pending_pods,
    pods_of_a_new_kind,
    the_pod,
)

PATCHES = Match("PATCH", r".*/ephemeralcontainers")
WATCHES = Match("GET", r".*/pods", {"watch": "true"})


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        yield proxy


@pytest.fixture
def kubeconfig(lab: Lab, namespace: str, proxy: FaultProxy, tmp_path: Path) -> str:
    token = service_account_token(lab, namespace)
    return str(proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=namespace))


@pytest_asyncio.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeCluster]:
    async with await connect(
        kubeconfig=kubeconfig,
        retries=RetryPolicy(base_seconds=0.05, cap_seconds=0.2),
        watches=WatchPolicy(idle_seconds=2.0, base_seconds=0.2),
    ) as cluster:
        yield cluster


def name(event: PodEvent) -> str:
    return event.pod.metadata.name if event.pod else ""


def is_injected(event: PodEvent) -> bool:
    return event.pod is not None and event.pod.ephemeral_container("pm-1") is not None


async def test_a_lost_answer_does_not_inject_twice(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """The server applied the PATCH, the answer was lost: asked again, one container, no error."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")
    proxy.add(Fault.drop_response(method="PATCH", path=PATCHES.path or "", times=2))

    injected, _ = await kube.add_ephemeral_container(pod, CONTAINER)

    assert len(proxy.requests(PATCHES)) == 3
    assert injected.metadata.generation == pod.metadata.generation + 1
    assert [one.name for one in injected.spec.ephemeral_containers] == ["pm-1"]
    assert kube.requests_sent["patch", "error"] == 2
    assert kube.requests_sent["patch", "200"] == 1


async def test_a_storm_of_429_is_waited_out(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """Not earlier than Retry-After asks for, and without an error in the end."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")
    proxy.add(Fault.too_many_requests(method="PATCH", times=2, retry_after_seconds=1))

    started_at = time.monotonic()
    await kube.add_ephemeral_container(pod, CONTAINER)

    assert time.monotonic() - started_at >= 2.0
    assert len(proxy.requests(PATCHES)) == 3


async def test_throttled_for_ever(kube: KubeCluster, proxy: FaultProxy, namespace: str) -> None:
    """After five attempts the caller is told."""
    proxy.add(Fault.too_many_requests(times=None, retry_after_seconds=0))

    with pytest.raises(ClusterError) as caught:
        await listed(kube, Scope(namespace=namespace))

    assert caught.value.reason is ErrorReason.THROTTLED
    assert caught.value.message == (
        f"the API server has too many requests (list pods in namespace {namespace}): "
        "Too many requests, please try again later."
    )
    assert len(proxy.requests()) == 5


@pytest.mark.parametrize("code", [500, 503])
async def test_an_api_server_that_fails_for_a_while(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str, code: int
) -> None:
    """Four failures are repeated, a fifth is final."""
    pending_pods(lab, namespace, "web")
    for_a_while = Fault.status(code, "InternalError", "etcdserver: leader changed", times=4)
    proxy.add(for_a_while)

    pods, _ = await listed(kube, Scope(namespace=namespace))
    assert [pod.metadata.name for pod in pods] == ["web"]

    proxy.clear()
    proxy.add(Fault.status(code, "InternalError", "etcdserver: leader changed", times=5))
    with pytest.raises(ClusterError) as caught:
        await listed(kube, Scope(namespace=namespace))
    assert caught.value.reason is ErrorReason.SERVER
    assert caught.value.status == code
    assert caught.value.message == (
        f"the API server failed (list pods in namespace {namespace}): etcdserver: leader changed"
    )


async def test_an_answer_that_breaks_off(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """Half a list is no list."""
    pending_pods(lab, namespace, "web")
    cut = Fault.cut(path=r".*/pods", after_bytes=300, times=2)
    proxy.add(cut)

    pods, _ = await listed(kube, Scope(namespace=namespace))

    assert [pod.metadata.name for pod in pods] == ["web"]
    assert len(proxy.struck(cut)) == 2


async def test_a_list_that_expires_starts_again(
    lab: Lab,
    kube: KubeCluster,
    proxy: FaultProxy,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """410 on `continue`: from the top, but not for ever."""
    monkeypatch.setattr(cluster_module, "PAGE_SIZE", 1)
    pending_pods(lab, namespace, "a", "b")
    once = Fault.expired_continue(path=r".*/pods")
    proxy.add(once)

    pods, _ = await listed(kube, Scope(namespace=namespace))
    assert [pod.metadata.name for pod in pods] == ["a", "a", "b"]

    proxy.add(Fault.expired_continue(path=r".*/pods", times=None))
    with pytest.raises(ClusterError) as caught:
        await listed(kube, Scope(namespace=namespace))
    assert caught.value.reason is ErrorReason.EXPIRED
    assert len(proxy.struck(once)) == 1


async def test_a_watch_that_is_cut_every_second(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """Nothing is missed, nothing comes twice, and a new one starts at most once a second."""
    scope = Scope(namespace=namespace)
    _, version = await listed(kube, scope)
    proxy.add(Fault.cut(after_seconds=0.9, times=None, path=r".*/pods", query={"watch": "true"}))

    started_at = time.monotonic()
    async with Follower(kube.watch_pods(scope, version)) as follower:
        for number in range(5):
            await asyncio.to_thread(pending_pods, lab, namespace, f"p{number}")
            await asyncio.sleep(0.5)
        await follower.until(lambda event: name(event) == "p4")
        elapsed = time.monotonic() - started_at
        starts = len(proxy.requests(WATCHES))
        first_seen = list(dict.fromkeys(map(name, follower.seen)))

    assert first_seen == ["p0", "p1", "p2", "p3", "p4"]
    versions = [event.pod.metadata.resource_version for event in follower.seen if event.pod]
    assert len(versions) == len(set(versions))
    assert 2 <= starts <= elapsed + 1


@pytest.mark.parametrize("how", ["start", "event"])
async def test_a_watch_that_expired(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str, how: str
) -> None:
    """Every pod is given again, then one `sync` with all uids; changes go on after that."""
    pending_pods(lab, namespace, "a", "b")
    scope = Scope(namespace=namespace)
    pods, version = await listed(kube, scope)
    fault = Fault.expired_watch if how == "start" else Fault.expired_event
    proxy.add(fault(path=r".*/pods"))

    async with Follower(kube.watch_pods(scope, version)) as follower:
        await follower.until(lambda event: event.type == "sync")
        await kube.add_ephemeral_container(pods[0], CONTAINER)
        await follower.until(is_injected)

    assert [(event.type, name(event)) for event in follower.seen[:3]] == [
        ("modified", "a"),
        ("modified", "b"),
        ("sync", ""),
    ]
    assert follower.seen[2].uids == {pod.metadata.uid for pod in pods}
    assert [event.type for event in follower.seen].count("sync") == 1


async def test_a_real_expiry(
    lab: Lab, kube: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server's own words for a version from long ago. It still knows every version of the
    pods of a lab that is young; of a kind that was defined just now it never knew an older one."""
    with pods_of_a_new_kind(lab, namespace, "a") as path:
        monkeypatch.setattr(cluster_module, "_path", lambda *_: path)
        async with Follower(kube.watch_pods(Scope(namespace=namespace), "1")) as follower:
            sync = await follower.until(lambda event: event.type == "sync")

    assert [(event.type, name(event)) for event in follower.seen] == [
        ("modified", "a"),
        ("sync", ""),
    ]
    assert len(sync.uids) == 1


async def test_a_watch_that_expires_again_and_again(
    kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """Relisting slows down: no loop of lists and watches."""
    proxy.add(Fault.expired_watch(path=r".*/pods", times=None))

    async with Follower(kube.watch_pods(Scope(namespace=namespace), "1")):
        await asyncio.sleep(6.0)

    assert 2 <= len(proxy.requests(WATCHES)) <= 8


async def test_a_half_open_watch_is_noticed(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """Silence for longer than bookmarks are apart: a new watch, from the last version."""
    pending_pods(lab, namespace, "a")
    scope = Scope(namespace=namespace)
    pods, version = await listed(kube, scope)
    proxy.add(Fault.half_open(after_seconds=0.1, path=r".*/pods", query={"watch": "true"}))

    async with Follower(kube.watch_pods(scope, version)) as follower:
        await asyncio.to_thread(proxy.wait_for, WATCHES)
        await asyncio.sleep(0.5)
        await kube.add_ephemeral_container(pods[0], CONTAINER)
        await follower.until(is_injected)

    assert [(event.type, name(event)) for event in follower.seen] == [("modified", "a")]
    assert len(proxy.requests(WATCHES)) >= 2


@pytest.mark.parametrize("kind", ["503", "429", "drop"])
async def test_a_watch_that_cannot_start_does_not_hammer(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str, kind: str
) -> None:
    """At most one request a second meanwhile, and it goes on when the way is free."""
    pending_pods(lab, namespace, "a")
    scope = Scope(namespace=namespace)
    pods, version = await listed(kube, scope)
    sent = sum(kube.requests_sent.values())
    faults = {
        "503": Fault.status(503, "ServiceUnavailable", "apiserver is shutting down", times=None),
        "429": Fault.too_many_requests(times=None, retry_after_seconds=0),
        "drop": Fault.drop_request(times=None),
    }
    proxy.add(faults[kind])

    async with Follower(kube.watch_pods(scope, version)) as follower:
        await asyncio.sleep(3.0)
        tried = len(proxy.requests(WATCHES))
        counted = sum(kube.requests_sent.values()) - sent
        proxy.clear()
        await kube.add_ephemeral_container(pods[0], CONTAINER)
        await follower.until(is_injected)

    assert 1 <= tried <= 4
    assert tried == counted


def talk(lab: Lab, namespace: str) -> None:
    """A pod that wrote half a megabyte and ended; a moment later, or the end may be lost."""
    lab.images("busybox:1.36")
    lab.kubectl(
        *("run", "talker", "-n", namespace, "--image=busybox:1.36", "--restart=Never"),
        *("--", "sh", "-c", "seq 1 100000; sleep 1"),
    )
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    lab.kubectl("wait", "-n", namespace, "pod/talker", ended, "--timeout=180s")


async def test_a_log_that_breaks_off(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """What came is given, then the break is said: the rest is not made up."""
    talk(lab, namespace)
    proxy.add(Fault.cut(path=r".*/log", after_bytes=50_000))
    received = b""

    with pytest.raises(ClusterError) as caught:
        async for chunk in kube.read_log(namespace, "talker", "talker", limit_bytes=1 << 24):
            received += chunk

    assert caught.value.reason is ErrorReason.UNREACHABLE
    assert "the connection was cut before the answer was complete" in caught.value.message
    assert 0 < len(received) <= 50_000
    assert received.startswith(b"1\n2\n")


async def test_a_log_that_stands_still(
    lab: Lab, kube: KubeCluster, proxy: FaultProxy, namespace: str
) -> None:
    """The time-out is for all of it, however much came before."""
    talk(lab, namespace)
    proxy.add(Fault.half_open(path=r".*/log", after_bytes=50_000))

    with pytest.raises(ClusterError) as caught:
        async for _ in kube.read_log(
            namespace, "talker", "talker", limit_bytes=1 << 24, timeout_seconds=1.0
        ):
            pass

    assert caught.value.reason is ErrorReason.UNREACHABLE
    assert "time-out: no answer within 1 s" in caught.value.message


async def test_a_storm_is_not_made_worse(
    kubeconfig: str, proxy: FaultProxy, namespace: str
) -> None:
    """Two hundred requests that all fail are told so in time, with a fifth more requests at
    most; after the storm everything works."""
    proxy.add(Fault.status(503, "ServiceUnavailable", "overloaded", times=None))
    async with await connect(
        kubeconfig=kubeconfig, qps=0, retries=RetryPolicy(base_seconds=0.1, total_seconds=3.0)
    ) as kube:
        scope, started_at = Scope(namespace=namespace), time.monotonic()
        results = await asyncio.gather(
            *(listed(kube, scope) for _ in range(200)), return_exceptions=True
        )
        sent = kube.requests_sent["list", "503"]
        elapsed = time.monotonic() - started_at
        proxy.clear()
        pods, _ = await listed(kube, scope)

    assert pods == []
    assert {type(result) for result in results} == {ClusterError}
    assert {result.reason for result in results if isinstance(result, ClusterError)} == {
        ErrorReason.SERVER
    }
    assert 200 <= sent <= 200 + 10 + 200 * 0.1 + elapsed * 5


async def test_an_api_server_that_restarts(
    lab: Lab, kubeconfig: str, proxy: FaultProxy, namespace: str
) -> None:
    """Connections dropped for some seconds: longer than answers of 5xx are borne."""
    async with await connect(
        kubeconfig=kubeconfig, retries=RetryPolicy(base_seconds=0.5, cap_seconds=1.0)
    ) as kube:
        await listed(kube, Scope(namespace=namespace))
        proxy.add(Fault.drop_request(times=None))
        asking = asyncio.create_task(listed(kube, Scope(namespace=namespace)))
        await asyncio.sleep(2.0)
        proxy.clear()
        pods, _ = await asking

    assert pods == []
