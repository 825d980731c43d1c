"""The journal survives kills and finds the run that did not finish."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.journal import Journal, JournalInUseError, read, unfinished_run

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def journal(path: Path, run_id: str = "r1") -> Journal:
    return Journal(path, run_id, lambda: NOW)


async def test_every_record_is_a_line_on_disk_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    book = journal(path)
    await book.record("run", identity="a")
    await asyncio.gather(*(book.record("injecting", pod=f"p{i}") for i in range(50)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    book.close()

    assert lines[0] == {"time": NOW.isoformat(), "run": "r1", "event": "run", "identity": "a"}
    assert [line["pod"] for line in lines[1:]] == [f"p{i}" for i in range(50)]


async def test_an_unfinished_run_is_found_after_a_kill(tmp_path: Path) -> None:
    """The last line may be torn; what comes after it must be readable."""
    path = tmp_path / "journal.jsonl"
    book = journal(path)
    await book.record("run", identity="a")
    book.close()
    with path.open("ab") as file:
        file.write(b'{"time": "2026-11-23T03:00:00+00:00", "run": "r1", "eve')
    assert unfinished_run(read(path), "a", NOW) == "r1"
    assert unfinished_run(read(path), "other work", NOW) is None
    assert unfinished_run(read(path), "a", NOW + timedelta(minutes=16)) is None

    again = journal(path)
    await again.record("finished")
    again.close()
    assert unfinished_run(read(path), "a", NOW) is None


def test_two_runs_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second learns it at once; the first one's end, even by a kill, frees the directory."""
    path = tmp_path / "journal.jsonl"
    first = journal(path)
    with pytest.raises(JournalInUseError, match=f"another run is writing to {tmp_path}"):
        journal(path, "r2")
    first.close()
    journal(path, "r2").close()


def test_no_journal_no_run(tmp_path: Path) -> None:
    assert unfinished_run(read(tmp_path / "journal.jsonl"), "a", NOW) is None
