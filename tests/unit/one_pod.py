"""A cluster of one pod, behind the port. What comes through exec runs for real, in a shell here."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, NoReturn

import msgspec

from runner.cluster import (
    Access,
    Chunk,
    ClusterError,
    Ended,
    ErrorReason,
    Place,
    PodEvent,
    Scope,
    StreamOutcome,
)
from runner.model.pod import Container, ContainerStatus, Event, Pod
from tests.unit.pods import pod, running

LOG = b"listening on 8080\nDB_PASSWORD=hunter2xZ9\n"
# What commands said; the same command with the same input is not run twice.
_said: dict[tuple[object, ...], "subprocess.CompletedProcess[bytes]"] = {}


class _User(NamedTuple):
    username: str = "system:serviceaccount:shop:podmedic"


class _NoObjects:
    async def get(self, *_: object) -> NoReturn:
        raise ClusterError(ErrorReason.NOT_FOUND, "there is none")

    async def list(self, *_: object, **__: object) -> Sequence[Any]:
        return ()

    async def pages(self, *_: object, **__: object) -> AsyncIterator[Sequence[Any]]:
        nothing: Sequence[Sequence[Any]] = ()
        for page in nothing:
            yield page


class _Command:
    """A stream; the command runs when it has all of its input."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv, self._input = tuple(argv), b""
        self.ended = Ended(outcome=StreamOutcome.UNKNOWN)

    async def send(self, data: bytes) -> None:
        self._input += data

    async def chunks(self) -> AsyncIterator[Chunk]:
        key = (self._argv, self._input)
        if key not in _said:
            _said[key] = await asyncio.to_thread(
                subprocess.run, self._argv, input=self._input, capture_output=True, check=False
            )
        yield Chunk(is_error=False, data=_said[key].stdout)
        yield Chunk(is_error=True, data=_said[key].stderr)
        self.ended = Ended(outcome=StreamOutcome.EXITED, exit_code=_said[key].returncode)


class OnePod:
    """`pod` as the API server shows it: what is injected runs at once, and stays."""

    description, server = "one pod", "https://10.0.0.1:6443"
    default_namespace = "shop"
    requests_sent: Mapping[tuple[str, str], int] = {("list", "200"): 1}

    def __init__(self) -> None:
        self.pod = pod(running())
        self.objects, self.streams = _NoObjects(), self
        self._changed = asyncio.Event()

    async def user(self) -> _User:
        return _User()

    async def denied(self, _: Sequence[Access]) -> Sequence[Access]:
        return ()

    async def list_pods(self, _: Scope) -> AsyncIterator[tuple[Sequence[Pod], str]]:
        yield [self.pod], "1"

    async def watch_pods(self, *_: object, **__: object) -> AsyncIterator[PodEvent]:
        self._changed = asyncio.Event()
        while True:
            yield PodEvent(type="modified", pod=self.pod)
            await self._changed.wait()
            self._changed.clear()

    async def list_events(self, *_: object) -> tuple[Sequence[Event], str]:
        return (), "1"

    async def watch_events(self, *_: object) -> AsyncIterator[Event]:
        nothing: Sequence[Event] = ()
        for event in nothing:
            yield event

    async def add_ephemeral_container(
        self, pod: Pod, container: Mapping[str, Any], **_: object
    ) -> tuple[Pod, Sequence[str]]:
        replace = msgspec.structs.replace
        body = msgspec.convert(container, Container, strict=False)
        carried = (*self.pod.spec.ephemeral_containers, body)
        status = msgspec.convert({"name": body.name, **running()}, ContainerStatus, strict=False)
        sent = replace(
            self.pod,
            metadata=replace(pod.metadata, generation=len(carried), resource_version="2"),
            spec=replace(pod.spec, ephemeral_containers=carried),
        )
        self.pod = replace(
            sent,
            metadata=replace(sent.metadata, resource_version="3"),
            status=replace(pod.status, ephemeral_container_statuses=(status,)),
        )
        self._changed.set()
        return sent, ()

    async def read_log(self, *_: object, **__: object) -> AsyncIterator[bytes]:
        yield LOG

    @asynccontextmanager
    async def exec(self, _: Place, argv: Sequence[str], **__: object) -> AsyncIterator[_Command]:
        yield _Command(argv)
