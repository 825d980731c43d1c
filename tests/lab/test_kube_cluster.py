"""The Kubernetes adapter on a real API server: what it does when nothing is wrong with the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from lab.handle import Lab
from runner.cluster import Access, Cluster, ClusterError, ErrorReason, PodEvent, Scope
from runner.kube import KubeCluster, connect
from runner.kube import cluster as cluster_module
from runner.kube.watch import WatchPolicy
from runner.model.pod import Event, Pod
from tests.lab.kube import CONTAINER, Follower, listed, pending_pods, the_pod


@pytest_asyncio.fixture
async def kube(lab: Lab) -> AsyncIterator[KubeCluster]:
    async with await connect(kubeconfig=str(lab.kubeconfig)) as cluster:
        yield cluster


async def error_of(call: Any) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        await call
    assert caught.value.message.isprintable()
    return caught.value


def renamed(pod: Pod, **metadata: str) -> Pod:
    changed = msgspec.structs.replace(pod.metadata, **metadata)
    return msgspec.structs.replace(pod, metadata=changed)


def stored_names(lab: Lab, namespace: str, pod: str) -> list[str]:
    """The ephemeral containers of a pod as the API server has them."""
    spec = json.loads(lab.kubectl("get", "pod", pod, "-n", namespace, "-o", "json"))["spec"]
    return [container["name"] for container in spec.get("ephemeralContainers", [])]


def test_it_is_the_port(lab: Lab) -> None:
    """A KubeCluster is a Cluster, for mypy."""

    def accept(cluster: KubeCluster) -> Cluster:
        return cluster

    assert accept is not None


async def test_pods_come_in_pages(
    lab: Lab, kube: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pod once, all pages of one version; a label selector is left to the server."""
    monkeypatch.setattr(cluster_module, "PAGE_SIZE", 2)
    pending_pods(lab, namespace, "a", "b", "c", "d", "e")
    scope = Scope(namespace=namespace)

    pages = [(page, version) async for page, version in kube.list_pods(scope)]

    assert [[pod.metadata.name for pod in page] for page, _ in pages] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert len({version for _, version in pages}) == 1
    selected, _ = await listed(kube, Scope(namespace=namespace, label_selector="app in (b, e)"))
    assert [pod.metadata.name for pod in selected] == ["b", "e"]
    assert selected[0].spec.containers[0].image == "busybox:1.36"
    assert dict(kube.requests_sent) == {("list", "200"): 4}


async def test_a_namespace_that_is_not_there_has_no_pods(kube: KubeCluster) -> None:
    """The server says so too; odd names are quoted, not followed."""
    assert (await listed(kube, Scope(namespace="no-such")))[0] == []
    error = await error_of(listed(kube, Scope(namespace="../../nodes")))
    assert error.reason is ErrorReason.INVALID


async def test_a_bad_selector_is_said(kube: KubeCluster, namespace: str) -> None:
    """In the server's words."""
    error = await error_of(listed(kube, Scope(namespace=namespace, label_selector="a in b")))

    assert error.reason is ErrorReason.INVALID
    assert error.status == 400
    assert error.message.startswith(f"cannot list pods in namespace {namespace}: ")
    assert "unable to parse requirement" in error.message


async def test_a_container_is_added_once(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """The same again changes nothing, not even the generation; others' containers stay."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")

    first, warnings = await kube.add_ephemeral_container(pod, CONTAINER)
    again, _ = await kube.add_ephemeral_container(pod, CONTAINER)
    other, _ = await kube.add_ephemeral_container(pod, {**CONTAINER, "name": "pm-2"})

    assert warnings == []
    assert first.metadata.generation == pod.metadata.generation + 1
    assert again == first
    assert first.ephemeral_container("pm-1") is not None
    assert [container.name for container in other.spec.ephemeral_containers] == ["pm-2", "pm-1"]
    assert sorted(stored_names(lab, namespace, "web")) == ["pm-1", "pm-2"]


async def test_of_two_who_saw_the_same_pod_one_adds_to_it(
    kube: KubeCluster, namespace: str, lab: Lab
) -> None:
    """`if_unchanged`: what another has added since is a conflict, and so is our own whose answer was
    lost; what is written beside it is none, where the pod has a generation."""
    pending_pods(lab, namespace, "web", "other")
    pod = await the_pod(kube, namespace, "web")
    ungenerated = msgspec.structs.replace(
        pod, metadata=msgspec.structs.replace(pod.metadata, generation=0)
    )
    lab.kubectl("annotate", "pod", "web", "-n", namespace, "x=y")
    older = kube.add_ephemeral_container(ungenerated, CONTAINER, if_unchanged=True)
    assert (await error_of(older)).reason is ErrorReason.CONFLICT
    wrong = kube.add_ephemeral_container(pod, {**CONTAINER, "name": "app"}, if_unchanged=True)
    assert (await error_of(wrong)).reason is ErrorReason.NAME_TAKEN
    both = [
        kube.add_ephemeral_container(pod, {**CONTAINER, "name": name}, if_unchanged=True)
        for name in ("pm-1", "pm-2")
    ]

    answers = await asyncio.gather(*both, return_exceptions=True)

    (refused,) = [answer for answer in answers if isinstance(answer, ClusterError)]
    ((patched, _),) = [answer for answer in answers if isinstance(answer, tuple)]
    assert refused.reason is ErrorReason.CONFLICT
    (name,) = stored_names(lab, namespace, "web")
    again = kube.add_ephemeral_container(pod, {**CONTAINER, "name": name}, if_unchanged=True)
    assert (await error_of(again)).reason is ErrorReason.CONFLICT
    await kube.add_ephemeral_container(patched, {**CONTAINER, "name": "pm-3"}, if_unchanged=True)
    assert stored_names(lab, namespace, "web") == ["pm-3", name]
    # A namesake says first that it has changed, and by its uid when asked without that.
    other = await the_pod(kube, namespace, "other")
    namesake = renamed(other, name="web")
    conflict = kube.add_ephemeral_container(namesake, CONTAINER, if_unchanged=True)
    assert (await error_of(conflict)).reason is ErrorReason.CONFLICT
    replaced = kube.add_ephemeral_container(namesake, CONTAINER)
    assert (await error_of(replaced)).reason is ErrorReason.REPLACED


async def test_a_dry_run_changes_nothing(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """The server checks everything and stores nothing: no event on a watch."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")

    answer, _ = await kube.add_ephemeral_container(pod, CONTAINER, dry_run=True)

    assert answer.ephemeral_container("pm-1") is not None
    assert await the_pod(kube, namespace, "web") == pod


@pytest.mark.parametrize(
    ("container", "status"),
    [
        ({**CONTAINER, "command": ["sh"]}, 422),
        ({"name": "pm-1"}, 200),
        ({key: value for key, value in CONTAINER.items() if key != "env"}, 200),
        ({**CONTAINER, "name": "app"}, 422),
    ],
)
async def test_a_name_that_is_taken(
    lab: Lab, kube: KubeCluster, namespace: str, container: dict[str, Any], status: int
) -> None:
    """Also where the server says 200 because our patch holds less than what is there."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")
    await kube.add_ephemeral_container(pod, CONTAINER)

    error = await error_of(kube.add_ephemeral_container(pod, container))

    assert (error.reason, error.status) == (ErrorReason.NAME_TAKEN, status)


async def test_s05_s25_pods_that_are_not_what_they_were(
    lab: Lab, kube: KubeCluster, namespace: str
) -> None:
    """Gone, replaced by another of the same name, static: each its own reason."""
    pending_pods(lab, namespace, "web", "mirror")
    pod, mirror = await the_pod(kube, namespace, "web"), await the_pod(kube, namespace, "mirror")
    lab.kubectl("annotate", "pod", "web", "-n", namespace, "x=y")
    static = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "static",
            "namespace": namespace,
            "annotations": {"kubernetes.io/config.mirror": "x"},
        },
        "spec": {
            "nodeName": "no-such-node",
            "containers": [{"name": "app", "image": "busybox:1.36"}],
        },
    }
    lab.put(static)

    reasons = [
        (await error_of(kube.add_ephemeral_container(asked, CONTAINER))).reason
        for asked in (
            renamed(pod, name="absent"),
            renamed(pod, uid=mirror.metadata.uid),
            await the_pod(kube, namespace, "static"),
        )
    ]

    assert reasons == [ErrorReason.GONE, ErrorReason.REPLACED, ErrorReason.STATIC_POD]
    assert stored_names(lab, namespace, "web") == []


async def test_an_unknown_field_is_refused(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """A misspelt field would be dropped in silence otherwise."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")

    error = await error_of(kube.add_ephemeral_container(pod, {**CONTAINER, "comand": ["x"]}))

    assert error.reason is ErrorReason.INVALID
    assert error.message.endswith('unknown field "spec.ephemeralContainers[0].comand"')


async def test_pod_security_refuses_and_warns(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """Level enforced: its own reason, naming what is wrong. Level warned of: as a warning."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")
    root = {**CONTAINER, "securityContext": {"privileged": True}}
    label = "pod-security.kubernetes.io"

    lab.kubectl("label", "namespace", namespace, f"{label}/warn=baseline")
    _, warnings = await kube.add_ephemeral_container(pod, root, dry_run=True)
    lab.kubectl("label", "namespace", namespace, f"{label}/enforce=baseline")
    error = await error_of(kube.add_ephemeral_container(pod, root))

    assert warnings == [
        (
            'would violate PodSecurity "baseline:latest": privileged (container "pm-1" must not '
            "set securityContext.privileged=true)"
        )
    ]
    assert error.reason is ErrorReason.POD_SECURITY
    assert 'privileged (container "pm-1" must not set' in error.message
    assert stored_names(lab, namespace, "web") == []


async def test_without_permission(lab: Lab, namespace: str) -> None:
    """Verb, resource and namespace are named; nothing is injected."""
    pending_pods(lab, namespace, "web")
    config = str(lab.kubeconfig)
    async with await connect(kubeconfig=config) as admin:
        pod = await the_pod(admin, namespace, "web")
    async with await connect(kubeconfig=config, impersonate="nobody") as nobody:
        questions = [
            Access(verb="list", resource="pods", namespace=namespace),
            Access(verb="patch", resource="pods/ephemeralcontainers", namespace=None),
        ]
        denied = await nobody.denied(questions)
        patched = await error_of(nobody.add_ephemeral_container(pod, CONTAINER))
        watched = await error_of(anext(aiter(nobody.watch_pods(Scope(namespace=None), "1"))))

    assert denied == questions
    assert patched.reason is ErrorReason.FORBIDDEN
    assert patched.message == (
        f"not allowed to patch pods/ephemeralcontainers in namespace {namespace}: "
        'pods "web" is forbidden: User "nobody" cannot patch resource '
        f'"pods/ephemeralcontainers" in API group "" in the namespace "{namespace}"'
    )
    assert watched.reason is ErrorReason.FORBIDDEN
    assert watched.message.startswith("not allowed to watch pods in all namespaces: ")
    assert stored_names(lab, namespace, "web") == []


async def test_with_permission_nothing_is_denied(kube: KubeCluster) -> None:
    """Questions that are answered with yes are left out."""
    questions = [
        Access(verb="list", resource="pods", namespace=None),
        Access(verb="get", resource="pods/log", namespace="default"),
        Access(verb="create", resource="jobs", namespace="default", group="batch"),
    ]

    assert await kube.denied(questions) == []


async def test_pods_are_watched(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """What changes after the list: new, changed and deleted pods, and no others."""
    pending_pods(lab, namespace, "a")
    scope = Scope(namespace=namespace)
    _, version = await listed(kube, scope)

    async with Follower(kube.watch_pods(scope, version)) as follower:
        pending_pods(lab, namespace, "b")
        pod = await the_pod(kube, namespace, "b")
        await kube.add_ephemeral_container(pod, CONTAINER)
        lab.kubectl("delete", "pod", "a", "-n", namespace, "--grace-period=0", "--force")
        await follower.until(lambda event: event.type == "deleted")
        injected = await follower.until(
            lambda event: (
                event.pod is not None and event.pod.ephemeral_container("pm-1") is not None
            )
        )

    def name(event: PodEvent) -> str:
        return event.pod.metadata.name if event.pod else ""

    assert (injected.type, name(injected)) == ("modified", "b")
    assert {(event.type, name(event)) for event in follower.seen} >= {
        ("modified", "b"),
        ("deleted", "a"),
    }
    assert all(event.type != "sync" for event in follower.seen)
    assert kube.requests_sent["watch", "200"] == 1


async def test_watches_of_many_namespaces_leave_room(kube: KubeCluster, namespace: str) -> None:
    """Each keeps a connection for itself; a request needs none of those."""
    many = 70
    async with AsyncExitStack() as stack:
        for number in range(many):
            scope = Scope(namespace=f"{namespace}-{number}")
            await stack.enter_async_context(Follower(kube.watch_pods(scope, "")))
        async with asyncio.timeout(30):
            while kube.requests_sent.get(("watch", "200"), 0) < many:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

            assert (await listed(kube, Scope(namespace=namespace)))[0] == []


async def test_events_are_listed_and_watched(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """By the field path of a container, as the API server can select them."""
    before, version = await kube.list_events(namespace)
    lab.put(event_of(namespace, "one", "spec.ephemeralContainers{pm-1}"))
    lab.put(event_of(namespace, "two", "spec.containers{app}"))
    selector = "involvedObject.fieldPath=spec.ephemeralContainers{pm-1}"

    async with Follower(kube.watch_events(namespace, version)) as follower:
        await follower.until(lambda event: event.metadata.name == "two")
        watched = follower.seen[0]
    events, _ = await kube.list_events(namespace, selector)

    assert before == []
    assert [event.metadata.name for event in events] == ["one"]
    assert events == [watched]
    assert isinstance(watched, Event)
    assert (watched.reason, watched.message, watched.count) == ("Failed", "no such image", 3)


async def test_a_quiet_watch_of_events(lab: Lab, namespace: str) -> None:
    """The API server sends no bookmarks for events: silence alone does not make a dead stream."""
    watches = WatchPolicy(idle_seconds=3.0)
    async with await connect(kubeconfig=str(lab.kubeconfig), watches=watches) as kube:
        _, version = await kube.list_events(namespace)
        async with Follower(kube.watch_events(namespace, version)) as follower:
            await asyncio.sleep(7.0)
            lab.put(event_of(namespace, "late", "spec.containers{app}"))
            await follower.until(lambda event: event.metadata.name == "late", 5.0)

    assert len(follower.seen) == 1
    assert 3 <= kube.requests_sent["watch", "200"] <= 8
    assert set(kube.requests_sent) == {("list", "200"), ("watch", "200")}


async def test_a_pod_of_a_megabyte(lab: Lab, kube: KubeCluster, namespace: str) -> None:
    """As large as the API server takes it: listed, patched and watched whole."""
    pending_pods(lab, namespace, "web")
    pod = await the_pod(kube, namespace, "web")
    large = {**CONTAINER, "env": [{"name": "LARGE", "value": "x" * 1_000_000}]}
    scope = Scope(namespace=namespace)
    _, version = await listed(kube, scope)

    async with Follower(kube.watch_pods(scope, version)) as follower:
        await kube.add_ephemeral_container(pod, large)
        event = await follower.until(lambda event: event.type == "modified")

    assert event.pod is not None
    container = event.pod.ephemeral_container("pm-1")
    assert container is not None
    assert container.env[0].value == "x" * 1_000_000
    assert await the_pod(kube, namespace, "web") == event.pod


def event_of(namespace: str, name: str, field_path: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "kind": "Pod",
            "namespace": namespace,
            "name": "web",
            "fieldPath": field_path,
        },
        "type": "Warning",
        "reason": "Failed",
        "message": "no such image",
        "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": None,
        "eventTime": None,
    }


async def test_every_request_is_counted_and_says_who_it_is(
    lab: Lab, kube: KubeCluster, namespace: str
) -> None:
    """The API server's audit log has the same numbers as we."""
    pending_pods(lab, namespace, "web")
    offset = lab.audit_offset()
    pod = await the_pod(kube, namespace, "web")
    await kube.add_ephemeral_container(pod, CONTAINER)
    await error_of(kube.add_ephemeral_container(renamed(pod, name="absent"), CONTAINER))
    await kube.denied([Access(verb="list", resource="pods", namespace=None)])

    seen: dict[tuple[str, str], int] = {}
    for request in lab.requests(offset, user_agent="podmedic/"):
        key = request["verb"], str(request["responseStatus"]["code"])
        seen[key] = seen.get(key, 0) + 1

    assert dict(kube.requests_sent) == seen
    assert seen == {
        ("list", "200"): 1,
        ("patch", "200"): 1,
        ("patch", "404"): 1,
        ("create", "201"): 1,
    }
