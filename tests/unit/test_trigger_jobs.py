"""Jobs as a queue: names, manifests, and what may begin when."""

import copy
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.trigger import Aim, Alert, PodTarget, Trigger
from runner.triggers import DEFAULT, read_body, trigger_of
from runner.triggers.jobs import (
    MAX_TRIGGER_BYTES,
    Job,
    Template,
    TemplateError,
    about,
    alert_id,
    encode,
    job_name,
    parts,
    trigger_of_job,
)
from runner.triggers.queue import Limits, in_flight, is_full, queued, sort_alerts, to_release
from tests.unit.alerts import LABELS, RECEIVED, alert, body

TEMPLATE: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "podmedic-alert", "labels": {"team": "sre"}},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {"name": "podmedic", "image": "runner", "args": ["run", "--exit-zero"]},
                    {"name": "other", "image": "other"},
                ],
            }
        }
    },
}


def trigger(*alerts: dict[str, Any], **fields: Any) -> Trigger:
    return trigger_of(read_body(body(*alerts, **fields)), DEFAULT, RECEIVED)


def one(**fields: Any) -> Alert:
    return trigger(alert(**fields)).alerts[0]


def pods(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        alert({**LABELS, "pod": f"web-{n}"}, fingerprint=f"{n:016x}", **fields)
        for n in range(count)
    ]


def test_the_same_alerts_in_any_order_have_the_same_job() -> None:
    ids = [alert_id(each) for each in trigger(*pods(3)).alerts]

    name = job_name("podmedic-alert", "group", ids)

    assert name == job_name("podmedic-alert", "group", reversed(ids))
    assert name != job_name("podmedic-alert", "group 2", ids)
    assert name != job_name("podmedic-alert", "group", ids[:2])
    assert job_name("p", f"group\n{ids[0]}", ids[1:2]) != job_name("p", "group", ids[:2])
    assert len(name) == len("podmedic-alert-") + 20


def test_an_alert_that_came_back_is_another_one() -> None:
    assert alert_id(one()) == alert_id(one(annotations={"summary": "again"}))
    assert alert_id(one()) != alert_id(one(startsAt="2026-11-23T02:59:00Z"))
    assert alert_id(one()) != alert_id(one(fingerprint="0000000000000000"))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"pod": "web-6d4cf56db6-abcde"}, {"pod": "web-6d4cf56db6-fghjk"}, False),
        ({"pod": "web-6d4cf56db6-bcdfg"}, {"pod": "web-5c8f7d9b4f-xz2v4"}, True),
        ({"pod": "db-0"}, {"pod": "db-11"}, True),
        ({"pod": "agent-bcdfg"}, {"pod": "agent-xz2v4"}, True),
        ({"pod": "web"}, {"pod": "api"}, False),
        ({"workload": "Deployment/web"}, {"pod": "web-5c8f7d9b4f-xz2v4"}, True),
        ({"pod": "web-0", "namespace": "a"}, {"pod": "web-0", "namespace": "b"}, False),
        ({"selector": "app=web"}, {"selector": "app=api"}, False),
    ],
)
def test_what_a_cool_down_is_about(
    first: dict[str, str], second: dict[str, str], same: bool
) -> None:
    keys = [
        about(Aim(target=PodTarget(**{"namespace": "shop", **each}), playbooks=("triage",)))
        for each in (first, second)
    ]
    assert (keys[0] == keys[1]) is same


def test_other_playbooks_are_another_question() -> None:
    target = PodTarget(namespace="shop", pod="web-0")
    assert about(Aim(target=target, playbooks=("triage",))) != about(
        Aim(target=target, playbooks=("crashloop",))
    )


def test_the_manifest() -> None:
    found = trigger(alert(), alert({"alertname": "Watchdog"}, fingerprint="a" * 16))

    made = Template(copy.deepcopy(TEMPLATE), 300).job("podmedic-alert-1", found)

    started = found.alerts[0]
    document = made["spec"]["template"]["metadata"]["annotations"].pop("podmedic.io/trigger")
    assert json.loads(document)["id"] == "podmedic-alert-1"
    assert made == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "podmedic-alert-1",
            "labels": {"team": "sre", "podmedic.io/trigger": "alertmanager"},
            "annotations": {
                "podmedic.io/alerts": "c5d0e1a2b3f40516@1795402680.000",
                "podmedic.io/about": about(started.aim) if started.aim else "",
            },
        },
        "spec": {
            "suspend": True,
            "ttlSecondsAfterFinished": 86400,
            "activeDeadlineSeconds": 1200,
            "template": {
                "metadata": {"labels": {"podmedic.io/trigger": "alertmanager"}, "annotations": {}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "podmedic",
                            "image": "runner",
                            "args": [
                                "run",
                                "--exit-zero",
                                "--trigger=/var/run/podmedic/trigger.json",
                            ],
                            "volumeMounts": [
                                {
                                    "name": "podmedic-trigger",
                                    "mountPath": "/var/run/podmedic",
                                    "readOnly": True,
                                }
                            ],
                        },
                        {"name": "other", "image": "other"},
                    ],
                    "volumes": [
                        {
                            "name": "podmedic-trigger",
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "trigger.json",
                                        "fieldRef": {
                                            "fieldPath": "metadata.annotations['podmedic.io/trigger']"
                                        },
                                    }
                                ]
                            },
                        }
                    ],
                },
            },
        },
    }


def test_a_job_gives_its_trigger_back() -> None:
    found = trigger()

    made = Template(copy.deepcopy(TEMPLATE), 300).job("n", found)

    assert trigger_of_job(made) == msgspec.structs.replace(found, id="n")
    assert trigger_of_job({}) is None
    assert trigger_of_job({"spec": {"template": None}}) is None


def _changed(**changes: Any) -> dict[str, Any]:
    template = copy.deepcopy(TEMPLATE)
    template.update({k: v for k, v in changes.items() if k in ("kind", "metadata")})
    template["spec"].update(changes.get("spec", {}))
    template["spec"]["template"]["spec"].update(changes.get("pod", {}))
    return template


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "expected one document with apiVersion: batch/v1 and kind: Job"),
        (
            _changed(kind="CronJob"),
            "expected one document with apiVersion: batch/v1 and kind: Job",
        ),
        (
            _changed(metadata={"name": "a" * 43}),
            (
                "metadata.name is the beginning of every Job's name: 42 lower case letters, digits and "
                "- at most"
            ),
        ),
        (
            _changed(spec={"ttlSecondsAfterFinished": 200}),
            (
                "spec.ttlSecondsAfterFinished is less than 600 s: what is forgotten so early would "
                "be run again"
            ),
        ),
        (_changed(pod={"containers": []}), "spec.template.spec.containers: expected a container"),
        (
            _changed(pod={"restartPolicy": "Always"}),
            "spec.template.spec.restartPolicy: expected Never",
        ),
    ],
)
def test_what_is_no_template(template: Any, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template(template, 300)
    assert str(refused.value) == message


def test_a_large_group_is_several_jobs_that_each_fit() -> None:
    long = {"annotations": {f"a{n}": "x" * 1000 for n in range(8)}}
    whole = trigger(*pods(100, **long))

    made = parts(whole)

    assert len(made) > 5
    assert all(len(encode(each)) <= MAX_TRIGGER_BYTES for each in made)
    every = [each for part in made for each in part.alerts]
    assert sorted(map(alert_id, every)) == sorted(map(alert_id, whole.alerts))
    reverse = msgspec.structs.replace(whole, alerts=tuple(reversed(whole.alerts)))
    assert parts(reverse) == made
    assert len(parts(trigger(*pods(100)))) == 1


# --- the queue ----------------------------------------------------------------------------------


def job(
    name: str, *, age: float = 0.0, released: float | None = None, ended: bool = False,
    alerts: str = "", about: str = "",
) -> Job:  # fmt: skip
    """`age` and `released` are seconds ago."""
    annotations = {"podmedic.io/alerts": alerts, "podmedic.io/about": about}
    if released is not None:
        at = RECEIVED - timedelta(seconds=released)
        annotations["podmedic.io/released-at"] = at.isoformat()
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "creationTimestamp": (RECEIVED - timedelta(seconds=age)).isoformat(),
                "annotations": annotations,
            },
            "spec": {"suspend": released is None and not ended},
            "status": {"conditions": conditions},
        },
        Job,
    )


def names(jobs: list[Job]) -> list[str]:
    return [each.name for each in jobs]


def test_the_oldest_begin_first_within_the_budget() -> None:
    waiting = [job(f"q{n}", age=100 - n) for n in range(9)]

    assert names(to_release(waiting, Limits(runs_per_minute=3, runs=9), RECEIVED)) == [
        "q0", "q1", "q2",
    ]  # fmt: skip
    assert names(to_release(waiting, Limits(runs_per_minute=9, runs=2), RECEIVED)) == ["q0", "q1"]


def test_what_began_within_a_minute_counts_though_it_has_ended() -> None:
    limits = Limits(runs_per_minute=2, runs=9)
    ended = [job("a", released=59, ended=True), job("b", released=61, ended=True)]

    assert names(to_release([*ended, job("q0"), job("q1")], limits, RECEIVED)) == ["q0"]


def test_what_goes_on_counts_however_long_ago_it_began() -> None:
    limits = Limits(runs_per_minute=9, runs=2)
    busy = [job("a", released=5000), job("b", released=5000, ended=True)]

    assert in_flight(busy) == 1
    assert names(to_release([*busy, job("q0"), job("q1")], limits, RECEIVED)) == ["q0"]


def test_a_job_that_somebody_else_released_counts() -> None:
    found = job("a", released=0)
    found.metadata.annotations.pop("podmedic.io/released-at")
    assert to_release([found, job("q")], Limits(runs_per_minute=1), RECEIVED) == []


@pytest.mark.parametrize("text", ["soon", "2026-11-23T03:00:00", "", "2026-11-23"])
def test_nonsense_in_the_place_of_a_time_stops_nothing(text: str) -> None:
    found = job("a", released=0)
    found.metadata.annotations["podmedic.io/released-at"] = text
    assert found.released_at == found.metadata.creation_timestamp
    assert names(to_release([found, job("q")], Limits(runs_per_minute=2), RECEIVED)) == ["q"]


def test_a_full_queue() -> None:
    jobs = [job("a"), job("b"), job("c", released=1), job("d", ended=True)]
    assert names(queued(jobs)) == ["a", "b"]
    assert is_full(jobs, Limits(queued=2))
    assert not is_full(jobs, Limits(queued=3))


@given(
    st.lists(
        st.tuples(st.floats(0, 200), st.none() | st.floats(0, 200), st.booleans()), max_size=30
    ),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_never_above_the_budget(
    found: list[tuple[float, float | None, bool]], per_minute: int, runs: int
) -> None:
    jobs = [
        job(f"j{n}", age=age, released=released, ended=ended)
        for n, (age, released, ended) in enumerate(found)
    ]
    limits = Limits(runs_per_minute=per_minute, runs=runs)

    begun = to_release(jobs, limits, RECEIVED)

    before = [each for each in jobs if each.released_at is not None]
    lately = [
        each
        for each in before
        if each.released_at and each.released_at > RECEIVED - timedelta(minutes=1)
    ]
    assert not begun or len(begun) + len(lately) <= per_minute
    assert not begun or len(begun) + in_flight(jobs) <= runs
    assert all(each.spec.suspend and each.end is None for each in begun)


def sorted_names(jobs: list[Job], limits: Limits = Limits()) -> list[list[str]]:  # noqa: B008
    found = sort_alerts(trigger(*pods(2)).alerts, jobs, limits, RECEIVED)
    return [
        [each.labels["pod"] for each in found.fresh],
        [f"{each.labels['pod']} {run}" for each, run in found.known],
        [f"{each.labels['pod']} {run}" for each, run in found.cooling],
    ]


def test_alerts_that_have_a_run_and_workloads_that_cool_down() -> None:
    first, second = trigger(*pods(2)).alerts
    assert first.aim is not None
    both = about(first.aim)

    assert sorted_names([]) == [["web-0", "web-1"], [], []]
    # The second one is about the same workload; what has a run itself is not cooling.
    assert sorted_names([job("a", age=10, released=9, alerts=alert_id(first), about=both)]) == [
        [], ["web-0 a"], ["web-1 a"],
    ]  # fmt: skip
    assert sorted_names([job("a", age=301, released=300, about=both)]) == [
        ["web-0", "web-1"], [], [],
    ]  # fmt: skip
    # One that waits will look at it, however long ago it was stored.
    assert sorted_names([job("a", age=9000, about=both)])[2] == ["web-0 a", "web-1 a"]
    assert sorted_names([job("a", age=1, about=both)], Limits(cool_down_seconds=0))[0] == [
        "web-0", "web-1",
    ]  # fmt: skip
    assert second.fingerprint != first.fingerprint


def test_an_alert_that_is_told_twice_is_one() -> None:
    found = sort_alerts([one(), one(annotations={})], [], Limits(), RECEIVED)
    assert found.fresh == (one(),)
