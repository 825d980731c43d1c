"""The journal of a run: JSON lines, on disk before each act that cannot be undone.

After a kill the same command on the same directory finds the unfinished run here, takes its id,
and so computes the same container names: what is in the pods already is found, not made again.

Each line holds the hash of the line before it, as it stands in the file: whoever changes, removes
or reorders one has to change all that follow.
"""

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from runner.append import append
from runner.killpoints import reach, tear

MAX_AGE = timedelta(minutes=15)
FILE_NAME = "journal.jsonl"
# A journal is a few lines per pod; more than this is not ours.
_MAX_READ_BYTES = 256 * 1024 * 1024
_MAX_LINE_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024
PREVIOUS = "previous"
FIRST = "0" * 64  # there is no line before the first one


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
        value = _decoded(line)
        if value is None:
            torn.append(number)
        else:
            lines.append(value)
    return lines, torn


class Chain(NamedTuple):
    """What the hashes in a journal say. `broken_at` is the number of the first line that does not
    follow from the one before it, 0 if there is none; `chained` counts the lines that do,
    `unchained` those before them, which an older podmedic wrote."""

    chained: int
    unchained: int
    broken_at: int


class ChainReader:
    """Reads a journal bit by bit, in the memory of its longest line. A torn line breaks nothing:
    its bytes are hashed like those of any other."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._previous = FIRST
        self._number = self._chained = self._unchained = self._broken_at = 0

    def feed(self, data: bytes) -> None:
        if self._broken_at:
            return
        self._rest += data
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            self._hear(line)
        if len(rest) > _MAX_LINE_BYTES and not self._broken_at:
            self._broken_at = self._number + 1

    def end(self) -> Chain:
        self._hear(bytes(self._rest))
        self._rest.clear()
        return Chain(self._chained, self._unchained, self._broken_at)

    def _hear(self, line: bytes) -> None:
        self._number += 1
        if not line or self._broken_at:
            return
        value = _decoded(line)
        said = None if value is None else value.get(PREVIOUS)
        is_older = said is None and not self._chained
        if said != self._previous and value is not None and not is_older:
            self._broken_at = self._number
            return
        self._chained += said is not None
        self._unchained += not self._chained
        self._previous = _digest(line)


def chain_of(data: bytes) -> Chain:
    reader = ChainReader()
    reader.feed(data)
    return reader.end()


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _decoded(line: bytes) -> dict[str, Any] | None:
    """None for a torn line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


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
        self._pending: list[dict[str, Any]] = []
        # Hash of the last line on disk, and what has to be written before the next one; None where
        # that has to be looked up.
        self._tail: tuple[str, bytes] | None = None
        self._flushing: asyncio.Task[None] | None = None
        # Ours until close: every record goes to the same file.
        # Without a buffer, that a full disk would fill again when the file is closed.
        self._file = path.open("ab+", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise JournalInUseError(f"another run is writing to {path.parent}") from None
        except OSError:
            # Some network file systems know no locks; there one has to take care oneself.
            pass

    async def record(self, event: str, **fields: object) -> None:
        """Returns when the line is on disk. Raises OSError when it cannot be."""
        line = {"time": self._now().isoformat(), "run": self._run_id, "event": event, **fields}
        reach(f"{event}-unwritten")
        tear(f"{event}-torn", _encoded(line), self._write)
        await self._append(line)
        reach(f"{event}-recorded")

    async def _append(self, line: dict[str, Any]) -> None:
        self._pending.append(line)
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
            await asyncio.to_thread(self._write_lines, lines)

    def _write_lines(self, lines: list[dict[str, Any]]) -> None:
        previous, before = self._tail or self._read_tail()
        # After a write that failed half way nobody knows what is on disk.
        self._tail = None
        chained = [before]
        for line in lines:
            data = _encoded({**line, PREVIOUS: previous})
            previous = _digest(data[:-1])
            chained.append(data)
        self._write(b"".join(chained))
        self._tail = previous, b""

    def _read_tail(self) -> tuple[str, bytes]:
        """A line that was left torn must not swallow ours, and is followed like any other."""
        end = self._file.seek(0, os.SEEK_END)
        tail = b""
        while len(tail) < end and b"\n" not in tail.rstrip(b"\n"):
            start = max(0, end - len(tail) - _BLOCK_BYTES)
            tail = os.pread(self._file.fileno(), end - len(tail) - start, start) + tail
        last = tail.rstrip(b"\n").rpartition(b"\n")[2]
        return _digest(last) if last else FIRST, b"" if tail.endswith(b"\n") or not tail else b"\n"

    def _write(self, data: bytes) -> None:
        append(self._file.fileno(), data, sync=True)

    def close(self) -> None:
        self._file.close()


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=True).encode() + b"\n"
