"""A pod that is deleted while it is examined: that, and when, is the reason of its outcome."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from runner.examine.deletion import deletion, with_deletion
from runner.examine.inject import Injected
from runner.model.pod import Pod
from runner.model.report import PodOutcome, StepOutcome, StepResult
from tests.unit.pods import pod, running, terminated

NOW = datetime(2026, 11, 28, 17, 20, 30, tzinfo=UTC)
ASKED = {"deletionTimestamp": "2026-11-28T17:20:35Z", "deletionGracePeriodSeconds": 30}
EVICTED = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
TOLD = "the pod was deleted at 17:20:05 UTC, before its result was read"


@pytest.mark.parametrize(
    ("metadata", "status", "gone", "told"),
    [
        ({}, {}, False, ""),
        (ASKED, {}, False, "the pod was deleted at 17:20:05 UTC"),
        (ASKED, {}, True, "the pod was deleted at 17:20:05 UTC"),
        (
            ASKED, {"conditions": EVICTED}, False,
            "the pod was deleted at 17:20:05 UTC (EvictionByEvictionAPI)",
        ),
        ({}, {}, True, "the pod was deleted before 17:20:30 UTC"),
    ],
)  # fmt: skip
def test_when_and_by_what(
    metadata: dict[str, Any], status: dict[str, Any], gone: bool, told: str
) -> None:
    given = pod(running(), metadata=metadata, status=status)
    assert deletion(given, gone=gone, now=NOW) == told


def step(name: str, outcome: StepOutcome, reason: str = "") -> StepResult:
    return StepResult(playbook="p", name=name, outcome=outcome, reason=reason)


def injected(outcome: PodOutcome | None, reason: str) -> Injected:
    steps = (
        step("whole", StepOutcome.PASSED),
        step("torn", StepOutcome.ERROR, "OutputIncomplete"),
        step("unseen", StepOutcome.NOT_EVALUATED, "Stopped"),
        step("never", StepOutcome.NOT_EVALUATED, "ToolMissing"),
    )
    return Injected(injection=None, steps=steps, outcome=outcome, reason=reason, message="m")


@pytest.mark.parametrize("reason", ["Stopped", "Killed", "Terminating", "TargetDied"])
def test_what_is_not_whole_is_explained_by_it(reason: str) -> None:
    leaving = pod(running(), metadata=ASKED)
    found = with_deletion(injected(PodOutcome.UNKNOWN, reason), leaving, gone=False, now=NOW)
    assert (found.outcome, found.reason, found.message) == (PodOutcome.UNKNOWN, "PodGone", TOLD)
    assert [(s.name, s.reason, s.message) for s in found.steps] == [
        ("whole", "", ""),
        ("torn", "PodGone", TOLD),
        ("unseen", "PodGone", TOLD),
        ("never", "ToolMissing", ""),
    ]


ENDED_WELL, ENDED_ILL = terminated(0, "Completed"), terminated(1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (pod(ENDED_WELL, spec={"restartPolicy": "Never"}), True),
        (pod(ENDED_ILL, spec={"restartPolicy": "Never"}), True),
        (pod(ENDED_WELL, spec={"restartPolicy": "OnFailure"}), True),
        (pod(ENDED_WELL, phase="Succeeded"), True),
        (pod(ENDED_ILL, spec={"restartPolicy": "OnFailure"}), False),  # it is started again
        (pod(ENDED_WELL, spec={"restartPolicy": "Always"}), False),
        (pod(ENDED_WELL, running(), spec={"restartPolicy": "Never"}), False),
        (pod(spec={"restartPolicy": "Never"}), False),
    ],
)
def test_s24_a_job_that_ends_while_it_is_examined_is_no_error(given: Pod, told: bool) -> None:
    """Its kubelet ends our container as soon as the app's have ended."""
    before = injected(PodOutcome.UNKNOWN, "Stopped")
    after = with_deletion(before, given, gone=False, now=NOW)
    why = "the pod had finished before all steps had ended"
    if not told:
        assert after == before
        return
    assert (after.outcome, after.reason, after.message) == (PodOutcome.UNKNOWN, "Finished", why)
    assert [(s.name, s.reason) for s in after.steps] == [
        ("whole", ""),
        ("torn", "Finished"),
        ("unseen", "Finished"),
        ("never", "ToolMissing"),
    ]


@pytest.mark.parametrize(
    ("outcome", "reason", "metadata"),
    [
        (None, "", ASKED),  # all of it had arrived
        (PodOutcome.UNKNOWN, "OOMKilled", ASKED),
        (PodOutcome.ERROR, "ErrImagePull", ASKED),
        (PodOutcome.UNKNOWN, "Stopped", {}),
    ],
)
def test_what_has_another_cause_keeps_it(
    outcome: PodOutcome | None, reason: str, metadata: dict[str, Any]
) -> None:
    before = injected(outcome, reason)
    after = with_deletion(before, pod(running(), metadata=metadata), gone=False, now=NOW)
    assert after == before
    assert msgspec.json.encode(after.steps) == msgspec.json.encode(before.steps)
