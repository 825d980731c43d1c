"""The reason to end in a log that is longer than its end, found as it comes, chunk by chunk."""

from collections import deque

from runner.last_words import FATAL_PATTERN, is_fatal
from runner.playbook.patterns import compile_pattern

_BEFORE_LINES, _AFTER_LINES = 60, 10  # conditions look at as many lines before the last one
_BEFORE_BYTES, _AFTER_BYTES = 16 << 10, 8 << 10
_MAX_LINE = 64 << 10
_MAX_ASKED = 50  # of the lines of one chunk that look like one


class Search:
    """Keeps the lines around the last one that is a reason to end wherever it stands."""

    def __init__(self) -> None:
        self._pattern = compile_pattern(FATAL_PATTERN)
        self._open = b""
        self._before = b""
        self._found = b""
        self._after = 0

    def feed(self, chunk: bytes) -> None:
        data = self._open + chunk
        end = data.rfind(b"\n") + 1
        if not end and len(data) < _MAX_LINE:
            self._open = data
            return
        # Of a line without an end the pieces are lines.
        end = end or len(data)
        self._open = data[end:]
        self._lines(data[:end])

    def result(self) -> bytes:
        """Empty when there is none. Nothing can be fed afterwards."""
        self._lines(self._open)
        return self._found

    def _lines(self, lines: bytes) -> None:
        at = self._last_fatal(lines)
        if at is not None:
            end = lines.find(b"\n", at) + 1 or len(lines)
            self._found = _last(self._before + lines[:end])
            self._after = _AFTER_LINES
            self._follow(lines[end:])
        elif self._after:
            self._follow(lines)
        self._before = (self._before + lines[-_BEFORE_BYTES:])[-_BEFORE_BYTES:]

    def _last_fatal(self, lines: bytes) -> int | None:
        """Where it begins."""
        latest = deque((m.start() for m in self._pattern.finditer(lines)), maxlen=_MAX_ASKED)
        for at in reversed(latest):
            begin = lines.rfind(b"\n", 0, at) + 1
            line = lines[begin : lines.find(b"\n", at) if b"\n" in lines[at:] else len(lines)]
            if is_fatal(line.decode("utf-8", errors="replace").rstrip("\r")):
                return begin
        return None

    def _follow(self, lines: bytes) -> None:
        more = lines[:_AFTER_BYTES].splitlines(keepends=True)[: self._after]
        self._found += b"".join(more)
        self._after -= len(more)


def _last(text: bytes) -> bytes:
    """Whole lines, if they are not too long."""
    lines = text.splitlines(keepends=True)[-_BEFORE_LINES:]
    kept = b"".join(lines)
    if len(kept) <= _BEFORE_BYTES:
        return kept
    cut = kept[-_BEFORE_BYTES:]
    return cut[cut.find(b"\n") + 1 :] or cut
