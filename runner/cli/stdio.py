"""The process's own stdin, stdout and stderr as raw bytes, without stopping the event loop."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

_PIECE_BYTES = 64 * 1024


async def read_stdin() -> AsyncIterator[bytes]:
    """Until its end. Read in a thread, because a regular file cannot be waited for; one that the
    process need not wait for when it ends."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)

    def read() -> None:
        while True:
            try:
                data = os.read(0, _PIECE_BYTES)
            except OSError:
                data = b""
            try:
                asyncio.run_coroutine_threadsafe(pieces.put(data), loop).result()
            except RuntimeError:
                return  # the loop has ended
            if not data:
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while data := await pieces.get():
        yield data


class Output:
    """Writes to stdout and stderr, each piece whole and in order."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="output")

    async def write(self, is_error: bool, data: bytes) -> None:
        """Raises OSError, BrokenPipeError where nobody reads any more."""
        number = 2 if is_error else 1
        await asyncio.get_running_loop().run_in_executor(self._thread, _write_all, number, data)


def _write_all(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
