"""Lines at the end of a file that is ours alone."""

import os
from contextlib import suppress


def append(file: int, lines: bytes, *, sync: bool = False) -> None:
    """All of them or nothing, as half a line would swallow the next one: to a descriptor that was
    opened for appending. With `sync` they would survive a power cut. Raises OSError."""
    end = os.fstat(file).st_size
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(file, left) :]
        if sync:
            os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, end)
        raise
