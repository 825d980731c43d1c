"""The terminal that podmedic was started in, in raw mode."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator

import click

from runner.cli.stdio import Output
from runner.shell.cast import Recorder

_PIECE_BYTES = 4096


def require_terminal(instead: str) -> None:
    """Raises UsageError where there is none; `instead` says what to do there."""
    for stream, name in ((sys.stdin, "stdin"), (sys.stdout, "stdout")):
        if stream is None or not os.isatty(stream.fileno()):
            raise click.UsageError(f"{name} is not a terminal: {instead}")


def terminal_size() -> tuple[int, int] | None:
    """Columns and rows of stdout, None where it has none."""
    try:
        columns, rows = os.get_terminal_size(1)
    except OSError:
        return None
    return (columns, rows) if columns and rows else None


class LocalTerminal:
    """Implements `runner.shell.session.Terminal` on stdin and stdout. Within `raw` keys such as
    Ctrl-C are typed, not signals. `recorder` hears what is shown."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._output = Output()
        self._resized = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._resized.set)

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSANOW)  # keeps what was typed ahead
        try:
            yield
        finally:
            # What was typed and not read is not meant for the shell that called us.
            with contextlib.suppress(termios.error):  # it hung up
                termios.tcsetattr(0, termios.TCSAFLUSH, before)

    async def read(self) -> bytes:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(0, readable.set)
        try:
            await readable.wait()
            return os.read(0, _PIECE_BYTES)
        except OSError:
            return b""  # it hung up
        finally:
            loop.remove_reader(0)

    async def write(self, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.output(data)
        with contextlib.suppress(OSError):
            await self._output.write(False, data)

    def size(self) -> tuple[int, int] | None:
        return terminal_size()

    async def resized(self) -> None:
        await self._resized.wait()
        self._resized.clear()
        size = terminal_size()
        if self._recorder is not None and size is not None:
            self._recorder.resize(*size)
