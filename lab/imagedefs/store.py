"""Archives of images in the cache folder, under a key of what they are made of."""

import fcntl
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lab.imagedefs import Definition
from lab.layout import cache_folder

# So many builds of one image are kept: another checkout may be using the one before.
_ARCHIVES_KEPT = 2


def built(definition: Definition) -> Path:
    """The definition's docker-archive, built if the cache does not hold it."""
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{definition.name}-{definition.key()}.tar"
    if path.exists():
        return path
    with (folder / f".{definition.name}.lock").open("w") as lock:
        # Two labs that start together make an image once; the kernel drops the lock of the dead.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _build(definition, path)
            _forget(folder.glob(f"{definition.name}-{'?' * 20}.tar"))
    return path


def _build(definition: Definition, path: Path) -> None:
    if definition.usual_seconds > 10:
        _say(f"image {definition.name}: usually {definition.usual_seconds} s, once ...")
    started = time.monotonic()
    definition.build(path)
    mib = path.stat().st_size / (1 << 20)
    _say(f"image {definition.name}: {mib:.0f} MiB in {time.monotonic() - started:.0f} s")


def _forget(archives: Iterable[Path]) -> None:
    newest_first = sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[_ARCHIVES_KEPT:]:
        path.unlink(missing_ok=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
