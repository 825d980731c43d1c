"""A disk that is full from the n-th write on, or for that one: every way in which podmedic writes
comes by here, so that each can be made to fail."""

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from typing_extensions import Buffer

_SAID = os.strerror(errno.ENOSPC)


class Disk:
    """Of what lies below `folder`. `acts` is what was written, in order; the one with the number
    `full_at`, counted from 1, finds no room, and with `stays_full` every one from then on. What
    fails while it is written leaves half of it behind, as a full disk does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.acts: list[str] = []
        self.full_at, self.stays_full = 0, False
        self._paths: dict[int, str] = {}
        self._open, self._close, self._write = os.open, os.close, os.write
        self._io_open, self._mkdir, self._replace = io.open, os.mkdir, os.replace
        for name in ("open", "close", "write", "fsync", "fdopen", "mkdir", "replace"):
            monkeypatch.setattr(os, name, getattr(self, f"_os_{name}"))
        monkeypatch.setattr(io, "open", self._any_open)

    def empty(self, full_at: int = 0, *, stays_full: bool = False) -> None:
        self.acts, self.full_at, self.stays_full = [], full_at, stays_full

    def act(self, what: str, path: str) -> None:
        self.acts.append(f"{what} {path}")
        number = len(self.acts)
        if self.full_at and (number == self.full_at or (self.stays_full and number > self.full_at)):
            raise OSError(errno.ENOSPC, _SAID, path)

    def write(self, path: str, data: "Buffer", write: Any) -> int:
        try:
            self.act("write", path)
        except OSError:
            write(memoryview(data)[: memoryview(data).nbytes // 2])
            raise
        return int(write(data))

    def _named(self, path: object) -> str | None:
        if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self._folder):
            return Path(path).relative_to(self._folder).as_posix()
        return None

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        name = self._named(path)
        if name is not None and flags & os.O_CREAT:
            self.act("create", name)
        number = self._open(path, flags, mode, **more)
        if name is not None:
            self._paths[number] = name
        return number

    def _os_close(self, number: int) -> None:
        self._paths.pop(number, None)
        self._close(number)

    def _os_write(self, number: int, data: "Buffer") -> int:
        path = self._paths.get(number)
        if path is None:
            return self._write(number, data)
        return self.write(path, data, lambda part: self._write(number, part))

    def _os_fsync(self, number: int) -> None:
        if number in self._paths:
            self.act("sync", self._paths[number])

    def _os_fdopen(self, number: int, mode: str, **more: Any) -> Any:
        if number not in self._paths or "r" in mode:
            return self._io_open(number, mode, **more)
        return io.BufferedWriter(_Written(self, self._paths[number], number, mode))

    def _any_open(
        self, path: Any, mode: str = "r", buffering: int = -1, *more: Any, **also: Any
    ) -> Any:
        name = self._named(path)
        if name is None or not {*mode} & {*"wax+"}:
            return self._io_open(path, mode, buffering, *more, **also)
        assert buffering == 0
        self.act("create", name)
        file = _Written(self, name, path, mode)
        self._paths[file.fileno()] = name
        return file

    def _os_mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        name = self._named(path)
        if name is not None and not Path(path).exists():
            self.act("mkdir", name)
        self._mkdir(path, mode, **more)

    def _os_replace(self, source: Any, target: Any, **more: Any) -> None:
        name = self._named(target)
        if name is not None:
            self.act("rename", name)
        self._replace(source, target, **more)


class _Written(io.FileIO):
    def __init__(self, disk: Disk, name: str, file: Any, mode: str) -> None:
        super().__init__(file, mode.replace("b", ""))
        self._disk, self._name = disk, name

    def write(self, data: "Buffer", /) -> int:
        return self._disk.write(self._name, data, super().write)

    def close(self) -> None:
        if not self.closed:
            self._disk._paths.pop(self.fileno(), None)
        super().close()
