"""What the API server's dry run cannot see is predicted from pods and nodes."""

from typing import Any

import msgspec
import pytest

from runner.cluster import ClusterError, ErrorReason
from runner.model.node import Node
from runner.model.pod import Pod
from runner.policy import DEFAULT
from runner.preflight import Verdict, has_image, memory_limit_bytes, notes, predict, too_tight
from runner.sweep.preflight import ask_server
from tests.unit.pods import NOW, ago, pod, replica, running, waiting
from tests.unit.turns import plan_of

BODY: dict[str, Any] = {"name": "podmedic-x-1", "image": "busybox:1.36"}
NEVER = BODY | {"imagePullPolicy": "Never"}
ROOT = BODY | {"securityContext": {"runAsUser": 0}}


def node(*images: str, ready: str = "True", system: str = "linux", **metadata: Any) -> Node:
    document = {
        "metadata": {"name": "node1", **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "KubeletStopped"}],
            "images": [{"names": [image]} for image in images],
            "nodeInfo": {"operatingSystem": system, "architecture": "amd64"},
        },
    }
    return msgspec.convert(document, Node)


def non_root() -> Pod:
    return pod(running(), spec={"securityContext": {"runAsNonRoot": True}})


@pytest.mark.parametrize(
    ("subject", "body", "where", "reason"),
    [
        (pod(running()), BODY, node(), ""),
        (pod(running()), BODY, None, ""),
        (pod(running()), BODY, node(ready="False"), "NodeNotReady"),
        (pod(running()), BODY, node(ready="Unknown"), "NodeNotReady"),
        (pod(running()), BODY, node(labels={"type": "virtual-kubelet"}), "VirtualNode"),
        (
            pod(running()),
            BODY,
            node(labels={"eks.amazonaws.com/compute-type": "fargate"}),
            "VirtualNode",
        ),
        (pod(running()), BODY, node(annotations={"kwok.x-k8s.io/node": "fake"}), "VirtualNode"),
        (pod(running()), BODY, node(system="windows"), "Windows"),
        (pod(running()), NEVER, node("redis:7"), "ErrImageNeverPull"),
        (pod(running()), NEVER, node("docker.io/library/busybox:1.36"), ""),
        (non_root(), ROOT, node(), "CreateContainerConfigError"),
        (non_root(), BODY, node(), ""),
    ],
)
def test_why_it_would_not_start(
    subject: Pod, body: dict[str, Any], where: Node | None, reason: str
) -> None:
    found = predict(subject, body, where)
    assert (found.reason if found else "") == reason
    assert found is None or found.verdict is Verdict.WILL_NOT_START


@pytest.mark.parametrize(
    ("image", "listed", "there"),
    [
        ("busybox", "docker.io/library/busybox:latest", True),
        ("busybox:1.36", "docker.io/library/busybox:1.36", True),
        ("acme/tools:1", "docker.io/acme/tools:1", True),
        ("ghcr.io/acme/tools:1", "ghcr.io/acme/tools:1", True),
        ("localhost:5000/tools", "localhost:5000/tools:latest", True),
        ("busybox:1.37", "docker.io/library/busybox:1.36", False),
    ],
)
def test_images_as_the_kubelet_spells_them(image: str, listed: str, there: bool) -> None:
    assert has_image(node(listed), image) is there


def test_a_kubelet_that_lists_fifty_images_may_have_more() -> None:
    assert has_image(node(*(f"i{n}" for n in range(50))), "busybox:1.36") is None


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([{"memory": "64Mi"}], 64 << 20),
        ([{"memory": "64Mi"}, {"memory": "1G"}], (64 << 20) + 10**9),
        ([{"memory": "64Mi"}, {}], None),
        ([{"memory": "a lot"}], None),
    ],
)
def test_what_the_containers_may_use_together(
    limits: list[dict[str, str]], expected: int | None
) -> None:
    containers = [
        {"name": f"app{n}", "resources": {"limits": each}} for n, each in enumerate(limits)
    ]
    assert memory_limit_bytes(pod(running(), spec={"containers": containers})) == expected


@pytest.mark.parametrize(
    ("inits", "whole", "expected"),
    [
        # A sidecar goes on beside the app, an init container ends before it.
        ([("32Mi", "Always")], "", 96 << 20),
        ([("32Mi", "")], "", 64 << 20),
        ([("32Mi", "Always"), ("100Mi", "")], "", 132 << 20),
        ([("", "")], "", None),
        ([("", "")], "80Mi", 80 << 20),
    ],
)
def test_the_limit_of_a_pod_that_initialises(
    inits: list[tuple[str, str]], whole: str, expected: int | None
) -> None:
    """As the kubelet reckons it."""

    def limited(memory: str) -> dict[str, Any]:
        return {"limits": {"memory": memory}} if memory else {}

    containers = [
        {"name": f"init{n}", "resources": limited(memory), "restartPolicy": policy}
        for n, (memory, policy) in enumerate(inits)
    ]
    apps = [{"name": "app", "resources": limited("64Mi")}]
    spec = {"containers": apps, "initContainers": containers, "resources": limited(whole)}
    assert memory_limit_bytes(pod(running(), spec=spec)) == expected


@pytest.mark.parametrize(
    ("limit", "used", "told"),
    [
        ("96Mi", 81, True),
        ("96Mi", 80, False),
        ("96Mi", None, False),
        ("", 4000, False),
    ],
)
def test_a_pod_without_room_for_a_container(limit: str, used: int | None, *, told: bool) -> None:
    limits = {"limits": {"memory": limit}} if limit else {}
    why = too_tight(pod(running(), container={"resources": limits}), used and used << 20, NOW)
    assert why == (
        f"the pod uses {used} of its 96 MiB of memory: a container that starts may take 16 MiB, "
        "and the kernel the app for that"
        if told
        else ""
    )


@pytest.mark.parametrize(
    ("limit", "lived_minutes", "lives_minutes", "reason", "told"),
    [
        # 96 MiB in an hour are 16 in ten minutes.
        ("96Mi", 60, 51, "OOMKilled", True),
        ("96Mi", 60, 49, "OOMKilled", False),
        ("96Mi", 60, 61, "OOMKilled", False),  # it has outlived that
        ("96Mi", 60, 51, "Error", False),
        ("96Mi", 9, 8.9, "OOMKilled", False),  # a crash loop
        ("", 60, 59, "OOMKilled", False),
    ],
)
def test_without_a_metrics_api_the_last_life_tells_how_long_there_is_room(
    limit: str, lived_minutes: int, lives_minutes: float, reason: str, *, told: bool
) -> None:
    ended = {
        "reason": reason,
        "startedAt": ago(minutes=lives_minutes + lived_minutes),
        "finishedAt": ago(minutes=lives_minutes),
    }
    limits = {"limits": {"memory": limit}} if limit else {}
    status = running(ago(minutes=lives_minutes), lastState={"terminated": ended})
    subject = pod(status, container={"resources": limits})
    assert too_tight(subject, None, NOW) == (
        f"container app ran out of memory {lived_minutes} min after its last start, and has run "
        f"for {lives_minutes} min now; how much it uses is not known: a container that starts may "
        "take 16 MiB, and the kernel the app for that"
        if told
        else ""
    )
    # The metrics API knows better.
    assert too_tight(subject, 20 << 20, NOW) == ""


def test_without_a_metrics_api_a_pod_with_little_memory_gets_nothing_while_its_app_runs() -> None:
    tiny = {"resources": {"limits": {"memory": "31Mi"}}}
    assert too_tight(pod(running(), container=tiny), None, NOW) == (
        "the pod has 31 MiB of memory, and how much it uses is not known: a container that starts "
        "may take 16 MiB, and the kernel the app for that"
    )
    assert too_tight(pod(running(), container=tiny), 10 << 20, NOW) == ""
    assert too_tight(pod(waiting("CrashLoopBackOff"), container=tiny), None, NOW) == ""


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (ErrorReason.ADMISSION, Verdict.REFUSED),
        (ErrorReason.DRY_RUN, Verdict.UNKNOWN),
        (ErrorReason.UNREACHABLE, Verdict.UNKNOWN),
    ],
)
async def test_what_could_not_be_asked_is_no_refusal(answer: ErrorReason, verdict: Verdict) -> None:
    """The two pods are of one kind: what the API server says of one holds for both."""
    plans = [plan_of(replica(name)) for name in ("web-5-a", "web-5-b")]

    class Server:
        async def add_ephemeral_container(self, *_: object, dry_run: bool) -> object:
            assert dry_run
            raise ClusterError(answer, 'pods "web-5-a" is forbidden: no')

    server: Any = Server()
    found = await ask_server(server, plans, DEFAULT, "r1")
    assert [(one.verdict, one.message) for one in found.values()] == [
        (verdict, "pods is forbidden: no")
    ]


def test_notes() -> None:
    tight = pod(running(), container={"resources": {"limits": {"memory": "64Mi"}}})
    assert list(notes(tight, BODY, node("redis:7"))) == [
        "image busybox:1.36 is not on node node1 yet: the kubelet pulls it first",
        "every container has a memory limit (64 MiB together): ours counts against it",
    ]
    assert list(notes(tight, BODY, None, 20 << 20)) == [
        "every container has a memory limit (64 MiB together, 20 in use): ours counts against it"
    ]
    assert list(notes(pod(running()), BODY, None)) == []
