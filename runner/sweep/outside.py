"""Everything a sweep needs that is not a value."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from runner.cluster import Cluster
from runner.examine import Examined
from runner.examine.context import ArtifactFile, Record, Redact
from runner.sweep.pool import Stop


class Watcher(Protocol):
    """Hears how far the sweep is; `runner.progress` draws it."""

    def start(self, total: int) -> None: ...
    def update(
        self, *, selected: int, injected: int, running: int, done: int, failed: int
    ) -> None: ...


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    cluster: Cluster
    redact: Redact
    record: Record
    store: Callable[[bytes], str | None]
    artifact: Callable[[str], AbstractContextManager[ArtifactFile]]
    # Hears of each pod that is done, for a run that goes on after a kill.
    keep: Callable[[Examined], None]
    now: Callable[[], datetime]
    watcher: Watcher
    stop: Stop
