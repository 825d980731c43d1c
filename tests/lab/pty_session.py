"""podmedic at a terminal of its own, and somebody who types and reads."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.lab import preloaded


class Sitting:
    """`seen` is all that the terminal was told; `expect` consumes it."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self._process = process
        self._terminal = terminal
        self._read = 0
        self.seen = b""

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def expect(self, pattern: str, seconds: float = 60.0) -> re.Match[bytes]:
        deadline = time.monotonic() + seconds
        while True:
            match = re.compile(pattern.encode()).search(self.seen, self._read)
            if match is not None:
                self._read = match.end()
                return match
            left = deadline - time.monotonic()
            assert left > 0, (pattern, self.seen)
            assert self._more(left), (pattern, self.seen)

    def _more(self, seconds: float) -> bool:
        """False when nobody writes to the terminal any more."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return True
        with suppress(OSError):
            data = os.read(self._terminal, 65536)
            self.seen += data
            return bool(data)
        return False

    def run(self, command: str, pattern: str) -> re.Match[bytes]:
        """Type a command, and read its output: the words that it echoes do not count."""
        self.type(f"{command}\n")
        self.expect(r"\r\n")
        return self.expect(pattern)

    @property
    def modes(self) -> list[object]:
        return list(termios.tcgetattr(self._terminal))

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def hang_up(self) -> None:
        os.close(self._terminal)
        self._terminal = -1

    def exit_code(self, seconds: float = 60.0) -> int:
        deadline = time.monotonic() + seconds
        while True:
            if (code := self._process.poll()) is not None:
                while self._terminal >= 0 and self._more(0.0):
                    if not select.select([self._terminal], [], [], 0.0)[0]:
                        break
                return code
            assert time.monotonic() < deadline, self.seen
            if self._terminal >= 0:
                self._more(0.1)
            else:
                time.sleep(0.1)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(60)
        if self._terminal >= 0:
            os.close(self._terminal)


@contextmanager
def sitting(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    columns: int = 100,
    rows: int = 30,
) -> Iterator[Sitting]:
    terminal, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = _started(argv, environment, theirs)
    finally:
        os.close(theirs)
    found = Sitting(process, terminal)
    try:
        yield found
    finally:
        found.close()


def _started(
    argv: Sequence[str | Path], environment: Mapping[str, str], terminal: int
) -> subprocess.Popen[bytes]:
    """A process whose controlling terminal this is."""
    if argv[0] == preloaded.COMMAND:
        return preloaded.Process(
            argv[1:],
            terminal=True,
            env=environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
    return subprocess.Popen(
        ["setsid", "--ctty", "--wait", *argv],
        env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
