"""What is said of a run by what its Job says: statuses as a Kubernetes of today wrote them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from runner.triggers.jobs import Job
from runner.triggers.story import story
from tests.unit.alerts import RECEIVED


def job(*, released: float | None, ended: str = "", message: str = "", **status: Any) -> Job:
    """`released` is seconds ago, `ended` why it failed."""
    annotations = {}
    if released is not None:
        at = RECEIVED - timedelta(seconds=released)
        annotations["podmedic.io/released-at"] = at.isoformat()
    ends = [{"type": "Failed", "status": "True", "reason": ended, "message": message}]
    return msgspec.convert(
        {
            "metadata": {"name": "alert-1", "annotations": annotations},
            "spec": {"suspend": released is None},
            "status": {**status, "conditions": ends if ended else []},
        },
        Job,
    )


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (job(released=None), "queued"),
        (job(released=3), "starting"),
        # It waits for its image: Kubernetes calls it active.
        (job(released=3, active=1, ready=0), "starting"),
        (job(released=900, active=1, ready=1), "running"),
        # Kubernetes before 1.24.
        (job(released=3, active=1), "running"),
    ],
)
def test_nothing_is_said_while_nothing_is_wrong(found: Job, state: str) -> None:
    assert (found.state, story(found, "shop", RECEIVED)) == (state, "")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            job(released=75, active=1, ready=0),
            (
                "its pod does not run 75 s after it was released: its image, a volume or a node is "
                "missing; kubectl describe pods -l job-name=alert-1 -n shop says which"
            ),
        ),
        (
            job(released=75, ready=0),
            (
                "it has no pod 75 s after it was released: a quota, a policy or a missing "
                "ServiceAccount; kubectl describe job alert-1 -n shop says which"
            ),
        ),
        (
            job(released=9, ended="DeadlineExceeded", message="Job was active too long"),
            (
                "Job was active too long; no pod of it was ever made: a quota, a policy or a missing "
                "ServiceAccount; kubectl describe job alert-1 -n shop, within an hour, says which"
            ),
        ),
        (
            job(released=9, ended="DeadlineExceeded", message="Job was active too long", failed=1),
            (
                "Job was active too long: it worked for too long, or its pod waited for its image, a "
                "volume or a node; kubectl get events -n shop, within an hour, says which"
            ),
        ),
        (
            job(released=9, ended="BackoffLimitExceeded", message="Job has failed twice", failed=2),
            "Job has failed twice; its log says why: kubectl logs job/alert-1 -n shop",
        ),
    ],
)
def test_where_to_look_is_said(found: Job, told: str) -> None:
    assert story(found, "shop", RECEIVED) == told
