"""What the other containers of a pod say."""

from typing import Any

import msgspec
import pytest

from runner.analyze import judge
from runner.examine.evidence import neighbours_to_read
from runner.model.examination import Examination
from runner.model.pod import ContainerState, ContainerStatus
from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps as steps
from tests.unit.examinations import event, examination, exited, running

REJECTED = "".join(
    f"2026-11-28T08:00:{n:02}Z [ERROR] auth.handler: error authenticating: denied\n"
    for n in range(0, 50, 5)
)
EXEC_FAILS = event("Unhealthy", "Readiness probe failed: ")
WAITS: dict[str, Any] = {
    "state": running(), "restarts": 0, "readiness_probe": True, "events": [EXEC_FAILS],
    "log": "waiting for /secrets/db\n",
}  # fmt: skip


def said(one: Examination, *playbooks: str) -> list[tuple[str, str, str]]:
    chosen = [resolve(name) for name in playbooks]
    found, _, _ = judge(chosen, [one], {one.pod.metadata.uid: list(playbooks)}, None)
    return [(f.rule, f.severity.value, f.message) for f in found]


def test_an_agent_that_is_ill_keeps_the_application_waiting() -> None:
    one = examination(**WAITS, steps=steps(), beside={"agent": (running(), REJECTED)})
    (found,) = judge([resolve("crashloop")], [one], {one.pod.metadata.uid: ["crashloop"]}).findings
    assert (found.rule, found.severity.value, found.confidence.value, found.message) == (
        "neighbour-keeps-it-waiting",
        "critical",
        "likely",
        "Container app runs but is not ready, and container agent of the same pod says again and again: [ERROR] auth.handler: error authenticating: denied",
    )
    assert found.evidence[0].source == "log of container agent"
    assert "error authenticating" in found.evidence[0].excerpt


def test_both_causes_are_told_where_two_containers_end() -> None:
    one = examination(
        log="FATAL: no such licence\n",
        steps=steps(),
        beside={"agent": (exited(2), "FATAL: cannot parse agent.yaml\n")},
    )
    assert sorted(said(one, "crashloop", "triage")) == [
        (
            "last-words", "critical",
            "Container app exits with code 1; its log says why: FATAL: no such licence",
        ),
        (
            "neighbour-exits", "critical",
            "Container agent exits with code 2; its log says why: FATAL: cannot parse agent.yaml",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("log", "state"),
    [
        ("error: connection refused\n" + "flushed\n" * 20, running()),
        ("[info] flush ok\n" * 20, running()),
        ("FATAL: terminated\n", exited(143)),
        ("FATAL: terminated\n", exited(0, "Completed")),
        ("", exited(1)),
    ],
    ids=["once", "well", "told to end", "done", "without a word"],
)
def test_nothing_is_said_of(log: str, state: ContainerState) -> None:
    one = examination(
        state=running(), ready=True, restarts=0, log="served\n", beside={"agent": (state, log)}
    )
    assert said(one, "triage") == []


def test_logs_are_read_of_those_that_run_and_of_those_that_failed() -> None:
    statuses = [
        ContainerStatus(name="app", state=running()),
        ContainerStatus(name="runs", state=running()),
        ContainerStatus(name="failed", state=exited(1)),
        ContainerStatus(name="done", state=exited(0, "Completed")),
        ContainerStatus(name="begins"),
        *(ContainerStatus(name=f"more-{n}", state=running()) for n in range(4)),
    ]
    pod = examination().pod
    status = msgspec.structs.replace(pod.status, container_statuses=tuple(statuses))
    pod = msgspec.structs.replace(pod, status=status)
    assert neighbours_to_read(pod, "app") == ["runs", "failed", "more-0", "more-1"]
