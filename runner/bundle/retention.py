"""`--keep N`: of the runs below one folder the newest stay. What is not certainly a run that has
ended stays too."""

import fcntl
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from runner import journal, record
from runner.bundle.directory import open_plain
from runner.bundle.verify import manifest_of
from runner.record import RecordError

# Whoever wants to finish a run that was killed has so long.
UNFINISHED_STAYS = timedelta(days=7)
_SUFFIXES = (".tar.zst", ".tar.gz")


class OldRun(msgspec.Struct, frozen=True):
    directory: Path
    id: str
    started_at: datetime
    has_ended: bool


def prune(base: Path, keep: int, now: datetime) -> tuple[list[Path], list[str]]:
    """What was removed, and lines about what could not be."""
    removed: list[Path] = []
    failures: list[str] = []
    for run in _expired(list(_runs(base)), keep, now):
        try:
            # The lock of a run that goes on; held until the directory is gone, so that none begins.
            with open_plain(run.directory / journal.FILE_NAME) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for bundle in _bundles_of(run):
                    bundle.unlink()
                    removed.append(bundle)
                shutil.rmtree(run.directory)
                removed.append(run.directory)
        except BlockingIOError:
            continue
        except OSError as error:
            path = error.filename or run.directory
            failures.append(f"{path} could not be removed: {error.strerror or error}")
    return removed, failures


def _expired(runs: list[OldRun], keep: int, now: datetime) -> list[OldRun]:
    newest_first = sorted(runs, key=lambda run: (run.started_at, run.id), reverse=True)
    return [
        run
        for run in newest_first[keep:]
        if run.has_ended or now - run.started_at > UNFINISHED_STAYS
    ]


def _runs(base: Path) -> Iterator[OldRun]:
    """Links are not followed."""
    try:
        entries = sorted(base.iterdir())
    except OSError:
        return
    for path in entries:
        if path.is_symlink() or not path.is_dir():
            continue
        try:
            found = record.read(path)
            lines = journal.read(path / journal.FILE_NAME)
        except (RecordError, OSError):
            continue
        ended = journal.finished(lines, found.run) is not None
        yield OldRun(path, found.run, found.started_at, ended)


def _bundles_of(run: OldRun) -> Iterator[Path]:
    """Those beside it that bear its name and say that they are of this run."""
    for suffix in _SUFFIXES:
        path = run.directory.with_name(f"{run.directory.name}{suffix}")
        try:
            with open_plain(path) as file:
                manifest = manifest_of(file, path.stat().st_size)
        except OSError:
            continue
        if manifest is not None and manifest.run == run.id:
            yield path
