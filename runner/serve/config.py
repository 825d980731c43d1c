"""What the operator's files say, read anew when they change: a broken one changes nothing."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from runner.policy import Policy
from runner.serve.log import log
from runner.serve.metrics import Metrics
from runner.triggers import Routes
from runner.triggers.jobs import Template

_LOOK_SECONDS = 2.0


class ConfigError(Exception):
    """Why the files cannot be used; one line for people."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Read together and replaced together. `playbooks` are those that a request may name;
    `versions` are those of the files before they were read."""

    template: Template
    routes: Routes
    policy: Policy
    playbooks: Collection[str]
    versions: Mapping[Path, object]


class Configuration:
    """`current` is what holds. `load` raises ConfigError."""

    def __init__(self, current: Config, load: Callable[[], Config], metrics: Metrics) -> None:
        self.current = current
        self._load = load
        self._metrics = metrics
        self._broken = ""
        metrics.config_read(ok=True)

    async def renew(self, asked: asyncio.Event) -> None:
        """For ever: looks whether a file was replaced, and reads them when `asked`."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await asked.wait()
            force = asked.is_set()
            asked.clear()
            await self.look(force=force)

    async def look(self, *, force: bool = False) -> None:
        """Broken files are read at every look: what they lack may lie in another file."""
        changed = versions_of(self.current.versions) != self.current.versions
        if not changed and not force:
            self._broken = ""
            self._metrics.config_read(ok=True)
            return
        try:
            found = await asyncio.to_thread(self._load)
            _require_same_queue(self.current.template, found.template)
        except ConfigError as error:
            if force or str(error) != self._broken:
                log("config-not-reloaded", message=str(error))
            self._broken = str(error)
            self._metrics.config_read(ok=False)
            return
        self.current, self._broken = found, ""
        self._metrics.config_read(ok=True)
        log("config-reloaded", routes=found.routes.metadata.name, sha256=found.routes.sha256[:16])


def versions_of(files: Collection[Path]) -> dict[Path, object]:
    """What tells a file from the one before; a ConfigMap's is a link to another file then."""
    return {file: _version(file) for file in files}


def _version(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _require_same_queue(now: Template, new: Template) -> None:
    """Raises ConfigError for what a process that runs cannot change."""
    if now.prefix != new.prefix:
        raise ConfigError(
            "the job template has another metadata.name: the Lease is named after it, so restart "
            "serve"
        )
