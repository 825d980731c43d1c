"""One run at a time in a pod, also where two see it free at the same instant."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from runner.cluster import ClusterError, ErrorReason, Scope
from runner.debt import DebtLimits, over_cap
from runner.examine import alone
from runner.examine.alone import add_when_alone
from runner.examine.inject import Injected, send
from runner.examine.watch import PodHub
from runner.model.pod import Pod
from runner.plan import container_for
from runner.select import Skip
from runner.sweep.others import Others
from tests.unit.pods import NOW, ago, pod, running
from tests.unit.turns import context, plan_of

BODY = {"name": "podmedic-ours-1", "image": "tools:1"}
CHANGED = ClusterError(ErrorReason.CONFLICT, "the object has been modified", status=409)
REPLACED = ClusterError(ErrorReason.REPLACED, "another uid", status=422)


def _of(run: str, name: str) -> dict[str, Any]:
    return {"name": name, "image": "tools:1", "env": [{"name": "PODMEDIC_RUN", "value": run}]}


def _view(version: int, *containers: dict[str, Any], **status: Any) -> Pod:
    return pod(
        running(),
        metadata={"resourceVersion": str(version), "generation": 1 + len(containers)},
        spec={"ephemeralContainers": list(containers)},
        status={"ephemeralContainerStatuses": [status] if status else []},
    )


THEIRS = _of("r1", "podmedic-theirs-1")
AT_WORK = {"name": THEIRS["name"], "state": {"running": {"startedAt": ago(seconds=2)}}}
ENDED = {"name": THEIRS["name"], "state": {"terminated": {"exitCode": 0}}}


class _Server:
    """Answers PATCHes in that order: an error, or None for the pod with ours in it."""

    def __init__(self, answers: Sequence[ClusterError | None], listed: Sequence[Pod]) -> None:
        self._answers = list(answers)
        self._listed = listed
        self.asked: list[str] = []

    async def add_ephemeral_container(
        self, given: Pod, body: dict[str, Any], *, if_unchanged: bool = False
    ) -> tuple[Pod, Sequence[str]]:
        self.asked.append(f"patch {given.metadata.resource_version if if_unchanged else ''}")
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer
        return given, ("said",)

    async def list_pods(self, scope: Scope) -> AsyncIterator[tuple[Sequence[Pod], str]]:
        assert scope == Scope(namespace="shop", field_selector="metadata.name=web-1")
        self.asked.append("list")
        yield self._listed, "9"


class _Hub(PodHub):
    """Gives the next view to whoever waits."""

    def __init__(self, *views: Pod) -> None:
        nobody: Any = None
        super().__init__(nobody)
        self.track(views[0])
        self._next = list(views[1:])

    async def changed(self, uid: str, timeout_seconds: float, *, is_urgent: bool = False) -> bool:
        assert timeout_seconds > 0
        self.track(self._next.pop(0))
        return True


async def _added(
    server: _Server, hub: _Hub, *, max_containers: int = 9, stopped: Sequence[Skip | None] = ()
) -> tuple[Pod, Sequence[str]] | Skip:
    nothing: Any = None

    async def announce() -> None:
        server.asked.append("announce")

    others = Others("r2", nothing, nothing, lambda: None, lambda: NOW)
    answers = iter(stopped)
    ctx = context(
        hub, cluster=server, run_id="r2",
        over_cap=lambda pod: over_cap(pod, DebtLimits(max_containers=max_containers)),
        stopped=lambda: next(answers, None), taken_until=others.until,
    )  # fmt: skip
    return await add_when_alone(ctx, hub.latest(_view(1).metadata.uid), BODY, announce)


async def test_of_two_that_saw_the_pod_free_the_second_one_waits_for_the_first() -> None:
    server = _Server([CHANGED, None], [_view(5, THEIRS)])
    # The watch is behind the LIST, and then says how it goes on.
    hub = _Hub(_view(1), _view(4), _view(6, THEIRS, **AT_WORK), _view(7, THEIRS, **ENDED))
    added = await _added(server, hub)
    assert server.asked == ["announce", "patch 1", "list", "patch 7"]
    assert added == (_view(7, THEIRS, **ENDED), ("said",))


async def test_a_pod_that_changed_for_another_reason_is_entered_as_it_is_now() -> None:
    server = _Server([CHANGED, CHANGED, None], [_view(5)])
    await _added(server, _Hub(_view(1)))
    assert server.asked == ["announce", "patch 1", "list", "patch 5", "list", "patch 5"]


async def test_ours_whose_answer_was_lost_is_sent_once_more_which_changes_nothing() -> None:
    server = _Server([CHANGED, None], [_view(5, _of("r2", BODY["name"]))])
    await _added(server, _Hub(_view(1)))
    assert server.asked == ["announce", "patch 1", "list", "patch "]


async def test_a_pod_that_was_replaced_is_told_by_its_uid() -> None:
    server = _Server([CHANGED, REPLACED], [])
    with pytest.raises(ClusterError) as raised:
        await _added(server, _Hub(_view(1)))
    assert raised.value is REPLACED
    assert server.asked == ["announce", "patch 1", "list", "patch "]


async def test_the_cap_counts_what_another_run_has_put_there_meanwhile() -> None:
    server = _Server([CHANGED], [_view(5, THEIRS, **ENDED)])
    refused = await _added(server, _Hub(_view(1)), max_containers=1)
    assert isinstance(refused, Skip)
    assert refused.reason == "EphemeralBudget"
    assert server.asked == ["announce", "patch 1", "list"]


async def test_nothing_is_sent_once_the_breaker_is_open_for_whatever_it_waited() -> None:
    """For another run, or after a conflict."""
    opened = Skip("BreakerOpen", "shop/web-7 changed")
    hub = _Hub(_view(4), _view(6, THEIRS, **AT_WORK), _view(7, THEIRS, **AT_WORK))
    await hub.changed("u1", 1)
    server = _Server([], [])
    assert await _added(server, hub, stopped=[None, opened, opened]) == opened
    assert server.asked == []

    server = _Server([CHANGED], [_view(5)])
    assert await _added(server, _Hub(_view(1)), stopped=[None, opened]) == opened
    assert server.asked == ["announce", "patch 1", "list"]


async def test_a_pod_that_never_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_FIRST_PAUSE_SECONDS", 0.0)
    server = _Server([CHANGED] * 20, [_view(5)])
    with pytest.raises(ClusterError) as raised:
        await _added(server, _Hub(_view(1)))
    assert raised.value is CHANGED
    assert server.asked == ["announce", "patch 1", *["list", "patch 5"] * 10]


async def test_one_that_is_being_deleted_is_not_waited_for() -> None:
    """The API server has the last word."""
    going = _view(3, THEIRS, **AT_WORK)
    meta = msgspec.structs.replace(going.metadata, deletion_timestamp=NOW)
    server = _Server([None], [])
    await _added(server, _Hub(msgspec.structs.replace(going, metadata=meta)))
    assert server.asked == ["announce", "patch 3"]


async def test_one_that_never_starts_is_waited_for_once_and_not_with_each_word_of_the_pod() -> None:
    nothing: Any = None
    at = [NOW]
    others = Others("r2", nothing, nothing, lambda: None, lambda: at[0])
    waits: list[float | None] = []
    for seconds in (0, 50, 119, 121):
        at[0] = NOW + timedelta(seconds=seconds)
        until = others.until(_view(1, THEIRS))
        waits.append(None if until is None else (until - at[0]).total_seconds())
    assert waits == [120, 70, 1, None]


async def test_the_journal_says_of_what_it_announced_that_it_was_not_sent() -> None:
    """The cap was reached by what another run put there meanwhile."""
    plan = plan_of(pod(running()))
    (injection,) = plan.injections
    server = _Server([CHANGED], [_view(5, THEIRS, **ENDED)])
    said: list[tuple[str, object]] = []

    async def record(event: str, **fields: object) -> None:
        said.append((event, fields.get("reason")))

    ctx = context(
        _Hub(_view(1)), cluster=server, record=record, run_id="r2",
        over_cap=lambda pod: over_cap(pod, DebtLimits(max_containers=1)),
    )  # fmt: skip
    built = container_for(plan, injection, name="podmedic-x-1", run_id="r2", program="true")
    sent = await send(ctx, plan, injection, built)
    assert isinstance(sent, Injected)
    assert sent.reason == "EphemeralBudget"
    assert said == [("injecting", None), ("refused", "EphemeralBudget")]
