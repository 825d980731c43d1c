"""What the lab's images are made of: one `Definition` each, built when first asked for."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import archive


@dataclass(frozen=True)
class Definition:
    """One image.

    `references` are the repositories and tags it is pushed under, without a host: the lab's
    registry stands for every host. `key` names everything that goes into the image, so that a
    changed definition is built anew. `build` writes a docker-archive to the path it is given;
    `usual_seconds` is how long that takes on two cores.
    """

    name: str
    references: tuple[str, ...]
    key: Callable[[], str]
    build: Callable[[Path], None]
    usual_seconds: int = 1


def hash_of(*paths: Path, also: Sequence[str] = ()) -> str:
    """A key made of the content of files, and of every file below folders, and of some words."""
    digest = hashlib.sha256()
    for word in (archive.FORMAT, *also):
        digest.update(f"{word}\0".encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(path.parent)}\0{file.stat().st_mode}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:20]
