"""Which replicas are looked at when not all are, and what a healthy one beside them says."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from runner.analyze import judge
from runner.model.examination import TargetCondition
from runner.model.pod import (
    ContainerState,
    ContainerStatus,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    StateRunning,
    StateWaiting,
)
from runner.model.subject import Workload
from runner.playbook import Playbook, load
from runner.select import Replica, controls, sample
from runner.sweep.choose import Chosen
from tests.unit.examinations import STARTED, examination, exited, running, step


def replica(name: str, *, node: str = "n1", revision: str = "a", ill: bool = True) -> Replica:
    labels = {"pod-template-hash": revision}
    return Replica(
        Pod(metadata=ObjectMeta(name=name, labels=labels), spec=PodSpec(node_name=node)), ill
    )


def names(chosen: Sequence[Replica]) -> list[str]:
    return [each.pod.metadata.name for each in chosen]


@pytest.mark.parametrize(
    ("replicas", "count", "expected"),
    [
        ([replica("a", ill=False), replica("b"), replica("c")], 2, ["b", "c"]),
        ([replica("a", ill=False), replica("b")], 2, ["b", "a"]),
        # Ill ones first, wherever they are; then as far from each other as they can be.
        ([replica("a"), replica("b"), replica("c", node="n2")], 2, ["a", "c"]),
        ([replica("a"), replica("b", revision="b"), replica("c")], 2, ["a", "b"]),
        ([replica("b"), replica("a")], 1, ["a"]),
        ([replica("a")], 5, ["a"]),
    ],
)
def test_the_sample(replicas: list[Replica], count: int, expected: list[str]) -> None:
    assert names(sample(replicas, count)) == expected


def test_controls_are_of_the_same_revision_and_elsewhere() -> None:
    well = [
        replica("a", revision="old", ill=False), replica("b", ill=False),
        replica("c", node="n2", ill=False),
    ]  # fmt: skip
    assert names(controls([replica("x")], well, 2)) == ["c", "b"]
    assert controls([], well, 2) == []


DIFFERS = {
    "id": "differs", "severity": "warning", "title": "It differs", "each": "control.differs",
    "when": "item.what == 'parsed'",
    "message": "{{ item.step }}: {{ item.ill }} here, {{ item.well }} in {{ control.pod }}.",
}  # fmt: skip
ALONE = {
    "id": "alone", "severity": "info", "title": "Nothing to compare with",
    "when": "!has(control.pod)", "message": "No healthy pod.",
}  # fmt: skip


def playbook(name: str = "probe", **targets: Any) -> Playbook:
    document = {
        "apiVersion": "podmedic.io/v1alpha1", "kind": "Playbook", "metadata": {"name": name},
        "spec": {
            "targets": targets, "findings": [DIFFERS, ALONE],
            "steps": [{"name": "look", "run": ["id"], "parse": {"keyValue": "="}}],
        },
    }  # fmt: skip
    return load(json.dumps(document), "probe.yaml")


def pod(name: str, *, ill: bool, owner: str = "web") -> Pod:
    reference = OwnerReference(kind="StatefulSet", name=owner, uid=owner, controller=True)
    state = (
        ContainerState(waiting=StateWaiting(reason="CrashLoopBackOff"))
        if ill
        else ContainerState(running=StateRunning(started_at=STARTED))
    )
    ready = PodCondition(type="Ready", status="False" if ill else "True")
    return Pod(
        metadata=ObjectMeta(name=name, namespace="shop", uid=name, owner_references=(reference,)),
        spec=PodSpec(node_name="n1"),
        status=PodStatus(
            phase="Running", conditions=(ready,),
            container_statuses=(ContainerStatus(name="app", state=state, restart_count=3),),
        ),
    )  # fmt: skip


PODS = [
    pod("web-0", ill=False), pod("web-1", ill=False), pod("web-2", ill=True),
    pod("web-3", ill=True), pod("web-4", ill=True), pod("db-0", ill=False, owner="db"),
]  # fmt: skip
LOOPS: dict[str, Any] = {"conditions": ["CrashLoopBackOff"]}


def chosen(*playbooks: Playbook) -> list[tuple[str, list[str], list[str], str]]:
    found = Chosen(playbooks, STARTED)
    for each in PODS:
        found.offer(each, playbooks)
    return [
        (
            s.pod.metadata.name, [p.name for p in s.playbooks], list(s.control_of),
            s.skip.message if s.skip else "",
        )
        for s in found.selected()
    ]  # fmt: skip


def test_a_sample_and_a_control() -> None:
    """Who is left out says for whom others stand; a workload without ill pods has no control."""
    why = "playbook probe looks at 2 of the 3 pods of StatefulSet web"
    assert chosen(playbook(**LOOPS, sample={"perOwner": 2, "control": 1})) == [
        ("web-0", ["probe"], ["probe"], ""),
        ("web-2", ["probe"], [], ""),
        ("web-3", ["probe"], [], ""),
        ("web-4", [], [], why),
    ]


def test_what_one_playbook_leaves_out_another_looks_at() -> None:
    one, other = playbook("one", **LOOPS, sample={"perOwner": 1}), playbook("other", **LOOPS)
    assert chosen(one, other) == [
        ("web-2", ["one", "other"], [], ""),
        ("web-3", ["other"], [], ""),
        ("web-4", ["other"], [], ""),
    ]


def test_a_playbook_for_all_pods_takes_the_ill_ones_first() -> None:
    told = chosen(playbook(sample={"perOwner": 3, "control": 1}))
    assert [(name, names, control) for name, names, control, why in told if not why] == [
        ("db-0", ["probe"], []),
        ("web-0", ["probe"], ["probe"]),
        ("web-2", ["probe"], []),
        ("web-3", ["probe"], []),
        ("web-4", ["probe"], []),
    ]
    assert [name for name, *_, why in told if why] == ["web-1"]


def test_without_a_sample_nothing_is_left_out() -> None:
    assert [name for name, *_ in chosen(playbook(**LOOPS))] == ["web-2", "web-3", "web-4"]


def said(ill: str, well: str | None) -> list[tuple[str, str, int]]:
    """Of an ill pod, and of a healthy one if there is one."""
    sick = examination(
        pod="web-2", state=exited(1), steps=[step("look", ill)],
        conditions=[TargetCondition.CRASH_LOOP_BACK_OFF],
    )  # fmt: skip
    examinations = [sick]
    if well is not None:
        examinations.append(
            examination(pod="web-0", state=running(), ready=True, steps=[step("look", well)])
        )
    applies = {one.pod.metadata.uid: ["crashloop"] for one in examinations}
    controls = {one.pod.metadata.uid: ["crashloop"] for one in examinations[1:]}
    findings, _, _ = judge([playbook("crashloop")], examinations, applies, STARTED, controls)
    return [(f.rule, f.message, len(f.pods)) for f in findings]


def test_what_differs_is_a_fact() -> None:
    """And the healthy one is compared with nobody."""
    assert said("mode=600\n", "mode=644\n") == [
        ("differs", 'look: {"mode": "600"} here, {"mode": "644"} in web-0.', 1),
        ("alone", "No healthy pod.", 1),
    ]
    assert said("mode=600\n", "mode=600\n") == [("alone", "No healthy pod.", 1)]
    assert said("mode=600\n", None) == [("alone", "No healthy pod.", 1)]


def test_workloads_are_not_mixed() -> None:
    other = Workload(kind="Deployment", namespace="shop", name="db")
    ill = examination(pod="web-2", steps=[step("look", "mode=1\n")])
    well = examination(
        pod="db-0", state=running(), workload=other, steps=[step("look", "mode=2\n")]
    )  # fmt: skip
    applies = {"uid-web-2": ["crashloop"], "uid-db-0": ["crashloop"]}
    controls = {"uid-db-0": ["crashloop"]}
    findings, _, _ = judge([playbook("crashloop")], [ill, well], applies, STARTED, controls)
    assert {f.rule for f in findings} == {"alone"}
