"""The lab's own cgroup in every hierarchy: its pods lie below it, beside those of other labs."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.layout import LabError, Layout

_EMPTY_SECONDS = 10.0


def create(layout: Layout) -> None:
    """The kubelet wants its root to exist already."""
    for hierarchy in _hierarchies():
        (hierarchy / layout.cgroup).mkdir(exist_ok=True)


def remove(layout: Layout) -> None:
    """To be called when the lab's processes are gone; raises `LabError`."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    for hierarchy in _hierarchies():
        top = hierarchy / layout.cgroup
        while not _removed(top):
            # The kernel lets go of a cgroup a little after its last process.
            if time.monotonic() > deadline:
                raise LabError(f"cgroup {top} is still in use")
            time.sleep(0.05)


def left(layout: Layout) -> list[Path]:
    """The lab's cgroups that exist now."""
    tops = (hierarchy / layout.cgroup for hierarchy in _hierarchies())
    return [top for top in tops if top.exists()]


def _removed(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return not top.exists()


def _hierarchies() -> Iterator[Path]:
    """The mount point of each cgroup hierarchy, of version 1 or 2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(mount_point)
