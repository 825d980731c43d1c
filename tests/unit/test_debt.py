"""What pods carry of ephemeral containers, and when it is too much."""

from datetime import timedelta
from typing import Any

import pytest

from runner.debt import DebtLimits, at_work, debt_skip, entries, rollouts
from runner.model.pod import Pod
from runner.select import Skip
from tests.unit.pods import NOW, ago, pod, running

ENDED = {"exitCode": 0, "reason": "Completed"}
OWNER = [{"kind": "ReplicaSet", "name": "web-77f", "controller": True}]
ROLLOUT = "kubectl rollout restart deployment/web -n shop"


def ephemeral(name: str, run: str = "", padding: int = 0) -> dict[str, Any]:
    env = [{"name": "PODMEDIC_RUN", "value": run}] if run else []
    return {"name": name, "image": "tools:1", "command": ["sh", "-c", "x" * padding], "env": env}


RESIDENT = ephemeral("podmedic-a-1", "r1")
RESIDENT["env"].append({"name": "PODMEDIC_RESIDENT", "value": "0" * 32})


def ended(name: str, minutes_ago: float) -> dict[str, Any]:
    times = {"startedAt": ago(minutes=minutes_ago), "finishedAt": ago(minutes=minutes_ago - 1)}
    return {"name": name, "state": {"terminated": ENDED | times}}


def carrier(*containers: dict[str, Any], statuses: list[dict[str, Any]] | None = None) -> Pod:
    return pod(
        running(),
        metadata={"ownerReferences": OWNER, "labels": {"pod-template-hash": "77f"}},
        spec={"ephemeralContainers": list(containers)},
        status={"ephemeralContainerStatuses": statuses or []},
    )


@pytest.mark.parametrize(
    ("container", "state", "seconds"),
    [
        (ephemeral("podmedic-a-1", "r1"), running(ago(seconds=20)), 280),
        # By a clock that is an hour ahead.
        (ephemeral("podmedic-a-1", "r1"), running(ago(hours=-1)), 270),
        # So long a kubelet says only of what it has forgotten.
        (ephemeral("podmedic-a-1", "r1"), running(ago(seconds=301)), None),
        (ephemeral("podmedic-a-1", "r2"), running(ago(seconds=20)), None),  # our own
        (ephemeral("debugger-x"), running(ago(seconds=20)), None),
        (ephemeral("podmedic-a-1", "shell-1"), running(ago(seconds=20)), None),
        (ephemeral("podmedic-a-1", "r1"), {"state": {"waiting": {"reason": "ErrImagePull"}}}, None),
        (ephemeral("podmedic-a-1", "r1"), {"state": {"terminated": ENDED}}, None),
        # Sent by a run that began when we did; of the last one nothing else is known.
        (
            ephemeral("podmedic-a-1", "r1"),
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            90,
        ),
        (ephemeral("podmedic-a-1", "r1"), {}, 90),
        (ephemeral("podmedic-a-1", "r2"), {}, None),
        (ephemeral("podmedic-b-1", "r1"), {}, None),
        (RESIDENT, running(ago(seconds=20)), None),
    ],
)
def test_how_long_another_run_is_waited_for(
    container: dict[str, Any], state: dict[str, Any], seconds: int | None
) -> None:
    statuses = [{"name": container["name"], **state}] if state else []
    subject = carrier(container, statuses=statuses)
    first_seen = {"podmedic-a-1": NOW - timedelta(seconds=30)}
    until = at_work(
        subject, NOW, "r2",
        first_seen=lambda name: first_seen.get(name, NOW - timedelta(seconds=120)),
    )  # fmt: skip
    assert (until and (until - NOW).total_seconds()) == seconds


def test_a_pod_that_has_finished_is_nobodys_place_of_work() -> None:
    subject = pod(
        running(),
        spec={"ephemeralContainers": [ephemeral("podmedic-a-1", "r1")]},
        status={"phase": "Succeeded"},
    )
    assert at_work(subject, NOW) is None


def test_entries_are_in_the_order_of_their_start_whatever_the_spec_says() -> None:
    """A patch adds at the front, and some never start."""
    subject = carrier(
        ephemeral("lost"),
        ephemeral("second", run="r2"),
        ephemeral("first", run="r1"),
        ephemeral("stuck"),
        statuses=[
            ended("first", 30),
            {"name": "second", "state": {"running": {"startedAt": ago(minutes=2)}}},
            {"name": "stuck", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
        ],
    )
    assert [(e.name, e.run, e.state, e.reason, e.exit_code) for e in entries(subject)] == [
        ("first", "r1", "terminated", "Completed", 0),
        ("second", "r2", "running", "", None),
        ("lost", "", "unknown", "", None),
        ("stuck", "", "waiting", "ImagePullBackOff", None),
    ]


def test_a_pod_at_its_cap_gets_no_more_and_the_way_out_is_said() -> None:
    subject = carrier(*(ephemeral(f"d{n}") for n in range(3)))
    size = sum(e.bytes for e in entries(subject))
    assert debt_skip(subject, DebtLimits(max_containers=3), NOW) == Skip(
        "EphemeralBudget",
        f"the pod carries 3 ephemeral containers (about {size} bytes), the cap is 3 (--cap allows more); "
        f"they leave it only with the pod: {ROLLOUT}",
    )


@pytest.mark.parametrize(
    ("cap", "most"), [(0, (0, 0)), (2, (2, 100_000)), (10, (10, 100_000)), (25, (25, 250_000))]
)
def test_who_allows_more_containers_allows_their_bytes(cap: int, most: tuple[int, int]) -> None:
    limits = DebtLimits.of_cap(cap, 5)
    assert (limits.max_containers, limits.max_bytes, limits.cool_down_seconds) == (*most, 5)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (DebtLimits(max_containers=4, max_bytes=0), None),
        (DebtLimits(max_containers=0, max_bytes=0), None),
        (DebtLimits(max_bytes=20_000), "EphemeralBudget"),
        (DebtLimits(max_bytes=40_000), None),
    ],
    ids=["below", "lifted", "too heavy", "light enough"],
)
def test_caps(limits: DebtLimits, reason: str | None) -> None:
    subject = carrier(*(ephemeral(f"d{n}", padding=10_000) for n in range(3)))
    skip = debt_skip(subject, limits, NOW)
    assert (skip.reason if skip else None) == reason


def test_the_own_run_finds_its_containers_again() -> None:
    """A run that was killed and goes on is not refused for what it did itself."""
    subject = carrier(*(ephemeral(f"d{n}", run="mine") for n in range(3)))
    limits = DebtLimits(max_containers=3, cool_down_seconds=3600)
    assert debt_skip(subject, limits, NOW, run_id="mine") is None


def test_cool_down_counts_from_the_last_start_of_ours() -> None:
    subject = carrier(
        ephemeral("ours", run="r1"),
        ephemeral("theirs"),
        statuses=[ended("ours", 10), ended("theirs", 1)],
    )
    assert debt_skip(subject, DebtLimits(cool_down_seconds=900), NOW) == Skip(
        "CoolDown", "podmedic examined the pod 10 min ago, the cool-down is 15 min"
    )
    assert debt_skip(subject, DebtLimits(cool_down_seconds=600), NOW) is None
    later = NOW + timedelta(minutes=6)
    assert debt_skip(subject, DebtLimits(cool_down_seconds=900), later) is None


def test_workloads_to_roll_out() -> None:
    """The heaviest first; due when half of what one pod may carry is used."""
    web = carrier(*(ephemeral(f"d{n}") for n in range(5)))
    alone = pod(
        running(), metadata={"name": "alone"}, spec={"ephemeralContainers": [ephemeral("d")]}
    )
    clean = pod(running(), metadata={"name": "clean"})
    found = rollouts([alone, clean, web], DebtLimits())
    assert [
        (r.workload.kind, r.workload.name, r.pods, r.containers, r.due, r.command) for r in found
    ] == [
        ("Deployment", "web", 1, 5, True, ROLLOUT),
        ("Pod", "alone", 1, 1, False, "kubectl delete pod alone -n shop"),
    ]
