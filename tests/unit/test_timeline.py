"""The life of a pod in the order in which it happened."""

from datetime import timedelta

import msgspec

from runner.analyze import timeline
from runner.analyze.timeline import MAX_MOMENTS
from runner.model.pod import ContainerState, Event, ObjectMeta, PodCondition, StateRunning
from runner.model.report import Injection, PodOutcome, PodResult
from tests.unit.examinations import FINISHED, SHOP, STARTED, event, examination, exited

SECOND = timedelta(seconds=1)
RESULT = PodResult(
    namespace="shop", name="web-1", uid="u", node="node-1", workload=SHOP,
    outcome=PodOutcome.FAILED,
)  # fmt: skip


def seen(one: Event, *, first: int, last: int, count: int) -> Event:
    return msgspec.structs.replace(
        one, first_timestamp=STARTED + first * SECOND, last_timestamp=STARTED + last * SECOND,
        count=count,
    )  # fmt: skip


def test_everything_in_its_order() -> None:
    """The last two instances of a container, events with both times, conditions, ourselves."""
    again = ContainerState(running=StateRunning(started_at=STARTED + 20 * SECOND))
    conditions = [
        PodCondition(type="PodScheduled", status="True", last_transition_time=STARTED - 5 * SECOND),
        PodCondition(type="Ready", status="False", reason="ContainersNotReady",
                     last_transition_time=FINISHED),
        PodCondition(type="Initialized", status="True", last_transition_time=STARTED),
    ]  # fmt: skip
    back_off = event("BackOff", "Back-off restarting failed container")
    probe = event("Unhealthy", "Liveness probe failed")
    one = examination(
        state=again, last=exited(137, "OOMKilled"), pod_conditions=conditions,
        events=[
            seen(back_off, first=4, last=19, count=3),
            seen(probe, first=25, last=25, count=1),
            seen(event("Pulled", "Container image already present"), first=0, last=0, count=1),
        ],
    )  # fmt: skip
    born = ObjectMeta(name="web-1", namespace="shop", creation_timestamp=STARTED - 6 * SECOND)
    one = msgspec.structs.replace(one, pod=msgspec.structs.replace(one.pod, metadata=born))
    ours = Injection(
        container="podmedic-a-1", image="tools", injected_at=STARTED + 30 * SECOND,
        finished_at=STARTED + 33 * SECOND,
    )  # fmt: skip
    result = msgspec.structs.replace(RESULT, injections=(ours,))
    told = [
        (
            (m.at - STARTED).seconds if m.at >= STARTED else -(STARTED - m.at).seconds,
            None if m.until is None else (m.until - STARTED).seconds,
            m.what, m.container, m.text, m.count, m.bad,
        )
        for m in timeline(one, result)
    ]  # fmt: skip
    assert told == [
        (-6, None, "created", "", "created", 1, False),
        (-5, None, "scheduled", "", "scheduled to node-1", 1, False),
        (0, 3, "ran", "app", "exit code 137 (OOMKilled)", 1, True),
        (3, None, "condition", "", "not Ready (ContainersNotReady)", 1, True),
        (4, 19, "event", "app", "BackOff: Back-off restarting failed container", 3, True),
        (20, None, "ran", "app", "runs since then", 1, False),
        (25, None, "event", "app", "Unhealthy: Liveness probe failed", 1, True),
        (30, 33, "injected", "podmedic-a-1", "ephemeral container of podmedic", 1, False),
    ]


def test_long_stories_are_cut_at_the_old_end() -> None:
    events = [
        seen(
            msgspec.structs.replace(
                event(f"R{number}", "x" * 500), metadata=ObjectMeta(name=f"e{number}")
            ),
            first=number, last=number, count=1,
        )
        for number in range(100)
    ]  # fmt: skip
    found = timeline(examination(events=events), RESULT)
    assert len(found) == MAX_MOMENTS
    assert found[-1].text.startswith("R99: xxx")
    assert len(found[-1].text) == 200


def test_a_container_that_never_began_has_no_long_life() -> None:
    """The runtime says 1970 of one that it could not start."""
    epoch = STARTED.replace(year=1970, month=1, day=1, hour=0)
    state = exited(128, "StartError")
    assert state.terminated is not None
    never = msgspec.structs.replace(state.terminated, started_at=epoch)
    (moment,) = timeline(examination(state=ContainerState(terminated=never)), RESULT)
    assert (moment.at, moment.until) == (FINISHED, FINISHED)
