"""A session as asciicast v2: what was shown and when, never what was typed. Pure.

https://docs.asciinema.org/manual/asciicast/v2/
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

LIMIT_BYTES = 8 << 20
# Output within that time is one event: a program's burst, not somebody's typing.
_BURST_SECONDS = 0.02
_MARKER = re.compile(rb"\[redacted:[^\]\s]{1,80}\]")
_SEQUENCES = re.compile(
    rb"\x1b(?:\[[0-9;?<=>!]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
    rb"|[\0-\x08\x0b-\x1f\x7f]"
)


class Redact(Protocol):
    def redact_bytes(self, data: bytes) -> tuple[bytes, Sequence[object]]: ...


class _Event(NamedTuple):
    seconds: float
    size: tuple[int, int] | None
    data: bytes


class Recorder:
    """Keeps the first `limit_bytes` of what is shown; `clock` returns seconds."""

    def __init__(
        self, clock: Callable[[], float], size: tuple[int, int], *, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._clock = clock
        self._began = clock()
        self._size = size
        self._left = limit_bytes
        self._events: list[_Event] = []
        self.left_out_bytes = 0

    def output(self, data: bytes) -> None:
        kept = data[: self._left]
        self._left -= len(kept)
        self.left_out_bytes += len(data) - len(kept)
        if not kept:
            return
        seconds = self._clock() - self._began
        last = self._events[-1] if self._events else None
        if last is not None and last.size is None and seconds - last.seconds < _BURST_SECONDS:
            self._events[-1] = last._replace(data=last.data + kept)
        else:
            self._events.append(_Event(seconds, None, kept))

    def resize(self, columns: int, rows: int) -> None:
        if self._left > 0:
            self._left -= 1
            self._events.append(_Event(self._clock() - self._began, (columns, rows), b""))

    def cast(self, redact: Redact, *, timestamp: int, title: str) -> tuple[bytes, int]:
        """The file, and how many secrets were replaced in it."""
        whole = b"".join(event.data for event in self._events)
        clean, count = redacted(whole, redact)
        header = {
            "version": 2,
            "width": self._size[0],
            "height": self._size[1],
            "timestamp": timestamp,
            "title": title,
        }
        lines = [json.dumps(header)]
        places = aligned(whole, clean, [len(event.data) for event in self._events])
        start = 0
        carried = b""
        for event, end in zip(self._events, places, strict=True):
            if event.size is not None:
                lines.append(_line(event.seconds, "r", f"{event.size[0]}x{event.size[1]}"))
                continue
            data, carried = _whole_characters(carried + clean[start:end])
            start = end
            if data:
                lines.append(_line(event.seconds, "o", data.decode(errors="replace")))
        rest = carried + clean[start:]
        if self.left_out_bytes:
            rest += f"\r\n[podmedic: {self.left_out_bytes} more bytes are not kept]\r\n".encode()
        if rest:
            seconds = self._events[-1].seconds if self._events else 0.0
            lines.append(_line(seconds, "o", rest.decode(errors="replace")))
        return ("\n".join(lines) + "\n").encode(), count


def _line(seconds: float, kind: str, data: str) -> str:
    return json.dumps([round(seconds, 6), kind, data])


def _whole_characters(data: bytes) -> tuple[bytes, bytes]:
    """Without a character of UTF-8 that is cut at the end, and that beginning."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 2 if byte >> 5 == 6 else 3 if byte >> 4 == 14 else 4 if byte >> 3 == 30 else 1
        return (data[:-back], data[-back:]) if length > back else (data, b"")
    return data, b""


def redacted(data: bytes, redact: Redact) -> tuple[bytes, int]:
    """Searched as a whole, so that no secret is hidden by the pieces that it came in; then once
    more as the eye sees it, without colours and cursor movements. A line that shows a secret only
    then loses them with it."""
    clean, found = redact.redact_bytes(data)
    count = len(found)
    shown = _SEQUENCES.sub(b"", clean)
    safe, more = redact.redact_bytes(shown)
    if not more:
        return clean, count
    count += len(more)
    lines, before, after = (text.split(b"\n") for text in (clean, shown, safe))
    if not len(lines) == len(before) == len(after):
        return safe.replace(b"\n", b"\r\n"), count
    merged = (
        line if was == now else now + b"\r"
        for line, was, now in zip(lines, before, after, strict=True)
    )
    return b"\n".join(merged), count


def aligned(whole: bytes, clean: bytes, lengths: Sequence[int]) -> list[int]:
    """Where in `clean` each piece of `whole` ends. Times may be a little off behind a secret: what
    is shown never comes from `whole`."""
    # Stretches of `clean` between markers stand in `whole`, in this order.
    anchors: list[tuple[int, int]] = [(0, 0)]
    position = start = 0
    for end, following in (
        *((m.start(), m.end()) for m in _MARKER.finditer(clean)), (len(clean), len(clean)),
    ):  # fmt: skip
        stretch = clean[start:end]
        found = whole.find(stretch, position) if stretch else position
        if found >= 0:
            anchors += [(found, start), (found + len(stretch), end)]
            position = found + len(stretch)
        start = following
    anchors.append((len(whole), len(clean)))
    ends, total, index = [], 0, 0
    for length in lengths:
        total += length
        while index + 1 < len(anchors) and anchors[index + 1][0] <= total:
            index += 1
        there, here = anchors[index]
        limit = anchors[index + 1][1] if index + 1 < len(anchors) else len(clean)
        ends.append(min(here + total - there, limit))
    return ends
