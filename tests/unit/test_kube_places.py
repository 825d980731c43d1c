"""How many requests have a connection at a time."""

import asyncio

from runner.kube.places import Places


async def test_few_are_enough_while_nobody_waits() -> None:
    places = Places(few=1, most=3, patience_seconds=0.0)
    for _ in range(5):
        await places.take()
        places.give_back()

    assert places.count == 1


async def test_there_are_more_while_somebody_waits_and_no_more_than_the_most() -> None:
    places = Places(few=1, most=3, patience_seconds=0.001)
    async with asyncio.timeout(10):
        for _ in range(3):
            await places.take()
        fourth = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        assert (places.count, fourth.done()) == (3, False)
        places.give_back()
        await fourth

    assert places.count == 3
