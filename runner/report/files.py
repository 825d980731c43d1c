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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = error.strerror or error
        raise OutputError(f"cannot make the directory {path.parent}: {said}") from error
    try:
        with _beside(path, 0o666) as file:
            file.write(content)
            file.keep()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def growing_file(path: Path) -> Iterator["Growing"]:
    """A file for its owner's eyes that is written bit by bit; it is there once it was kept, and
    otherwise never. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _beside(path, 0o600) as file:
        yield file


class Growing:
    """A file that is not in its place yet."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self.path = path
        self.kept = False

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def read_back(self) -> BinaryIO:
        """What was written by now."""
        self._file.flush()
        return self.path.open("rb")

    def keep(self) -> None:
        """All of it is written, and would survive a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.kept = True


@contextlib.contextmanager
def _beside(path: Path, mode: int) -> Iterator[Growing]:
    """Renamed to `path` at the end if it was kept, gone otherwise."""
    # The process id keeps two runners apart; in a container it is the same every time, so that
    # what a killed runner left behind is overwritten by the next one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, _NEW, mode), "wb") as file:
            growing = Growing(file, temporary)
            yield growing
        if growing.kept:
            temporary.replace(path)
            _sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
