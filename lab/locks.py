"""Locks between processes; the kernel drops the lock of a dead one."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.layout import LabError

_POLL_SECONDS = 0.1


@contextlib.contextmanager
def exclusive(path: Path, what: str, timeout_seconds: float) -> Iterator[None]:
    """Holds the lock file, which the holder may remove; raises `LabError` after the time-out."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            # Whoever waited for a file that was removed meanwhile takes the next one.
            if _taken(lock.fileno()) and _is_file_at(lock.fileno(), path):
                yield
                return
        if time.monotonic() > deadline:
            raise LabError(f"{what}: somebody else has been at it for {timeout_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
