"""The journal of a run: JSON lines, on disk before each act that cannot be undone.

After a kill the same command on the same directory finds the unfinished run here, takes its id,
and so computes the same container names: what is in the pods already is found, not made again.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.killpoints import reach, tear

MAX_AGE = timedelta(minutes=15)
FILE_NAME = "journal.jsonl"
# A journal is a few lines per pod; more than this is not ours.
_MAX_READ_BYTES = 256 * 1024 * 1024


def read(path: Path) -> list[dict[str, Any]]:
    """The journal's lines; a torn one (the process was killed writing it) is left out."""
    return read_lines(path)[0]


def read_lines(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """And the numbers of the torn ones, counted from 1. What a torn line was about to announce
    was not done: the line is written before the act."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_READ_BYTES)
    except FileNotFoundError:
        return [], []
    torn: list[int] = []
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            lines.append(value)
        else:
            torn.append(number)
    return lines, torn


def finished(lines: list[dict[str, Any]], run_id: str) -> dict[str, Any] | None:
    """The last line about the end of that run."""
    ends = [v for v in lines if v.get("event") == "finished" and v.get("run") == run_id]
    return ends[-1] if ends else None


def _age(line: dict[str, Any], now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(line["time"])
    except (KeyError, TypeError, ValueError):
        return timedelta.max


def unfinished_run(lines: list[dict[str, Any]], identity: str, now: datetime) -> str | None:
    """Id of the last run, if it was killed a short while ago and was the same: playbooks,
    selection, cluster. An older one says how things were, not how they are."""
    starts = [line for line in lines if line.get("event") == "run"]
    if not starts or starts[-1].get("identity") != identity or _age(starts[-1], now) > MAX_AGE:
        return None
    run_id = starts[-1].get("run")
    ended = any(line.get("event") == "finished" and line.get("run") == run_id for line in lines)
    return run_id if isinstance(run_id, str) and not ended else None


class JournalInUseError(Exception):
    """Two runs at once cannot share a directory."""


class Journal:
    """Appends are grouped: whoever waits at the same time shares one fsync."""

    def __init__(self, path: Path, run_id: str, now: Callable[[], datetime]) -> None:
        self._run_id = run_id
        self._now = now
        self._pending: list[bytes] = []
        self._flushing: asyncio.Task[None] | None = None
        # Ours until close: every record goes to the same file.
        # Without a buffer, that a full disk would fill again when the file is closed.
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise JournalInUseError(f"another run is writing to {path.parent}") from None
        except OSError:
            # Some network file systems know no locks; there one has to take care oneself.
            pass
        if self._file.tell():
            # A line that a killed process left torn must not swallow ours.
            self._pending.append(b"\n")

    async def record(self, event: str, **fields: object) -> None:
        """Returns when the line is on disk. Raises OSError when it cannot be."""
        line = {"time": self._now().isoformat(), "run": self._run_id, "event": event, **fields}
        reach(f"{event}-unwritten")
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        tear(f"{event}-torn", data, self._write)
        await self._append(data)
        reach(f"{event}-recorded")

    async def _append(self, data: bytes) -> None:
        self._pending.append(data)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
            await asyncio.shield(self._flushing)
        else:
            # The flush under way may have taken its lines before ours came.
            await asyncio.shield(self._flushing)
            while self._pending:
                if self._flushing.done():
                    self._flushing = asyncio.create_task(self._flush())
                await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        # One turn of the loop, so that those who are about to write come along.
        await asyncio.sleep(0)
        lines, self._pending = self._pending, []
        if lines:
            await asyncio.to_thread(self._write, b"".join(lines))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
