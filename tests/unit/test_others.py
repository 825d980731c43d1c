"""Which pods other runs are at work in, as the scheduler hears it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from runner import debt
from runner.budget import Candidate
from runner.cluster import Scope
from runner.sweep.others import Others
from runner.sweep.readiness import Budgets
from tests.unit.test_alone import AT_WORK, ENDED, THEIRS, _view


class _Scheduler:
    def __init__(self) -> None:
        self.said: list[str] = []

    def taken(self, pod: Candidate) -> None:
        self.said.append(f"taken {pod.uid} ready={pod.ready}")

    def left(self, uid: str) -> bool:
        self.said.append(f"left {uid}")
        return True


def _others(news: asyncio.Event) -> tuple[Others, _Scheduler]:
    scheduler = _Scheduler()
    given: Any = scheduler
    return Others("r2", Budgets(()), given, news.set, lambda: datetime.now(UTC)), scheduler


def _now() -> dict[str, Any]:
    return {"running": {"startedAt": datetime.now(UTC).isoformat()}}


async def test_a_pod_is_taken_from_the_first_word_of_it_to_the_end_of_their_container() -> None:
    news = asyncio.Event()
    others, scheduler = _others(news)
    others.began([_view(1, THEIRS)])
    others.on_pod(_view(2, THEIRS, **{**AT_WORK, "state": _now()}), gone=False)
    assert (scheduler.said, news.is_set()) == (["taken u1 ready=True"], False)
    others.on_pod(_view(3, THEIRS, **ENDED), gone=False)
    others.on_pod(_view(4, THEIRS, **ENDED), gone=False)
    assert (scheduler.said[1:], news.is_set()) == (["left u1"], True)


@pytest.mark.parametrize("how", ["deleted", "relisted"])
async def test_a_pod_that_goes_is_nobodys(how: str) -> None:
    others, scheduler = _others(asyncio.Event())
    pod = _view(1, THEIRS)
    others.began([pod])
    if how == "deleted":
        others.on_pod(pod, gone=True)
    else:
        others.on_relist(Scope(namespace="bank"), frozenset())
        others.on_relist(Scope(namespace="shop"), frozenset({pod.metadata.uid}))
        assert len(scheduler.said) == 1
        others.on_relist(Scope(namespace=None), frozenset())
    assert scheduler.said[1:] == ["left u1"]


async def test_one_that_never_starts_is_given_up_and_what_starts_late_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debt, "_TO_START", timedelta(seconds=0.1))
    news = asyncio.Event()
    others, scheduler = _others(news)
    stuck = _view(1, THEIRS)
    other = msgspec.structs.replace(
        stuck, metadata=msgspec.structs.replace(stuck.metadata, uid="u2")
    )
    others.began([stuck, other])
    late = _view(2, THEIRS, **{**AT_WORK, "state": _now()})
    others.on_pod(
        msgspec.structs.replace(late, metadata=other.metadata), gone=False
    )  # it has 300 s from here
    async with asyncio.timeout(10):
        await news.wait()
    assert scheduler.said == ["taken u1 ready=True", "taken u2 ready=True", "left u1"]
    # Whatever else is said of the pod.
    others.on_pod(_view(3, THEIRS), gone=False)
    assert len(scheduler.said) == 3
