"""The journal survives kills and finds the run that did not finish."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.journal import Chain, Journal, JournalInUseError, chain_of, read, unfinished_run

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

    assert lines[0] == {
        "time": NOW.isoformat(),
        "run": "r1",
        "event": "run",
        "identity": "a",
        "previous": "0" * 64,
    }
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


async def _written(path: Path, run_id: str, events: int) -> None:
    book = journal(path, run_id)
    for number in range(events):
        await book.record("injecting", pod=f"p{number}")
    book.close()


async def test_each_line_names_the_hash_of_the_one_before(tmp_path: Path) -> None:
    """Over the ends of processes, and over a line that a kill left torn."""
    path = tmp_path / "journal.jsonl"
    await _written(path, "r1", 3)
    await _written(path, "r1", 2)
    assert chain_of(path.read_bytes()) == Chain(chained=5, unchained=0, broken_at=0)
    with path.open("ab") as file:
        file.write(b'{"time": "2026-11-23T03:00:00+00:00", "run": "r1", "eve')
    await _written(path, "r1", 1)
    assert chain_of(path.read_bytes()) == Chain(chained=6, unchained=0, broken_at=0)
    assert len(path.read_bytes().splitlines()) == 7


async def test_a_changed_removed_or_moved_line_breaks_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    await _written(path, "r1", 5)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = [*lines[:1], lines[1].replace(b"p1", b"p9"), *lines[2:]]
    torn = [*lines[:1], lines[1][:20] + b"\n", *lines[2:]]
    forged = [*lines[:2], b'{"run": "r1", "event": "injecting"}\n', *lines[2:]]
    assert chain_of(b"".join(changed)).broken_at == 3
    assert chain_of(b"".join(torn)).broken_at == 3
    assert chain_of(b"".join(forged)).broken_at == 3
    assert chain_of(b"".join(lines[1:])).broken_at == 1
    assert chain_of(b"".join([*lines[:2], *lines[3:]])).broken_at == 3
    assert chain_of(b"".join([lines[0], lines[2], lines[1], *lines[3:]])).broken_at == 2


async def test_a_journal_of_an_older_podmedic_is_chained_from_here_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    old = b'{"run": "r0", "event": "run"}\n{"run": "r0", "event": "finished"}\n'
    path.write_bytes(old)
    await _written(path, "r1", 2)
    data = path.read_bytes()
    assert chain_of(data) == Chain(chained=2, unchained=2, broken_at=0)
    assert chain_of(data.replace(b'"finished"', b'"injecting"')).broken_at == 3


async def test_a_write_that_failed_half_way_spoils_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    book = journal(path)
    await book.record("run", identity="a")
    write = book._write

    def fill_the_disk(data: bytes) -> None:
        write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(book, "_write", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        await book.record("injecting", pod="p1")
    monkeypatch.undo()
    await book.record("finished")
    book.close()

    assert [line["event"] for line in read(path)] == ["run", "finished"]
    assert chain_of(path.read_bytes()) == Chain(chained=2, unchained=0, broken_at=0)
