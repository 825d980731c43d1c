"""An app that ended while we were in its pod is said, and the pod is never called healthy."""

import pytest

from runner.examine.harm import ended_meanwhile, with_harm
from runner.model.pod import Pod
from runner.model.report import PodOutcome, PodResult
from runner.select import workload_of
from tests.unit.pods import crashed_before, pod, running, terminated

BEFORE = pod(running(restartCount=1))
RESTARTED = pod(running(restartCount=2, lastState=crashed_before(137, "OOMKilled")))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BEFORE, BEFORE, ()),
        (BEFORE, RESTARTED, ("container app ended with exit code 137 (OOMKilled)",)),
        (
            BEFORE,
            pod(terminated(1, restartCount=1)),
            ("container app ended with exit code 1 (Error)",),
        ),
        (
            pod(terminated(1, restartCount=3), conditions={"Ready": "False"}),
            pod(terminated(1, restartCount=4), conditions={"Ready": "False"}),
            (),
        ),
        (
            BEFORE,
            pod(terminated(0), metadata={"deletionTimestamp": "2026-11-23T03:00:00Z"}),
            (),
        ),
    ],
)
def test_ended_meanwhile(before: Pod, after: Pod, expected: tuple[str, ...]) -> None:
    assert ended_meanwhile(before, after) == expected


def result(outcome: PodOutcome, message: str = "", container: str = "podmedic-x-1") -> PodResult:
    return PodResult(
        namespace="shop", name="web-1", uid="u1", node="n", workload=workload_of(BEFORE),
        outcome=outcome, message=message, container=container,
    )  # fmt: skip


def test_passed_becomes_warned() -> None:
    seen = with_harm(result(PodOutcome.PASSED), BEFORE, RESTARTED)
    assert (seen.outcome, seen.reason) == (PodOutcome.WARNED, "EndedMeanwhile")
    assert "exit code 137 (OOMKilled) while the pod was examined" in seen.message


def test_another_outcome_keeps_its_words() -> None:
    seen = with_harm(result(PodOutcome.ERROR, "would not start"), BEFORE, RESTARTED)
    assert seen.outcome is PodOutcome.ERROR
    assert seen.message.startswith("would not start; container app ended")


def test_where_nothing_was_injected_it_was_not_us() -> None:
    untouched = result(PodOutcome.PASSED, container="")
    assert with_harm(untouched, BEFORE, RESTARTED) == untouched
