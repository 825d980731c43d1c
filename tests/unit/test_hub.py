"""The hub of a sweep: when a change may reach it late, for the sake of others."""

import asyncio
from collections.abc import AsyncIterator, Callable

from runner.cluster import PodEvent, Scope
from runner.examine import PodHub
from tests.unit.pods import pod, running

PODS = [
    pod(running(), metadata={"name": f"web-{number}", "uid": f"u{number}"}) for number in range(17)
]


class _Watched:
    """A cluster that keeps what its watch was asked for, and says nothing."""

    def __init__(self) -> None:
        self.may_wait: Callable[[], bool] | None = None

    async def watch_pods(
        self, _: Scope, __: str, *, may_wait: Callable[[], bool]
    ) -> AsyncIterator[PodEvent]:
        self.may_wait = may_wait
        await asyncio.Event().wait()
        yield PodEvent(type="sync")


async def test_changes_are_gathered_while_many_wait_and_nobody_is_in_a_hurry() -> None:
    """Sixteen who wait make it worth while; one that waits for a window of a crash loop ends it,
    and so does the end of the sweep."""
    cluster = _Watched()
    hub = PodHub(cluster)  # type: ignore[arg-type]
    for one in PODS:
        hub.track(one)
    hub.start([(Scope(namespace="shop"), "1")])

    def wait_for(numbers: range, *, is_urgent: bool = False) -> list[asyncio.Task[bool]]:
        return [
            asyncio.create_task(hub.changed(f"u{number}", 60.0, is_urgent=is_urgent))
            for number in numbers
        ]

    async def answer() -> bool:
        await asyncio.sleep(0)
        assert cluster.may_wait is not None
        return cluster.may_wait()

    waiting = wait_for(range(15))
    few = await answer()
    waiting += wait_for(range(15, 16))
    many = await answer()
    (urgent,) = wait_for(range(16, 17), is_urgent=True)
    in_a_hurry = await answer()
    urgent.cancel()
    await asyncio.wait([urgent])
    many_again = await answer()
    hub.wake()
    changed = await asyncio.gather(*waiting)
    last = await answer()
    await hub.stop()

    assert (few, many, in_a_hurry, many_again, last) == (False, True, False, True, False)
    assert changed == [True] * 16
