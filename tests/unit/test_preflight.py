"""What the API server's dry run cannot see is predicted from pods and nodes."""

from typing import Any

import msgspec
import pytest

from runner.model.node import Node
from runner.model.pod import Pod
from runner.preflight import Verdict, has_image, memory_limit_bytes, notes, predict
from tests.unit.pods import pod, running

BODY: dict[str, Any] = {"name": "podmedic-x-1", "image": "busybox:1.36"}
NEVER = BODY | {"imagePullPolicy": "Never"}
ROOT = BODY | {"securityContext": {"runAsUser": 0}}


def node(*images: str, ready: str = "True", **metadata: Any) -> Node:
    document = {
        "metadata": {"name": "node1", **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "KubeletStopped"}],
            "images": [{"names": [image]} for image in images],
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


def test_notes() -> None:
    tight = pod(running(), container={"resources": {"limits": {"memory": "64Mi"}}})
    assert list(notes(tight, BODY, node("redis:7"))) == [
        "image busybox:1.36 is not on node node1 yet: the kubelet pulls it first",
        "every container has a memory limit (64 MiB together): ours counts against it",
    ]
    assert list(notes(pod(running()), BODY, None)) == []
