"""`--record`: the session in a file, and what it ran in."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from runner.examine.context import Redact
from runner.report.files import write_atomically
from runner.shell import Reached
from runner.shell.cast import Recorder


def prepare_directory(directory: Path) -> None:
    """Before anything is injected; raises UsageError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / ".podmedic-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise click.UsageError(f"--record {directory}: {error.strerror}") from error


class Recording:
    """`write` and `resize` while it goes on, then `save`."""

    def __init__(self, directory: Path, size: tuple[int, int] | None) -> None:
        self._directory = directory
        self._began = datetime.now(UTC)
        self.recorder = Recorder(time.monotonic, size or (80, 24))

    def save(self, reached: Reached, redact: Redact, exit_code: int | None) -> Path:
        """Raises OutputError. `exit_code` None: not known, or the session goes on."""
        place, pod = reached.place, reached.latest()
        stem = f"{place.container}-{self._began:%Y%m%dT%H%M%SZ}"
        cast, redactions = self.recorder.cast(
            redact,
            timestamp=int(self._began.timestamp()),
            title=f"{place.namespace}/{place.pod} {place.container}",
        )
        document: dict[str, Any] = {
            "namespace": place.namespace,
            "pod": place.pod,
            "uid": pod.metadata.uid,
            "node": pod.spec.node_name,
            "targetContainer": reached.target,
            "strategy": reached.injection.strategy,
            "strategyNote": reached.strategy_note,
            "profile": reached.injection.profile,
            "beganAt": self._began.isoformat(),
            "leftAt": datetime.now(UTC).isoformat(),
            "exitCode": exit_code,
            "cast": f"{stem}.cast",
            "redactions": redactions,
            "leftOutBytes": self.recorder.left_out_bytes,
            "container": reached.body,
        }
        described = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        path = self._directory / f"{stem}.cast"
        write_atomically(path, cast)
        write_atomically(
            self._directory / f"{stem}.json", redact.redact_bytes(described.encode())[0]
        )
        return path


def as_shown(data: bytes) -> bytes:
    """A command's output as a terminal would show it: without one nothing returns the carriage."""
    return data.replace(b"\n", b"\r\n")
