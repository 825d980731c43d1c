"""Named points at which tests kill the process, as a power cut or the kernel's OOM killer would.

PODMEDIC_KILL_AT=NAME, or NAME:2 for the second time that the point is reached. Nothing is cleaned
up: SIGKILL cannot be caught. Without the variable a point costs one comparison.
"""

import os
import signal
from collections.abc import Callable

VARIABLE = "PODMEDIC_KILL_AT"

# In the order in which a run comes by; `torn` is half of a line on disk. `podmedic serve` has two
# of its own: `run-stored` and `run-releasing`.
POINTS = (
    "directory-locked",
    "record-written",
    "run-torn",
    "run-recorded",
    "injecting-unwritten",
    "injecting-torn",
    "injecting-recorded",
    "patched",
    "running",
    "stopped",
    "log-read",
    "examined",
    "result-torn",
    "result-kept",
    "all-examined",
    "report-json-written",
    "report-written",
    "finished-unwritten",
    "finished-torn",
    "finished-recorded",
)

_name, _, _time = os.environ.get(VARIABLE, "").partition(":")
_left = int(_time) if _time.isdigit() else 1


def _is_reached(name: str) -> bool:
    global _left  # noqa: PLW0603  # the process has but one life
    if name != _name:
        return False
    _left -= 1
    return _left == 0


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def reach(name: str) -> None:
    """Does not return at the point that is meant."""
    if _name and _is_reached(name):
        _kill()


def tear(name: str, data: bytes, write: Callable[[bytes], object]) -> None:
    """The same after half of what is about to be written."""
    if _name and _is_reached(name):
        write(data[: len(data) // 2])
        _kill()
