"""Files that are whole or absent: written beside their place, then renamed into it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


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


class _Growing:
    """See `growing_file`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.kept = False

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def keep(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self.kept = True


@contextlib.contextmanager
def growing_file(path: Path) -> Iterator[_Growing]:
    """A file for its owner's eyes that is written bit by bit; it is there once it was kept, and
    otherwise never. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as file:
            growing = _Growing(file)
            yield growing
        if growing.kept:
            temporary.replace(path)
            _sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, _NEW, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
