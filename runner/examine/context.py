"""What examining a pod needs from outside: the cluster, the clock, the disk, all passed in."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from runner.cluster import Cluster
from runner.examine.watch import PodHub
from runner.model.pod import Pod
from runner.select import Skip

# Whose text is being redacted: `pod`, `source`, for the account of it. Each pod has its own task.
subject: ContextVar[Mapping[str, str]] = ContextVar("subject", default=MappingProxyType({}))


@contextmanager
def about(**what: str) -> Iterator[None]:
    token = subject.set({**subject.get(), **what})
    try:
        yield
    finally:
        subject.reset(token)


class Redact(Protocol):
    """The choke point: everything from a pod passes here before anything else sees it."""

    def redact_bytes(self, data: bytes) -> tuple[bytes, Sequence[object]]: ...
    def redact_text(self, text: str) -> tuple[str, Sequence[object]]: ...
    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], Sequence[object]]: ...


class Record(Protocol):
    """Append one line to the journal; returns when it is on disk."""

    def __call__(self, event: str, **fields: object) -> Awaitable[None]: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    start_seconds: float = 60.0
    # Beyond the program's own deadline: for the kubelet to notice that it ended.
    grace_seconds: float = 20.0
    log_read_seconds: float = 60.0
    # For all running windows of a target together: the kubelet's longest back-off is 300 s.
    catch_seconds: float = 370.0


class ArtifactFile(Protocol):
    """A file that is being written; what is not kept is gone at the end."""

    def write(self, data: bytes) -> object: ...
    def keep(self) -> None: ...


def _nowhere(name: str) -> AbstractContextManager[ArtifactFile]:
    raise OSError(f"nothing is kept here: {name}")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """`store` keeps bytes in the run directory and returns the file's name there, None
    if they could not be kept; `stage` hears
    of each pod's progress: `injected`, `running`, `stopped`."""

    cluster: Cluster
    hub: PodHub
    redact: Redact
    record: Record
    store: Callable[[bytes], str | None]
    stage: Callable[[str], None]
    now: Callable[[], datetime]
    run_id: str
    limits: Limits
    # A new file of that name in the run directory; OSError where it cannot be made.
    artifact: Callable[[str], AbstractContextManager[ArtifactFile]] = _nowhere
    # Why the pod, as it is now, may carry no further container.
    over_cap: Callable[[Pod], Skip | None] = lambda _: None
    # Why a container may not be sent to a pod by a strategy; empty if it may.
    forbidden: Callable[[Pod, Mapping[str, Any], str], str] = lambda *_: ""
    # Why nothing may be sent to any pod any more, once the breaker is open.
    stopped: Callable[[], Skip | None] = lambda: None
    # Until when, at most, another run is at work in the pod as it is given; None if none is.
    taken_until: Callable[[Pod], datetime | None] = lambda _: None
