"""A pod is what it was before, or the report says what changed and whether it would have anyway."""

from datetime import timedelta

import msgspec
import pytest

from runner.examine.harm import expected_restarts, proof, sentence, with_harm, with_node
from runner.model.harm import Change, Harm, HarmVerdict, OwnEvent
from runner.model.node import Node, NodeStatus
from runner.model.pod import Event, ObjectMeta, ObjectReference, Pod, PodCondition
from runner.model.report import Injection, PodOutcome, PodResult
from runner.select import workload_of
from tests.unit.pods import NOW, ago, crashed_before, pod, running, terminated

SINCE = NOW - timedelta(seconds=5)
BEFORE = pod(running(restartCount=1, lastState=crashed_before(1, hours=3)))
RESTARTED = pod(running(restartCount=2, lastState=crashed_before(137, "OOMKilled")))
NOT_READY = {"Ready": "False"}
KILLED = Change(
    what="container app",
    before="running and ready",
    after="ended with exit code 137 (OOMKilled)",
    expected=False,
)


def looping(restarts: int) -> Pod:
    return pod(terminated(1, restartCount=restarts), conditions=NOT_READY)


def verdict(before: Pod, after: Pod, **given: object) -> tuple[str, list[tuple[str, bool]]]:
    harm = proof(before, after, since=SINCE, now=NOW, **given)  # type: ignore[arg-type]
    return harm.verdict.value, [(c.what, c.expected) for c in harm.changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BEFORE, BEFORE, ("unchanged", [])),
        (BEFORE, RESTARTED, ("changed", [("container app", False)])),
        (BEFORE, pod(terminated(1, restartCount=1)), ("changed", [("container app", False)])),
        (looping(3), looping(4), ("unchanged", [("restarts of container app", True)])),
        (looping(3), looping(5), ("changed", [("restarts of container app", False)])),
        (
            BEFORE,
            pod(running(restartCount=1), conditions=NOT_READY),
            ("changed", [("condition Ready", False)]),
        ),
        (
            pod(running(restartCount=1, ready=False), conditions=NOT_READY),
            BEFORE,
            ("unchanged", [("condition Ready", True)]),
        ),
        (
            BEFORE,
            pod(running(restartCount=1), status={"qosClass": "Burstable"}),
            ("changed", [("QoS class", False)]),
        ),
        (BEFORE, pod(running(), metadata={"deletionTimestamp": ago(seconds=1)}), ("unknown", [])),
        (BEFORE, pod(running(), metadata={"uid": "another"}), ("unknown", [])),
    ],
    ids=[
        "nothing", "restarted", "ended", "goes on crashing", "crashes faster than back-off allows",
        "not ready any more", "ready now", "another QoS class", "being deleted", "replaced",
    ],
)  # fmt: skip
def test_before_and_after(
    before: Pod, after: Pod, expected: tuple[str, list[tuple[str, bool]]]
) -> None:
    assert verdict(before, after) == expected


def test_a_crash_loop_is_ready_for_as_long_as_it_lives() -> None:
    """It ran and was ready when we looked, as it is each time: that it ends is no news."""
    before = pod(running(ago(seconds=2), restartCount=1, lastState=crashed_before(1, seconds=12)))
    after = pod(terminated(1, restartCount=1), conditions=NOT_READY)
    assert verdict(before, after) == ("unchanged", [("condition Ready", True)])


@pytest.mark.parametrize(
    ("lived", "after", "first_life"),
    [
        ({"seconds": 30}, pod(terminated(1), conditions=NOT_READY), True),
        ({"seconds": 30}, pod(terminated(0), conditions=NOT_READY), False),
        ({"seconds": 30}, pod(terminated(137), conditions=NOT_READY), False),
        ({"seconds": 30}, pod(terminated(1, "OOMKilled"), conditions=NOT_READY), False),
        ({"minutes": 11}, pod(terminated(1), conditions=NOT_READY), False),
    ],
    ids=["exit 1", "exit 0, as after a signal", "killed", "a child was killed for its memory", "had shown it can live"],
)  # fmt: skip
def test_who_exits_in_its_first_life_might_have_anyway(
    lived: dict[str, float], after: Pod, first_life: bool
) -> None:
    harm = proof(pod(running(ago(**lived))), after, since=NOW, now=NOW)
    assert [(c.what, c.expected, c.first_life) for c in harm.changes] == [
        ("container app", False, first_life),
        ("condition Ready", False, first_life),
    ]


def test_a_job_may_end_well_meanwhile() -> None:
    never = {"restartPolicy": "Never"}
    after = pod(terminated(0), phase="Succeeded", conditions=NOT_READY, spec=never)
    assert verdict(pod(running(), spec=never), after) == ("unchanged", [("phase", True)])


def test_a_pod_that_went_away_proves_nothing() -> None:
    assert verdict(BEFORE, BEFORE, gone=True) == ("unknown", [])


@pytest.mark.parametrize(
    ("restart_count", "seconds", "most"),
    [
        (0, 5, 1),
        (0, 10, 2),
        (0, 30, 3),
        (0, 69, 3),
        (3, 79, 1),
        (3, 80, 2),
        (9, 299, 1),
        (9, 600, 3),
    ],
)
def test_what_the_back_off_allows(restart_count: int, seconds: float, most: int) -> None:
    """10 s, doubling, at most 300 s; the one that is due comes on top."""
    assert expected_restarts(restart_count, seconds) == most


def test_after_a_long_life_the_back_off_starts_anew() -> None:
    long = {"exitCode": 1, "startedAt": ago(minutes=20), "finishedAt": ago(seconds=30)}
    before = pod(
        {"state": {"terminated": long}, "restartCount": 9, "containerID": "c"},
        conditions=NOT_READY,
    )
    harm = proof(before, looping(11), since=NOW - timedelta(seconds=12), now=NOW)
    assert harm.verdict is HarmVerdict.UNCHANGED


def result(
    outcome: PodOutcome, message: str = "", injections: tuple[Injection, ...] | None = None
) -> PodResult:
    one = Injection(container="podmedic-x-1", image="tools:1", injected_at=SINCE)
    return PodResult(
        namespace="shop", name="web-1", uid="u1", node="n", workload=workload_of(BEFORE),
        outcome=outcome, message=message, injections=(one,) if injections is None else injections,
    )  # fmt: skip


def test_passed_becomes_warned() -> None:
    seen = with_harm(result(PodOutcome.PASSED), BEFORE, RESTARTED, since=SINCE, now=NOW)
    assert (seen.outcome, seen.reason) == (PodOutcome.WARNED, "EndedMeanwhile")
    assert seen.message == (
        "container app was running and ready, now ended with exit code 137 (OOMKilled) while the "
        "pod was examined: an ephemeral container counts against the memory limits of its pod"
    )
    assert seen.harm == Harm(verdict=HarmVerdict.CHANGED, changes=(KILLED,))
    assert sentence(seen.harm).startswith("container app was running")


def test_another_outcome_keeps_its_words() -> None:
    seen = with_harm(
        result(PodOutcome.ERROR, "would not start"), BEFORE, RESTARTED, since=SINCE, now=NOW
    )
    assert seen.outcome is PodOutcome.ERROR
    assert seen.message.startswith("would not start; container app was running and ready")


def test_unchanged_is_said_too() -> None:
    seen = with_harm(result(PodOutcome.PASSED), BEFORE, BEFORE, since=SINCE, now=NOW)
    assert seen == msgspec.structs.replace(
        result(PodOutcome.PASSED), harm=Harm(verdict=HarmVerdict.UNCHANGED)
    )


def test_where_nothing_was_injected_it_was_not_us() -> None:
    untouched = result(PodOutcome.PASSED, injections=())
    assert with_harm(untouched, BEFORE, RESTARTED, since=SINCE, now=NOW) == untouched


def event(path: str, reason: str, *, kind: str = "Warning", count: int | None = None) -> Event:
    return Event(
        metadata=ObjectMeta(name=reason),
        involved_object=ObjectReference(kind="Pod", field_path=path),
        type=kind,
        reason=reason,
        message=f"{reason} of the image",
        count=count,
    )


def test_warnings_about_our_container_are_ours_and_change_nothing() -> None:
    """Those about the app, about a container of another run, and what comes with every start are
    left out; of one that comes again the last count stands."""
    ours, theirs = "spec.ephemeralContainers{podmedic-x-1}", "spec.ephemeralContainers{debug-abc}"
    events = [
        event(ours, "Pulling", kind="Normal"),
        event(ours, "Failed"),
        event(ours, "BackOff", count=1),
        event(ours, "BackOff", count=3),
        event(theirs, "Failed"),
        event("spec.containers{app}", "BackOff"),
    ]
    seen = with_harm(result(PodOutcome.PASSED), BEFORE, BEFORE, since=SINCE, now=NOW, events=events)
    name = "podmedic-x-1"
    assert (seen.outcome, seen.harm) == (
        PodOutcome.PASSED,
        Harm(
            verdict=HarmVerdict.UNCHANGED,
            events=(
                OwnEvent(container=name, reason="Failed", message="Failed of the image"),
                OwnEvent(container=name, reason="BackOff", message="BackOff of the image", count=3),
            ),
        ),
    )


def node(**pressures: str) -> Node:
    conditions = tuple(PodCondition(type=kind, status=status) for kind, status in pressures.items())
    return Node(metadata=ObjectMeta(name="n"), status=NodeStatus(conditions=conditions))


def test_pressure_that_came_over_the_node_counts_and_one_that_went_does_not() -> None:
    before = node(MemoryPressure="False", DiskPressure="True", Ready="True")
    after = node(MemoryPressure="True", DiskPressure="False", Ready="False")
    examined = with_harm(result(PodOutcome.PASSED), BEFORE, BEFORE, since=SINCE, now=NOW)
    seen = with_node(examined, before, after)
    assert seen.harm == Harm(
        verdict=HarmVerdict.CHANGED,
        changes=(
            Change(
                what="condition MemoryPressure of node n", before="False", after="True",
                expected=False,
            ),
            Change(
                what="condition DiskPressure of node n", before="True", after="False",
                expected=True,
            ),
        ),
    )  # fmt: skip
    assert (seen.outcome, seen.reason, seen.message) == (
        PodOutcome.WARNED,
        "NodePressure",
        "condition MemoryPressure of node n was False, now True after the sweep",
    )
    untouched = result(PodOutcome.PASSED, injections=())
    assert with_node(untouched, before, after) == untouched
    assert with_node(examined, before, before) == examined
