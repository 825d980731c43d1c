"""Pods that the API server treats alike: what it refuses to one of them is not tried on the others.

The first of a kind asks for all: a PATCH that is refused changes as little as a dry run.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from runner.cluster import ErrorReason
from runner.examine import Examined
from runner.model.report import PodOutcome
from runner.plan import InjectionPlan, PodPlan, left_in, without_impossible
from runner.preflight import kind_of
from runner.select import Skip

# What is refused to one pod for one of these is refused to all of its kind.
OF_THE_KIND = frozenset(
    {
        ErrorReason.POD_SECURITY,
        ErrorReason.ADMISSION,
        ErrorReason.INVALID,
        ErrorReason.FORBIDDEN,
    }
)
# The first one may have to wait for its own pod, and no other has to wait for that.
_PATIENCE_SECONDS = 5.0


class Alike:
    """`plans` are those of the run `run_id`. A pod that is refused for what it is counts as one
    that was not tried: it says nothing of the image, nor of other nodes."""

    def __init__(self, plans: Sequence[PodPlan], run_id: str) -> None:
        self._run_id = run_id
        kinds = {kind_of(plan, each) for plan in plans for each in plan.injections if each.steps}
        self._answers = {kind: asyncio.Event() for kind in kinds}
        self._asks: dict[str, list[tuple[str, InjectionPlan]]] = {}
        self._led: set[str] = set()
        self._refused: dict[str, Skip] = {}

    async def allowed(self, plan: PodPlan) -> PodPlan:
        """The same plan, or without the containers that were refused to another one of the kind;
        once that is known."""
        for each in plan.injections:
            kind = kind_of(plan, each) if each.steps else ""
            if kind not in self._answers:
                continue
            if kind not in self._led:
                self._led.add(kind)
                self._asks.setdefault(plan.pod.metadata.uid, []).append((kind, each))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._answers[kind].wait()
        return self._without_refused(plan) if self._refused else plan

    def accepted(self, uid: str) -> None:
        """A container was sent to the pod."""
        if asks := self._asks.get(uid):
            kind, _ = asks.pop(0)
            self._answers[kind].set()

    def ended(self, one: Examined) -> Examined:
        """The same, or one that counts as those that are not tried: refused for what it is."""
        uid = one.plan.pod.metadata.uid
        asks = self._asks.pop(uid, [])
        if asks and _is_refused(one, asks[0][1]):
            # What it says has been through the choke point.
            why = Skip(one.result.reason, one.result.message)
            self._refused[asks[0][0]] = why
            one = replace(one, plan=self._without_refused(one.plan))
        for kind, _ in asks:
            self._answers[kind].set()
        return one

    def _without_refused(self, plan: PodPlan) -> PodPlan:
        def why(injection: InjectionPlan) -> Skip | None:
            there = left_in(plan, injection, self._run_id) is not None
            return None if there else self._refused.get(kind_of(plan, injection))

        return without_impossible(plan, why)


def _is_refused(one: Examined, asked: InjectionPlan) -> bool:
    """Nothing was sent, and not because the pod had become another one than it was."""
    result = one.result
    return (
        result.outcome is PodOutcome.ERROR
        and not result.container
        and result.reason in {reason.value for reason in OF_THE_KIND}
        and [each.strategy for each in result.strategies][-1:] == [asked.choice.strategy]
    )
