"""Limits that hold at every instant, whatever order things happen in."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.budget import Candidate, Held, Limits, Scheduler, Standing

LIFTED = Limits(in_flight=0, per_node=0, per_workload=0, canary=False)


def candidate(number: int, **fields: object) -> Candidate:
    values: dict[str, object] = {
        "uid": f"u{number}", "namespace": "shop", "node": "n1", "workload": "web",
        "pool": "tools:1", "ready": True,
    }  # fmt: skip
    return Candidate(**(values | fields))  # type: ignore[arg-type]


def scheduler(limits: Limits, *candidates: Candidate, ready: int = 0, **pdbs: int) -> Scheduler:
    """`ready` pods of `web` in all; `pdbs` is what each budget allows."""
    found = {c.uid: Standing(c.workload, c.budgets) for c in candidates if c.ready}
    others = max(0, ready - len(found))
    found |= {f"other{number}": Standing("web") for number in range(others)}
    return Scheduler(limits, candidates, ready=found, disruptions_allowed=pdbs)


def many(count: int, **fields: object) -> list[Candidate]:
    return [candidate(n, **fields) for n in range(count)]


def test_lifted_limits_let_everyone_go_at_once() -> None:
    assert len(scheduler(LIFTED, *many(500)).admit()) == 500


def test_a_quarter_of_the_ready_pods_and_one_at_least() -> None:
    limits = Limits(canary=False, per_node=0)
    assert len(scheduler(limits, *many(3)).admit()) == 1
    assert len(scheduler(limits, *many(40)).admit()) == 10
    # Pods that were not selected are Ready too.
    assert len(scheduler(limits, *many(10), ready=40).admit()) == 10


def test_pods_that_are_not_ready_serve_nobody() -> None:
    limits = Limits(canary=False, per_node=0)
    assert len(scheduler(limits, *many(20, ready=False)).admit()) == 20


def test_where_another_run_is_at_work_ours_waits_and_its_pods_count_as_ours() -> None:
    both = scheduler(Limits(canary=False, per_node=2), *many(8))
    both.taken(candidate(0))
    assert both.admit() == ["u1"]  # two of eight Ready pods, and one is taken
    both.taken(candidate(0))
    assert both.left("u0")
    assert not both.left("u0")
    assert both.admit() == ["u0"]

    elsewhere = scheduler(Limits(canary=False, per_node=2), *many(3, ready=False))
    elsewhere.taken(candidate(9, ready=False))
    assert elsewhere.admit() == ["u0"]


def test_what_is_read_from_the_api_alone_waits_for_nobody() -> None:
    reading = scheduler(LIFTED, candidate(0, injects=False))
    reading.taken(candidate(0))
    assert reading.admit() == ["u0"]


def test_a_disruption_budget_bounds_further_but_never_to_nothing() -> None:
    limits = Limits(canary=False, per_node=0)
    pods = many(40, budgets=("pdb",))
    assert len(scheduler(limits, *pods, pdb=3).admit()) == 3
    assert len(scheduler(limits, *pods, pdb=0).admit()) == 1


def test_a_disruption_budget_over_two_workloads_is_one_budget() -> None:
    limits = Limits(canary=False, per_node=0)
    pods = [candidate(n, workload=f"w{n % 2}", budgets=("pdb",)) for n in range(40)]
    assert len(scheduler(limits, *pods, pdb=3).admit()) == 3


def test_pods_that_cease_to_be_ready_leave_less_to_the_others() -> None:
    limits = Limits(canary=False, per_node=0)
    subject = scheduler(limits, *many(8, budgets=("pdb",)), ready=80, pdb=6)
    # Not of those that wait: pods that somebody else lost.
    assert [subject.saw(f"other{n}", None) for n in range(4)] == [True] * 4
    assert (subject.workload_limit("web"), subject.budget_limit("pdb")) == (19, 6)
    assert subject.saw("other0", None) is False
    subject.saw("u7", None)
    subject.saw("u6", None)
    assert (subject.workload_limit("web"), subject.budget_limit("pdb")) == (18, 4)
    # Those two serve nobody now, and go beside the four.
    assert sorted(subject.admit()) == ["u0", "u1", "u2", "u3", "u6", "u7"]
    for uid in ("u0", "u1", "u6", "u7"):
        subject.ended(uid, failed_to_start=False)
    assert subject.admit() == ["u4", "u5"]


def test_a_pod_that_becomes_ready_counts_from_then_on() -> None:
    limits = Limits(canary=False, per_node=0)
    subject = scheduler(limits, *many(4, ready=False, budgets=("pdb",)), pdb=2)
    subject.saw("u3", Standing("web", ("pdb",)))
    assert subject.admit() == ["u0", "u1", "u2", "u3"]
    subject = scheduler(limits, *many(4, ready=False, budgets=("pdb",)), pdb=2)
    for number in range(4):
        subject.saw(f"u{number}", Standing("web", ("pdb",)))
    assert subject.admit() == ["u0"]


@pytest.mark.parametrize("lifted", [{"per_workload": 0}, {"workload_share": Fraction(1)}])
def test_a_disruption_budget_holds_whatever_the_limit_of_the_workload(lifted: Any) -> None:
    limits = Limits(canary=False, per_node=0, **lifted)
    pods = [*many(6, budgets=("pdb",)), candidate(6, workload="free")]
    assert scheduler(limits, *pods, pdb=2).admit() == ["u0", "u1", "u6"]


def test_a_running_pod_that_ceases_to_be_ready_keeps_its_place() -> None:
    """It may be our fault, which is judged when its examination is over: until then nobody else."""
    limits = Limits(canary=False, per_node=0, per_workload=1)
    subject = scheduler(limits, *many(3))
    assert subject.admit() == ["u0"]
    assert subject.saw("u0", None) is True
    assert subject.admit() == []
    subject.saw("u0", Standing("web"))
    subject.saw("u0", None)
    subject.ended("u0", failed_to_start=False)
    assert subject.admit() == ["u1"]


def test_a_running_pod_that_becomes_ready_takes_a_place() -> None:
    limits = Limits(canary=False, per_node=0, per_workload=1)
    subject = scheduler(limits, candidate(0, ready=False), candidate(1))
    subject.saw("u0", Standing("web"))
    assert subject.admit() == ["u1"]
    assert subject.saw("u0", Standing("web")) is False
    subject = scheduler(limits, candidate(0, ready=False), *many(3)[1:])
    assert subject.admit() == ["u0", "u1"]
    subject.saw("u0", Standing("web"))
    subject.ended("u1", failed_to_start=False)
    assert subject.admit() == []
    subject.ended("u0", failed_to_start=False)
    assert subject.admit() == ["u2"]


def test_node_namespace_and_workload_bounds() -> None:
    spread = [candidate(n, node=f"n{n % 2}", workload=f"w{n}") for n in range(10)]
    assert len(scheduler(Limits(canary=False, per_node=2), *spread).admit()) == 4
    assert len(scheduler(Limits(canary=False, per_namespace=3), *spread).admit()) == 3
    assert len(scheduler(Limits(canary=False, per_workload=2, per_node=0), *many(9)).admit()) == 2


def test_the_canary_of_each_pool_goes_first_and_opens_the_way_when_it_runs() -> None:
    pods = [candidate(n, pool=f"pool{n % 2}", workload=f"w{n}") for n in range(6)]
    subject = scheduler(Limits(), *pods)
    assert subject.admit() == ["u0", "u1"]
    assert subject.admit() == []
    assert subject.started("u0") is True
    assert subject.started("u0") is False
    assert subject.admit() == ["u2", "u4"]
    subject.ended("u1", failed_to_start=False)
    assert subject.admit() == ["u3", "u5"]


def test_a_canary_that_does_not_start_saves_its_pool_and_no_other() -> None:
    pods = [candidate(n, pool=f"pool{n % 2}", workload=f"w{n}") for n in range(4)]
    subject = scheduler(Limits(), *pods)
    assert subject.admit() == ["u0", "u1"]
    subject.ended("u0", failed_to_start=True, why="shop/web-0: ErrImagePull")
    assert subject.held() == [Held("u2", "CanaryFailed", "shop/web-0: ErrImagePull")]
    subject.started("u1")
    assert subject.admit() == ["u3"]
    assert subject.held() == []


def test_without_a_canary_the_first_that_does_not_start_holds_back_nobody() -> None:
    subject = scheduler(Limits(in_flight=1, canary=False), *many(2, ready=False))
    assert subject.admit() == ["u0"]
    subject.ended("u0", failed_to_start=True, why="shop/web-0: ErrImagePull")
    assert subject.held() == []
    assert subject.admit() == ["u1"]


def test_it_is_done_when_nobody_waits_and_nobody_is_under_way() -> None:
    subject = scheduler(Limits(in_flight=1), *many(2, ready=False))
    for uid in ("u0", "u1"):
        assert subject.admit() == [uid]
        assert not subject.is_done
        subject.ended(uid, failed_to_start=False)
    assert subject.is_done


def test_a_canary_that_was_not_injected_says_nothing_and_the_next_one_is_it() -> None:
    subject = scheduler(Limits(per_workload=0), *many(3))
    assert subject.admit() == ["u0"]
    subject.ended("u0", failed_to_start=False, counts=False)
    assert subject.admit() == ["u1"]
    assert subject.admit() == []


def test_the_breaker_opens_after_failures_in_a_row() -> None:
    subject = scheduler(LIFTED, *many(9, ready=False))
    subject.admit()
    for number in range(5):
        assert subject.breaker == ""
        subject.ended(f"u{number}", failed_to_start=True, why="shop/web: refused")
    assert subject.breaker == "5 containers in a row did not start, the last: shop/web: refused"
    assert subject.admit() == []


def test_the_breaker_opens_at_a_share_of_failures() -> None:
    limits = Limits(in_flight=10, per_node=0, per_workload=0, canary=False, max_failures=0)
    subject = scheduler(limits, *many(20))
    subject.admit()
    for number in range(10):
        subject.ended(f"u{number}", failed_to_start=number % 3 == 0, why="w")
    assert subject.breaker == "4 of 10 containers did not start, the last: w"
    assert [held.reason for held in subject.held()] == ["BreakerOpen"] * 10


def test_a_changed_app_stops_everything() -> None:
    subject = scheduler(Limits(canary=False, per_node=0), *many(8))
    assert subject.admit() == ["u0", "u1"]
    subject.changed("u0", "shop/web-0: container app ended")
    subject.ended("u0", failed_to_start=False)
    assert subject.admit() == []
    assert {held.message for held in subject.held()} == {"shop/web-0: container app ended"}
    subject.ended("u1", failed_to_start=False)
    assert subject.is_done


def test_three_that_ended_in_their_first_life_count_as_one() -> None:
    subject = scheduler(Limits(canary=False, per_node=0), *many(8))
    for number in (1, 2):
        for _ in range(3):  # it is told of while it is examined, and afterwards
            subject.changed(f"u{number}", f"shop/web-{number}: exit code 1", first_life=True)
        assert not subject.breaker
    subject.changed("u3", "shop/web-3: exit code 1", first_life=True)
    assert subject.breaker == "shop/web-3: exit code 1"

    lifted = scheduler(Limits(max_changed=0), *many(2))
    lifted.changed("u0", "shop/web-0: container app ended")
    assert not lifted.breaker


LIMITS = st.builds(
    Limits,
    in_flight=st.integers(0, 6),
    per_node=st.integers(0, 3),
    per_namespace=st.integers(0, 4),
    per_workload=st.one_of(st.none(), st.integers(0, 3)),
    workload_share=st.sampled_from([Fraction(1, 4), Fraction(1, 2)]),
    canary=st.booleans(),
    max_failures=st.integers(0, 3),
)
CANDIDATES = st.lists(
    st.tuples(*(st.integers(0, 2) for _ in range(4)), st.booleans()), min_size=1, max_size=25
)


@settings(max_examples=200)
@given(LIMITS, CANDIDATES, st.randoms(use_true_random=False))
def test_no_limit_is_exceeded_at_any_instant_and_nobody_is_forgotten(
    limits: Limits, drawn: list[tuple[int, int, int, int, bool]], random: object
) -> None:
    pods = [
        candidate(n, namespace=f"ns{a}", node=f"n{b}", workload=f"w{c}", pool=f"p{d}", ready=ready)
        for n, (a, b, c, d, ready) in enumerate(drawn)
    ]
    by_uid = {pod.uid: pod for pod in pods}
    subject = scheduler(limits, *pods)
    running: set[str] = set()
    proven: set[str] = set()
    begun: set[str] = set()
    seen: list[str] = []
    for _ in range(10 * len(pods) + 10):
        admitted = subject.admit()
        assert not (admitted and subject.breaker)
        running.update(admitted)
        seen += admitted
        held = subject.held()
        seen += [h.uid for h in held]
        here = [by_uid[uid] for uid in running]
        assert not limits.in_flight or len(here) <= limits.in_flight
        for field, bound in (("node", limits.per_node), ("namespace", limits.per_namespace)):
            most = max(Counter(getattr(pod, field) for pod in here).values(), default=0)
            assert not bound or most <= bound
        for workload, count in Counter(pod.workload for pod in here if pod.ready).items():
            allowed = subject.workload_limit(workload)
            assert not allowed or count <= allowed
        if limits.canary:
            for pool, count in Counter(pod.pool for pod in here).items():
                assert pool in proven or count <= 1
        if not running:
            break
        uid = random.choice(sorted(running))  # type: ignore[attr-defined]
        match random.randrange(uid in begun, 3):  # type: ignore[attr-defined]
            case 0:
                subject.started(uid)
                begun.add(uid)
                proven.add(by_uid[uid].pool)
            case 1:
                subject.ended(uid, failed_to_start=False)
                proven.add(by_uid[uid].pool)
                running.discard(uid)
            case _:
                subject.ended(uid, failed_to_start=True, why="why")
                running.discard(uid)
    assert subject.is_done
    assert sorted(seen) == sorted(by_uid)
