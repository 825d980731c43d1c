"""The account of what was redacted: which rule, where, how long; never what."""

from collections.abc import Iterator, Sequence

import msgspec

from runner.redact.matcher import Span


class Redaction(msgspec.Struct, frozen=True):
    """`line` counts from 1 in the text as it came in, `length` is in bytes."""

    rule: str
    line: int
    length: int


class Ledger:
    """Tells lines of the text as it came in while the text changes under it: a secret of several
    lines becomes a marker of none."""

    def __init__(self) -> None:
        # (offset in the text as it is now, lines that are missing before it), in order
        self._missing: list[tuple[int, int]] = []

    def entries(self, data: bytes, spans: Sequence[Span]) -> Iterator[Redaction]:
        """One for each span; the spans are in order and do not overlap."""
        line, counted, missing = 1, 0, iter([*self._missing, (len(data) + 1, 0)])
        offset, lines = next(missing)
        for span in spans:
            line += data.count(b"\n", counted, span.start)
            counted = span.start
            while offset <= span.start:
                line += lines
                offset, lines = next(missing)
            yield Redaction(span.rule, line, span.end - span.start)

    def replaced(self, data: bytes, spans: Sequence[Span], markers: Sequence[bytes]) -> None:
        """The spans of the text gave way to the markers."""
        missing: list[tuple[int, int]] = []
        old = iter([*self._missing, (len(data) + 1, 0)])
        offset, lines = next(old)
        moved = 0
        for span, marker in zip(spans, markers, strict=True):
            gone = data.count(b"\n", span.start, span.end)
            while offset <= span.end:
                if offset <= span.start:
                    missing.append((offset + moved, lines))
                else:
                    gone += lines
                offset, lines = next(old)
            moved += len(marker) - (span.end - span.start)
            if gone:
                missing.append((span.end + moved, gone))
        while offset <= len(data):
            missing.append((offset + moved, lines))
            offset, lines = next(old)
        self._missing = missing
