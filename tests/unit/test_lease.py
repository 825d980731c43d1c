"""Who may hold a Lease and for how long, without a cluster: the API is our own Protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import pytest

from runner.cluster import ClusterError, ErrorReason, Resource
from runner.playbook import load
from runner.sweep import Busy, Lease, Selection, claim_of
from runner.sweep.lease import FOR_ALL_NAMESPACES, Claim, Timing

T = TypeVar("T")
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
UNREACHABLE = ClusterError(ErrorReason.UNREACHABLE, "the API server is gone")
CLAIM = Claim(namespace="shop", name="podmedic-x", holder="me_r1", run_id="r1")


class OneLease:
    """An API server that keeps one Lease, as `spec` and a version."""

    def __init__(self, spec: dict[str, Any] | None = None) -> None:
        self.spec = spec
        self.version = 1
        self.down = False
        self.lose_answers = 0
        self.renewed_often = asyncio.Event()

    def _as(self, as_: type[T]) -> T:
        meta = {"resourceVersion": str(self.version)}
        return msgspec.convert({"metadata": meta, "spec": self.spec}, as_)

    def _answer(self, as_: type[T]) -> T:
        if self.lose_answers:
            self.lose_answers -= 1
            raise UNREACHABLE
        return self._as(as_)

    async def get(self, resource: Resource, name: str, namespace: str | None, as_: type[T]) -> T:
        if self.down:
            raise UNREACHABLE
        if self.spec is None:
            raise ClusterError(ErrorReason.NOT_FOUND, "not found")
        return self._as(as_)

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], as_: type[T],
        *, dry_run: bool = False,
    ) -> T:  # fmt: skip
        if self.spec is not None:
            raise ClusterError(ErrorReason.CONFLICT, "there already")
        self.spec = dict(body["spec"])
        return self._answer(as_)

    async def replace(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[T],
    ) -> T:  # fmt: skip
        if self.down:
            raise UNREACHABLE
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ClusterError(ErrorReason.CONFLICT, "changed meanwhile")
        self.spec, self.version = dict(body["spec"]), self.version + 1
        if self.version == 8:
            self.renewed_often.set()
        return self._answer(as_)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None, *, uid: str = "",
        grace_period_seconds: int | None = None,
    ) -> None:  # fmt: skip
        raise AssertionError("a Lease is never deleted")

    def pages(
        self, resource: Resource, namespace: str | None, as_: type[T], *,
        label_selector: str = "", field_selector: str = "", metadata_only: bool = False,
    ) -> AsyncIterator[Sequence[T]]:  # fmt: skip
        raise AssertionError("Leases are not listed")

    async def list(
        self, resource: Resource, namespace: str | None, as_: type[T], *,
        label_selector: str = "", field_selector: str = "", metadata_only: bool = False,
    ) -> Sequence[T]:  # fmt: skip
        raise AssertionError("Leases are not listed")


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stop_after = float("inf")

    def clock(self) -> float:
        return self.seconds

    async def wait(self, seconds: float) -> bool:
        self.seconds += seconds
        return self.seconds >= self.stop_after


def held_by(holder: str, seconds: int = 30, renewed: str = "t0") -> dict[str, Any]:
    return {
        "holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": "T",
        "renewTime": renewed,
    }  # fmt: skip


def lease(api: OneLease, time: Time, timing: Timing | None = None) -> Lease:
    return Lease(api, CLAIM, now=lambda: NOW, clock=time.clock, wait=time.wait, timing=timing)


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        (None, 0),
        (held_by(""), 0),
        (held_by("elsewhere_r1"), 0),  # this very run, before it was killed
        (held_by("other_r2"), 30),
        (held_by("other_r2", seconds=60), 60),
    ],
    ids=["none", "released", "own", "dead", "dead-slowly"],
)
async def test_taken_after(spec: dict[str, Any] | None, seconds: float) -> None:
    """At once where nobody holds it, else after its own duration without a sign of life."""
    api, time = OneLease(spec), Time()
    assert await lease(api, time).acquire() is None
    assert time.seconds == seconds
    assert api.spec == {
        "holderIdentity": "me_r1",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-11-23T03:00:00.000000Z",
        "renewTime": "2026-11-23T03:00:00.000000Z",
        "leaseTransitions": 0 if spec is None else 1,
    }


async def test_a_sign_of_life() -> None:
    """The holder's own word about the time does not count, only that it changed."""
    api, time = OneLease(held_by("other_r2", renewed="1970")), Time()
    mine = lease(api, time)

    async def renewing(seconds: float) -> bool:
        if time.seconds >= 6:
            api.spec, api.version = held_by("other_r2", renewed="1969"), 2
        return await Time.wait(time, seconds)

    time.wait = renewing  # type: ignore[method-assign]
    mine = lease(api, time)
    busy = Busy(holder="other_r2", since="T", namespace="shop", name="podmedic-x")
    assert await mine.acquire() == busy
    assert time.seconds == 8


async def test_a_stranger_who_claims_a_day_is_not_waited_for() -> None:
    time = Time()
    busy = await lease(OneLease(held_by("other_r2", seconds=86400)), time).acquire()
    assert busy is not None
    assert busy.holder == "other_r2"
    assert time.seconds == 0


async def test_interrupted_while_it_watches() -> None:
    """It is left as it was."""
    api, time = OneLease(held_by("other_r2")), Time()
    time.stop_after = 4
    mine = lease(api, time)
    assert await mine.acquire() is None
    await mine.release()
    assert api.spec == held_by("other_r2")


async def test_not_renewed_for_too_long() -> None:
    """Given up well before anybody else may take it."""
    loop = asyncio.get_running_loop()
    timing = Timing(
        duration_seconds=3, deadline_seconds=0.2, renew_seconds=0.05, retry_seconds=0.02
    )
    api = OneLease()
    mine = Lease(api, CLAIM, now=lambda: NOW, clock=loop.time, wait=Time().wait, timing=timing)
    assert await mine.acquire() is None
    api.down = True
    said: asyncio.Queue[str] = asyncio.Queue()
    mine.keep(said.put_nowait)
    began = loop.time()
    async with asyncio.timeout(5):
        why = await said.get()
    assert why == (
        "lease shop/podmedic-x was lost: it was not renewed for 0 s: the API server is gone"
    )
    assert loop.time() - began < timing.duration_seconds


async def test_an_answer_that_was_lost_does_not_lose_it() -> None:
    """The renewal was carried out: the next one meets a newer version, and it is still ours."""
    loop = asyncio.get_running_loop()
    timing = Timing(duration_seconds=4, deadline_seconds=2, renew_seconds=0.02, retry_seconds=0.01)
    api = OneLease()
    mine = Lease(api, CLAIM, now=lambda: NOW, clock=loop.time, wait=Time().wait, timing=timing)
    assert await mine.acquire() is None
    api.lose_answers = 3
    said: asyncio.Queue[str] = asyncio.Queue()
    mine.keep(said.put_nowait)
    async with asyncio.timeout(5):
        await api.renewed_often.wait()
    assert said.empty()
    await mine.release()
    assert api.spec is not None
    assert api.spec["holderIdentity"] == ""


def playbook(name: str) -> Any:
    text = "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\n"
    text += f'metadata: {{name: {name}}}\nspec:\n  steps: [{{name: s, run: ["true"]}}]\n'
    return load(text, "p.yaml")


def test_what_shares_a_lease() -> None:
    """The same playbooks and the same selection, however they are written; nothing else."""

    def name(*playbooks: str, **selection: Any) -> tuple[str, str]:
        found = claim_of(
            [playbook(p) for p in playbooks], Selection(**selection), host="h", run_id="r"
        )
        return found.namespace, found.name

    shop = name("a", "b", namespaces=("shop",))
    assert name("b", "a", namespaces=("shop",)) == shop
    assert name("a", "b", default_namespace="shop") == shop
    assert name("a", "b", namespaces=("shop", "cart")) == name(
        "a", "b", namespaces=("cart", "shop")
    )
    others = [
        name("a", namespaces=("shop",)),
        name("a", "b", namespaces=("cart",)),
        name("a", "b", namespaces=("shop",), label_selector="app=web"),
        name("a", "b", namespaces=("shop",), field_selector="spec.nodeName=n"),
        name("a", "b", namespaces=None),
    ]
    assert len({shop, *others}) == 6
    assert [namespace for namespace, _ in others] == [
        "shop", "cart", "shop", "shop", FOR_ALL_NAMESPACES,
    ]  # fmt: skip
