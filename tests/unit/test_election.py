"""An alert that several Jobs have is run by one of them: whatever the order in which the requests of
several replicas arrive, and wherever one of them is killed."""

import asyncio
import copy
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cluster import ClusterError, ErrorReason
from runner.model.trigger import Trigger
from runner.serve.accept import run_value
from runner.serve.metrics import Metrics
from runner.serve.release import Releaser
from runner.serve.store import JobStore
from runner.triggers.jobs import KUEUE_LABEL, Job, Template, trigger_of_job
from runner.triggers.queue import Limits
from tests.unit.alerts import LABELS, RECEIVED, alert
from tests.unit.test_serve_store import Jobs
from tests.unit.test_trigger_jobs import TEMPLATE, trigger

Actor = Callable[[Any], Awaitable[None]]


def of(*letters: str) -> Trigger:
    """A trigger with an alert for each letter."""
    return trigger(
        *(alert({**LABELS, "pod": f"{each}-0"}, fingerprint=each * 16) for each in letters)
    )


@cache
def manifest(letters: str) -> dict[str, Any]:
    return Template(TEMPLATE, 300).job(f"podmedic-alert-{letters}", of(*letters))


def letters_of(stored: Mapping[str, Any]) -> str:
    """The alerts that its pod would be told of."""
    found = trigger_of_job(stored)
    assert found is not None
    return "".join(sorted(each.fingerprint[0] for each in found.alerts))


def begun(server: Jobs) -> dict[str, str]:
    """What runs, by the letters that its Job was made for."""
    return {
        name.removeprefix("podmedic-alert-"): letters_of(each)
        for name, each in sorted(server.stored.items())
        if not each["spec"]["suspend"]
    }


class Client:
    """A replica's way to the API server: each request waits for its turn before it is served."""

    def __init__(self, server: Jobs) -> None:
        self._server = server
        self._turn: asyncio.Future[bool] | None = None
        self._orphans: list[Callable[[], Awaitable[Any]]] = []

    @property
    def waits(self) -> bool:
        return self._turn is not None and not self._turn.done()

    def serve(self, *, answer: bool = True) -> None:
        """Lets its request be served; without an answer it is served later, by `serve_orphan`."""
        assert self._turn is not None
        self._turn.set_result(answer)

    @property
    def orphans(self) -> int:
        return len(self._orphans)

    async def serve_orphan(self) -> None:
        request = self._orphans.pop(0)
        with suppress(ClusterError):
            await request()

    def __getattr__(self, verb: str) -> Any:
        async def request(*words: Any, **named: Any) -> Any:
            self._turn = asyncio.get_running_loop().create_future()
            answered = await self._turn

            def ask() -> Any:
                return getattr(self._server, verb)(*words, **named)

            if not answered:
                self._orphans.append(ask)
                raise TimeoutError
            return await ask()

        return request


@cache
def metrics() -> Metrics:
    """Nobody reads it; to make one for each of thousands of orders takes longer than they do."""
    return Metrics()


def releaser(client: Any, runs: int = 99) -> tuple[JobStore, Releaser]:
    store = JobStore(client, "podmedic", lambda: 0.0)
    limits = Limits(runs_per_minute=99, runs=runs)
    return store, Releaser(
        store, client, limits, metrics(), name="serve", identity="x", now=lambda: RECEIVED
    )


def replica(looks: int) -> Actor:
    """Takes itself for the leader, as one does that was asleep while its Lease ran out."""

    async def act(client: Any) -> None:
        store, found = releaser(client)
        for _ in range(looks):
            with suppress(TimeoutError):
                await store.refresh()
                await found.look(lambda: False)

    return act


def sender(letters: str) -> Actor:
    async def act(client: Any) -> None:
        with suppress(TimeoutError):
            await JobStore(client, "podmedic").create(manifest(letters))

    return act


async def play(server: Jobs, actors: Sequence[Actor], choose: Callable[[int], int], *,
               kills: bool = False, orphans: bool = False) -> None:  # fmt: skip
    """One order of the requests: `choose` says which of so many possible things is next."""
    clients = [Client(server) for _ in actors]
    tasks = [asyncio.ensure_future(act(c)) for act, c in zip(actors, clients, strict=True)]
    alive = set(range(len(actors)))
    try:
        while True:
            for each in alive:
                while not (clients[each].waits or tasks[each].done()):  # noqa: ASYNC110  two things
                    await asyncio.sleep(0)
            waiting = sorted(each for each in alive if not tasks[each].done())
            doings = [("serve", each) for each in waiting]
            # All replicas are alike, and one is to be left.
            doings += [("kill", 0)] if kills and 0 in waiting else []
            doings += [
                ("ignore", each) for each in waiting if orphans and not clients[each].orphans
            ]
            doings += [("late", n) for n, client in enumerate(clients) if client.orphans]
            if not doings:
                break
            what, which = doings[choose(len(doings))]
            if what == "kill":
                alive.remove(which)
            elif what == "late":
                await clients[which].serve_orphan()
            else:
                clients[which].serve(answer=what == "serve")
            await asyncio.sleep(0)
            assert_nothing_runs_twice(server)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for each in alive:
        tasks[each].result()


def assert_nothing_runs_twice(server: Jobs) -> None:
    runs = Counter("".join(begun(server).values()))
    assert not runs or max(runs.values()) == 1, begun(server)


async def assert_everything_runs_once(server: Jobs) -> None:
    """When a replica comes that nobody disturbs."""
    store, found = releaser(server)
    version = -1
    while version != server.version:
        version = server.version
        await store.refresh()
        await found.look(lambda: False)
    wanted = set("".join(name.removeprefix("podmedic-alert-") for name in server.stored))
    assert Counter("".join(begun(server).values())) == Counter(wanted)
    jobs = [msgspec.convert(each, Job) for each in server.stored.values()]
    for job in jobs:
        assert job.begun is not bool(job.covered_by), job


def orders() -> Iterator[Callable[[int], int]]:
    """Every order once: gives what chooses, and learns from it what there was to choose."""
    taken: list[tuple[int, int]] = []
    while True:
        step = itertools.count()

        def choose(count: int, step: Iterator[int] = step) -> int:
            at = next(step)
            if at == len(taken):
                taken.append((0, count))
            assert taken[at][1] == count, "the same choices lead to the same place"
            return taken[at][0]

        yield choose
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return
        last, count = taken.pop()
        taken.append((last + 1, count))


async def every_order(first: Sequence[str], actors: Sequence[Actor], **given: bool) -> int:
    count = 0
    for choose in orders():
        server = Jobs()
        for letters in first:
            await sender(letters)(server)
        await play(server, actors, choose, **given)
        await assert_everything_runs_once(server)
        count += 1
    return count


async def test_two_that_lead_and_a_job_that_comes_meanwhile_in_every_order() -> None:
    """It comes before the other one in the queue: who knows both releases another one first."""
    assert await every_order(["bc"], [replica(1), replica(1), sender("ab")]) > 500


async def test_a_kill_between_any_two_requests() -> None:
    assert await every_order(["ab", "b"], [replica(1), replica(1)], kills=True) > 100


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_many_jobs_and_leaders_kills_and_answers_that_are_lost(data: st.DataObject) -> None:
    parts = st.sets(st.sampled_from("abcde"), min_size=1).map(lambda s: "".join(sorted(s)))
    groups = data.draw(st.lists(parts, min_size=2, max_size=5, unique=True))
    actors = [*map(sender, groups), *(replica(2) for _ in range(data.draw(st.integers(1, 3))))]

    async def run() -> None:
        server = Jobs()
        await play(
            server, actors, lambda count: data.draw(st.integers(0, count - 1)),
            kills=data.draw(st.booleans()), orphans=data.draw(st.booleans()),
        )  # fmt: skip
        await assert_everything_runs_once(server)

    asyncio.run(run())


async def test_what_is_left_of_a_job_runs_and_a_job_without_anything_says_who_has_it() -> None:
    server = Jobs()
    for letters in ("ab", "b", "bc"):
        await sender(letters)(server)
    await assert_everything_runs_once(server)
    store, _ = releaser(server)
    await store.refresh()
    job = {each.name.removeprefix("podmedic-alert-"): each for each in store.jobs}
    owner = {
        "apiVersion": "batch/v1", "kind": "Job", "name": "podmedic-alert-ab",
        "uid": "uid-podmedic-alert-ab",
    }  # fmt: skip

    assert begun(server) == {"ab": "ab", "bc": "c"}
    assert {name: "".join(sorted(a[0] for a in each.alerts)) for name, each in job.items()} == {
        "ab": "ab", "b": "", "bc": "c",
    }  # fmt: skip
    left = trigger_of_job(server.stored["podmedic-alert-bc"])
    assert left is not None
    assert left.not_shown == 1
    covered = run_value(job["b"], "podmedic", RECEIVED)
    assert (covered["state"], covered["coveredBy"]) == ("covered", ("podmedic-alert-ab",))
    # It goes with the run that has its alert, and no cool-down counts from it.
    assert server.stored["podmedic-alert-b"]["metadata"]["ownerReferences"] == [owner]
    assert job["b"].about == frozenset()


class Refusing(Jobs):
    """Refuses each change that `refused` says of, and counts them."""

    def __init__(self, refused: Callable[[str, Any], bool], reason: ErrorReason) -> None:
        super().__init__()
        self.count = 0
        self._refused = refused
        self._reason = reason

    async def patch(self, resource: Any, name: str, namespace: Any, body: Any, as_: Any) -> Any:
        if self._refused(name, body):
            self.count += 1
            raise ClusterError(self._reason, "no", status=403)
        return await super().patch(resource, name, namespace, body, as_)


async def test_where_nobody_may_say_who_owns_a_job_it_is_covered_all_the_same() -> None:
    server = Refusing(lambda _, body: "ownerReferences" in body["metadata"], ErrorReason.FORBIDDEN)
    for letters in ("ab", "b"):
        await sender(letters)(server)
    await assert_everything_runs_once(server)

    assert begun(server) == {"ab": "ab"}


@pytest.mark.parametrize(
    "reason", [ErrorReason.FORBIDDEN, ErrorReason.ADMISSION, ErrorReason.INVALID]
)
async def test_a_job_that_a_policy_refuses_to_release_holds_up_no_other(
    reason: ErrorReason,
) -> None:
    server = Refusing(lambda name, _: name == "podmedic-alert-a", reason)
    for letters in ("a", "b"):
        await sender(letters)(server)
    store, found = releaser(server)
    for _ in range(3):
        await store.refresh()
        await found.look(lambda: False)

    assert (begun(server), server.count) == ({"b": "b"}, 1)


async def test_a_job_that_may_not_be_covered_holds_up_no_other() -> None:
    """It is tried with and without owners, and again after half a minute."""
    server = Refusing(lambda name, _: name == "podmedic-alert-b", ErrorReason.ADMISSION)
    await sender("ab")(server)
    store, found = releaser(server)
    await store.refresh()
    await found.look(lambda: False)
    for letters in ("b", "c"):
        await sender(letters)(server)
    for _ in range(3):
        await store.refresh()
        await found.look(lambda: False)

    assert (begun(server), server.count) == ({"ab": "ab", "c": "c"}, 2)


async def test_kueue_is_given_a_job_when_it_is_known_what_it_runs() -> None:
    """It takes a Job as soon as it has the label; how many it releases is its own affair."""
    template = copy.deepcopy(TEMPLATE)
    template["metadata"]["labels"][KUEUE_LABEL] = "diagnostics"
    server = Jobs()
    store, found = releaser(server, runs=1)
    for letters in ("ab", "b", "bc"):
        made = Template(template, 300).job(f"podmedic-alert-{letters}", of(*letters))
        assert KUEUE_LABEL not in made["metadata"]["labels"]
        await store.create(made)
    for _ in range(3):
        await found.look(lambda: False)
    given = {
        name.removeprefix("podmedic-alert-"): letters_of(each)
        for name, each in server.stored.items()
        if each["metadata"]["labels"].get(KUEUE_LABEL) == "diagnostics"
    }

    assert (given, begun(server)) == ({"ab": "ab", "bc": "c"}, {})
    assert {job.name[15:]: job.state for job in store.jobs} == {
        "ab": "queued", "b": "covered", "bc": "queued",
    }  # fmt: skip
