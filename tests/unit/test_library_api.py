"""The playbooks that judge from the API alone, where nothing is injected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from runner.model.changes import Difference
from runner.model.examination import Examination
from runner.model.pod import ContainerState, ObjectMeta, PodCondition
from runner.playbook import builtin, resolve
from tests.unit.examinations import (
    STARTED,
    event,
    examination,
    exited,
    findings_of,
    running,
    step,
    waiting,
)

IMAGE = Difference(path="containers[app].image", before="web:1", after="web:2")
PULL = waiting("ImagePullBackOff", 'Back-off pulling image "web:2"')


def said(playbook: str, one: Examination, now: datetime | None = None) -> list[tuple[str, str]]:
    found = findings_of(resolve(playbook), one, now)
    return [(each.rule, each.message) for each in found]


def test_the_image_before_is_told_beside_the_cause() -> None:
    one = examination(state=PULL, changes=[IMAGE], events=[event("Failed", "not found")])
    assert [rule for rule, _ in said("image-pull", one)] == ["image-not-found", "image-changed"]
    assert said("image-pull", one)[1][1] == (
        "Before its pod template changed, container app of Deployment web had image web:1."
    )
    assert said("image-pull", examination(state=running(), changes=[IMAGE], ready=True)) == []


def test_the_name_of_an_image_is_no_reason() -> None:
    for name in ("vault-credentials", "certificate-manager"):
        message = f'failed to pull and unpack image "reg.io/{name}:v9": reg.io/{name}:v9: not found'
        one = examination(state=waiting("ErrImagePull", message))
        assert [rule for rule, _ in said("image-pull", one)] == ["image-not-found"]


def unscheduled(age_seconds: int, node: str = "", **more: Any) -> tuple[Examination, datetime]:
    one = examination(state=ContainerState(), restarts=0, phase="Pending", **more)
    now = datetime(2026, 11, 28, tzinfo=UTC)
    born = ObjectMeta(
        name="web-1", namespace="shop", creation_timestamp=now - timedelta(seconds=age_seconds)
    )
    pod = msgspec.structs.replace(
        one.pod, metadata=born, spec=msgspec.structs.replace(one.pod.spec, node_name=node)
    )
    return msgspec.structs.replace(one, pod=pod), now


def test_a_pod_that_no_scheduler_looks_at() -> None:
    assert said("pending", *unscheduled(45)) == [
        ("no-scheduler",
         "The pod has waited 45 s for a node, and no scheduler has said anything of it."),
    ]  # fmt: skip
    assert said("pending", *unscheduled(29)) == []
    named = unscheduled(45, pod_spec={"scheduler_name": "gang-scheduler"})
    assert said("pending", *named) == [
        ("no-scheduler",
         "The pod has waited 45 s for a node, and the scheduler gang-scheduler that its schedulerName names has not said anything of it."),
    ]  # fmt: skip


def test_a_pod_that_no_kubelet_takes() -> None:
    assert said("pending", *unscheduled(31, node="node-17")) == [
        ("no-kubelet",
         "The pod is for node node-17, and no kubelet has said anything of it: there is no such node, or its kubelet does not run."),
    ]  # fmt: skip
    assert said("pending", *unscheduled(25, node="node-17")) == []
    speaks = [event("SysctlForbidden", "forbidden sysctl", container="")]
    assert said("pending", *unscheduled(31, node="node-17", events=speaks)) == []
    taken = [PodCondition(type="Initialized", status="True")]
    assert said("pending", *unscheduled(31, node="node-17", pod_conditions=taken)) == []


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"state": running(), "init": True, "steps": [step("endpoints", "", playbook="init-stuck")]},
         ["init-runs-long"]),
        ({"state": running(), "init": True,
          "steps": [step("endpoints", "endpoint env:A db 5432 dns=ok tcp=refused\n", playbook="init-stuck")]},
         ["init-waits-for-port"]),
        ({"state": exited(1), "restarts": 3, "init": True,
          "steps": [step("endpoints", "", playbook="init-stuck")]}, ["init-fails"]),
        ({"state": running(), "ready": True, "steps": [step("endpoints", "", playbook="init-stuck")]},
         []),
        # Nobody looked at what it names.
        ({"state": running(), "init": True}, []),
    ],
)  # fmt: skip
def test_init_containers(pod: dict[str, Any], expected: list[str]) -> None:
    found = findings_of(resolve("init-stuck"), examination(**pod), STARTED + timedelta(minutes=6))
    assert [each.rule for each in found] == expected


def test_an_init_container_that_has_just_begun_is_left_alone() -> None:
    one = examination(
        state=running(), init=True, steps=[step("endpoints", "", playbook="init-stuck")]
    )
    assert findings_of(resolve("init-stuck"), one, STARTED + timedelta(minutes=4)) == []


def test_they_inject_nothing() -> None:
    for name in ("image-pull", "pending", "stuck-terminating"):
        assert resolve(name).spec.steps == ()


def test_the_library_is_complete() -> None:
    """The playbooks that people are promised, by name."""
    assert {path.stem for path in builtin()} == {
        "config-drift", "cpu-throttling", "crashloop", "disk-full", "dns-failure", "egress-latency",
        "image-pull", "incident-evidence", "init-stuck", "jvm", "memory-leak", "networkpolicy",
        "oomkilled", "packet-capture", "pending", "profile", "python-pyspy", "readiness-failing",
        "resource-exhaustion", "security-baseline", "service-unreachable", "stuck-terminating",
        "tls-expiry", "triage", "volume-mount",
    }  # fmt: skip
