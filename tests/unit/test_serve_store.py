"""What `podmedic serve` knows of its Jobs, and what becomes of alerts, with an API server of a few
lines in place of a real one: tests/lab/test_serve.py has that."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import msgspec
import pytest

from runner.cluster import ClusterError, ErrorReason, ObjectEvent, Resource
from runner.policy import DEFAULT as DEFAULT_POLICY
from runner.redact import Redactor
from runner.serve.accept import Acceptor, RefusedError
from runner.serve.config import Config, Configuration
from runner.serve.metrics import Metrics
from runner.serve.store import JobStore
from runner.triggers import DEFAULT
from runner.triggers.jobs import Job, Template
from runner.triggers.queue import Limits
from runner.triggers.request import RunRequest
from tests.unit.alerts import LABELS, RECEIVED, alert, body
from tests.unit.test_trigger_jobs import TEMPLATE


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch, RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


class Jobs:
    """Stores what is created; its watch says what a test puts into `events`."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.events: asyncio.Queue[ObjectEvent[Job]] = asyncio.Queue()
        self.failing: ClusterError | None = None
        self.patching: ClusterError | None = None
        self.version = 0

    def job(self, name: str) -> Job:
        return msgspec.convert(self.stored[name], Job)

    def _store(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        body["metadata"] |= {
            "uid": f"uid-{name}",
            "resourceVersion": str(self.version),
            "creationTimestamp": body["metadata"].get("creationTimestamp", RECEIVED.isoformat()),
        }
        self.stored[name] = body
        return body

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], as_: type[Any],
        *, dry_run: bool = False,
    ) -> Any:  # fmt: skip
        if self.failing is not None:
            raise self.failing
        name = body["metadata"]["name"]
        if name in self.stored:
            raise ClusterError(ErrorReason.CONFLICT, "there already", status=409)
        return msgspec.convert(
            self._store(name, msgspec.json.decode(msgspec.json.encode(body))), as_
        )

    async def get(
        self, resource: Resource, name: str, namespace: str | None, as_: type[Any]
    ) -> Any:
        if name not in self.stored:
            raise ClusterError(ErrorReason.NOT_FOUND, "gone", status=404)
        if as_ is msgspec.Raw:
            return msgspec.Raw(msgspec.json.encode(self.stored[name]))
        return msgspec.convert(self.stored[name], as_)

    async def list(
        self, resource: Resource, namespace: str | None, as_: type[Any], *,
        label_selector: str = "", field_selector: str = "", metadata_only: bool = False,
    ) -> Sequence[Any]:  # fmt: skip
        return [msgspec.convert(each, as_) for each in self.stored.values()]

    async def patch(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[Any],
    ) -> Any:  # fmt: skip
        if self.patching is not None:
            raise self.patching
        if name not in self.stored:
            raise ClusterError(ErrorReason.NOT_FOUND, "gone", status=404)
        found = self.stored[name]
        wanted = body["metadata"].get("resourceVersion")
        if wanted not in (None, found["metadata"]["resourceVersion"]):
            raise ClusterError(ErrorReason.CONFLICT, "changed", status=409)
        begun = not found["spec"]["suspend"]
        if begun and "template" in body.get("spec", {}):
            raise ClusterError(ErrorReason.INVALID, "field is immutable", status=422)
        changed = merged(found, body)
        return msgspec.convert(self._store(name, changed), as_)

    async def watch(
        self, resource: Resource, namespace: str | None, as_: type[Any],
        version_of: Callable[[Any], str], *, label_selector: str = "",
    ) -> AsyncIterator[ObjectEvent[Any]]:  # fmt: skip
        while True:
            yield await self.events.get()
            self.events.task_done()

    def pages(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def replace(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def delete(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError


class World:
    """A store that follows, an acceptor, and a clock."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.seconds = 0.0
        self.jobs = Jobs()
        self.store = JobStore(self.jobs, "podmedic", lambda: self.seconds)
        self.metrics = Metrics()
        config = Config(
            template=Template(copy.deepcopy(TEMPLATE), 0), routes=DEFAULT, policy=DEFAULT_POLICY,
            playbooks=(), versions={},
        )  # fmt: skip
        self.configuration = Configuration(config, lambda: config, self.metrics)
        self.acceptor = Acceptor(
            self.store, self.configuration, limits or Limits(), self.metrics, redact=Redactor(b"k" * 32),
            now=lambda: RECEIVED + timedelta(seconds=self.seconds),
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.store.follow())
        await self.sync()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def say(self, *events: ObjectEvent[Job]) -> None:
        for event in events:
            self.jobs.events.put_nowait(event)
        await self.jobs.events.join()

    async def sync(self, *names: str) -> None:
        listed = [
            ObjectEvent(type="modified", object=self.jobs.job(name), listed=True) for name in names
        ]
        await self.say(*listed, ObjectEvent(type="synced"))

    def known(self) -> list[str]:
        return sorted(job.name for job in self.store.jobs)

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(*_split(name)) or 0.0


def _split(name: str) -> tuple[str, dict[str, str]]:
    metric, _, label = name.partition("{")
    key, _, value = label.rstrip("}").partition("=")
    return metric, {key: value} if key else {}


async def test_what_was_stored_is_known_before_the_watch_says_so() -> None:
    async with World() as world:
        answer = await world.acceptor.alerts(body())
        (run,) = answer.body["runs"]

        assert (answer.status, run["state"], world.known()) == (202, "stored", [run["run"]])
        assert (await world.acceptor.alerts(body())).body["runs"] == [{**run, "state": "known"}]


async def test_a_list_that_began_before_does_not_take_it_away() -> None:
    async with World() as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        await world.sync()
        assert world.known() == [name]
        # Long after, a list that does not have it says that it is gone.
        world.seconds = 60
        await world.sync()
        assert world.known() == []


async def test_what_was_deleted_while_nobody_watched_is_forgotten() -> None:
    async with World() as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        world.seconds = 60
        await world.say(ObjectEvent(type="modified", object=world.jobs.job(name)))
        other = {**LABELS, "pod": "api-0"}
        await world.acceptor.alerts(body(alert(other, fingerprint="b" * 16)))
        (newer,) = set(world.known()) - {name}
        world.seconds = 120
        await world.sync(newer)
        assert world.known() == [newer]


async def test_an_older_state_does_not_come_back() -> None:
    async with World() as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        before = world.jobs.job(name)
        await world.store.release(before, RECEIVED)
        await world.say(ObjectEvent(type="modified", object=before))

        found = world.store.get(name)
        assert found is not None
        assert found.released_at == RECEIVED


async def test_two_that_release_the_same_job_release_it_once() -> None:
    async with World() as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        before = world.jobs.job(name)
        await world.store.release(before, RECEIVED)
        with pytest.raises(ClusterError) as refused:
            await world.store.release(before, RECEIVED + timedelta(seconds=1))

        assert refused.value.reason is ErrorReason.CONFLICT
        assert world.jobs.job(name).released_at == RECEIVED


async def test_an_alert_that_joins_a_group_gets_a_run_of_its_own() -> None:
    async with World() as world:
        first = await world.acceptor.alerts(body())
        joined = alert({**LABELS, "pod": "api-0"}, fingerprint="b" * 16)
        second = await world.acceptor.alerts(body(alert(), joined))

        assert [run["state"] for run in first.body["runs"]] == ["stored"]
        assert [run["state"] for run in second.body["runs"]] == ["known", "stored"]
        made = [job.alerts for job in world.store.jobs]
        assert sorted(len(alerts) for alerts in made) == [1, 1]


async def test_a_full_queue_is_a_503_and_not_a_loss() -> None:
    async with World(Limits(queued=1)) as world:
        await world.acceptor.alerts(body())
        other = body(alert({**LABELS, "pod": "api-0"}, fingerprint="b" * 16))
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.alerts(other)
        (name,) = world.known()
        await world.store.release(world.jobs.job(name), RECEIVED)
        again = await world.acceptor.alerts(other)

    assert (refused.value.status, refused.value.reason) == (503, "queue-full")
    assert (again.status, again.body["runs"][0]["state"]) == (202, "stored")
    assert world.count("podmedic_serve_alerts_total{outcome=stored}") == 2


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (None, ErrorReason.UNREACHABLE, "api-unavailable"),
        (500, ErrorReason.SERVER, "api-unavailable"),
        (429, ErrorReason.THROTTLED, "api-unavailable"),
        (403, ErrorReason.FORBIDDEN, "api-refused"),
        (422, ErrorReason.INVALID, "api-refused"),
    ],
)
async def test_what_the_api_server_refuses_is_asked_for_again(
    status: int | None, reason: ErrorReason, told: str
) -> None:
    async with World() as world:
        world.jobs.failing = ClusterError(reason, "no", status=status)
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.alerts(body())
        assert (refused.value.status, refused.value.reason) == (503, told)
        assert world.known() == []


async def test_nothing_is_accepted_before_the_jobs_are_known() -> None:
    world = World()
    with pytest.raises(RefusedError) as refused:
        await world.acceptor.alerts(body())
    assert (refused.value.status, refused.value.reason) == (503, "api-unavailable")
    assert world.jobs.stored == {}


async def test_the_end_of_an_alert_is_written_on_its_run_once() -> None:
    gone = alert(status="resolved", endsAt="2026-11-23T03:10:00Z")
    async with World() as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        answer = await world.acceptor.alerts(body(gone, status="resolved"))
        version = world.jobs.job(name).metadata.resource_version
        await world.acceptor.alerts(body(gone, status="resolved"))

        assert (answer.status, answer.body) == (200, {"runs": [], "ignored": []})
        assert world.jobs.job(name).resolved == {"c5d0e1a2b3f40516": "2026-11-23T03:10:00+00:00"}
        assert world.jobs.job(name).metadata.resource_version == version


async def test_a_request_is_one_run_by_its_id() -> None:
    wanted = RunRequest(playbook="triage", namespace="shop", pod="web-0", id="ticket-7")
    async with World() as world:
        runs = [await world.acceptor.request(wanted, "") for _ in range(2)]
        other = await world.acceptor.request(msgspec.structs.replace(wanted, id=""), "")
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.request(
                msgspec.structs.replace(wanted, namespace="kube-system"), ""
            )

    assert runs[0] == runs[1]
    assert other.body["runs"][0]["run"] != runs[0].body["runs"][0]["run"]
    assert (refused.value.status, refused.value.reason) == (403, "policy")


async def test_an_end_that_may_not_be_written_keeps_no_alert_from_its_run() -> None:
    """A policy of the cluster that refuses to change the Job would refuse it each time."""
    gone = alert(status="resolved", endsAt="2026-11-23T03:10:00Z")
    fires = alert({**LABELS, "pod": "api-0"}, fingerprint="b" * 16)
    async with World() as world:
        await world.acceptor.alerts(body())
        world.jobs.patching = ClusterError(ErrorReason.ADMISSION, "no", status=403)
        answer = await world.acceptor.alerts(body(gone, fires))
        world.jobs.patching = ClusterError(ErrorReason.SERVER, "no", status=500)
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.alerts(body(gone, fires))

    assert (answer.status, answer.body["runs"][0]["state"]) == (202, "stored")
    assert (refused.value.status, refused.value.reason) == (503, "api-unavailable")


async def test_an_end_is_written_though_there_is_no_room_for_a_run() -> None:
    gone = alert(status="resolved", endsAt="2026-11-23T03:10:00Z")
    fires = alert({**LABELS, "pod": "api-0"}, fingerprint="b" * 16)
    async with World(Limits(queued=1)) as world:
        await world.acceptor.alerts(body())
        (name,) = world.known()
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.alerts(body(gone, fires))

        assert refused.value.reason == "queue-full"
        assert list(world.jobs.job(name).resolved) == ["c5d0e1a2b3f40516"]


async def test_requests_leave_half_of_the_queue_to_alerts() -> None:
    wanted = RunRequest(playbook="triage", namespace="shop", pod="web-0")
    async with World(Limits(queued=4)) as world:
        for _ in range(2):
            await world.acceptor.request(wanted, "")
        with pytest.raises(RefusedError) as refused:
            await world.acceptor.request(wanted, "")
        other = alert({**LABELS, "pod": "api-0"})
        answer = await world.acceptor.alerts(body(other))

    assert (refused.value.reason, str(refused.value)) == (
        "queue-full", "2 runs wait already; try again later",
    )  # fmt: skip
    assert [run["state"] for run in answer.body["runs"]] == ["stored"]
