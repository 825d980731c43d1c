"""Files that are whole or absent: written beside their place, then renamed into it."""

import contextlib
import os
from pathlib import Path


class OutputError(Exception):
    """Something could not be stored; the message is one line for people. What stood at that path
    before is intact."""


def write_atomically(path: Path, content: bytes) -> None:
    """Raises OutputError; returns when `content` would survive a power cut."""
    # The process id keeps two runners apart; in a container it is the same every time, so that
    # what a killed runner left behind is overwritten by the next one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = error.strerror or error
        raise OutputError(f"cannot make the directory {path.parent}: {said}") from error
    try:
        _write(temporary, content)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
