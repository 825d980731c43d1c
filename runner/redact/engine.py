"""Puts tokens in the place of secrets."""

import functools
import hmac
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from runner.redact import encoded, packed, pem
from runner.redact.budget import Budget
from runner.redact.echo import find_echoes
from runner.redact.encoded import Encoded
from runner.redact.ledger import Ledger, Redaction
from runner.redact.marker import make_marker
from runner.redact.matcher import TOO_MANY, Span
from runner.redact.rules import Rule, builtin_rules
from runner.redact.scan import Scanner

# A marker can complete what another rule takes for a secret, so a text is searched again until
# nothing is found: that is what makes redaction idempotent. Two rounds are usual; a text that
# still changes after these is hostile, and loses whole lines.
_ROUNDS = 4
_MAX_ROUNDS = 16  # and then all of the text
_MAX_BASE64_DEPTH = 2
_LAST_RANK = 1 << 30
_LINES_AROUND = 3
_SMALL_PART = 3
_SEPARATOR = b"\n\x01\n"


class _Pack(msgspec.Struct, frozen=True):
    scanner: Scanner
    encoded: Encoded


@functools.lru_cache(maxsize=8)
def _compile(rules: tuple[Rule, ...]) -> _Pack:
    """A pack takes tens of milliseconds to compile, so the same pack is compiled once."""
    keywords = {keyword for rule in rules for keyword in rule.keywords}
    return _Pack(Scanner(rules), Encoded({*keywords, pem.MARK.decode()}))


class Redactor:
    """Replaces secrets by `[redacted:RULE:TOKEN]`. The same secret has the same token under the
    same key: make a new random key for each run, so that tokens correlate within it only."""

    def __init__(self, key: bytes, rules: Sequence[Rule] | None = None) -> None:
        self._key = key
        self._pack = _compile(tuple(builtin_rules() if rules is None else rules))

    def redact_bytes(
        self, data: bytes, *, known: Sequence[bytes] = ()
    ) -> tuple[bytes, tuple[Redaction, ...]]:
        """The data with its secrets replaced, and what was replaced in order of place.

        `known` are secrets that the caller knows of, as from the pod's spec: they go wherever
        they stand, unless shorter than six bytes.
        """
        redactions: list[Redaction] = []
        ledger = Ledger()
        for number in range(_MAX_ROUNDS):
            budget = Budget(len(data))
            spans = _merge(self._candidates(data, budget, 0))
            spans = _merge((*spans, *find_echoes(data, spans, known)))
            if not spans:
                break
            if number >= _ROUNDS:
                spans = _whole_lines(data, spans)
            if number == _MAX_ROUNDS - 1:
                spans = [Span(0, len(data), -1, TOO_MANY)]
            markers = self._markers(data, spans)
            redactions += ledger.entries(data, spans)
            ledger.replaced(data, spans, markers)
            before = len(data)
            data, places = _replace(data, spans, markers)
            if budget.is_ample(before - len(data)) and self._is_settled(data, places):
                break
        return data, tuple(sorted(redactions, key=lambda redaction: redaction.line))

    def redact_text(
        self, text: str, *, known: Sequence[bytes] = ()
    ) -> tuple[str, tuple[Redaction, ...]]:
        """Like `redact_bytes`; lone surrogates pass through. Lengths are in bytes of UTF-8."""
        data = text.encode("utf-8", "surrogatepass")
        clean, redactions = self.redact_bytes(data, known=known)
        if not redactions:
            return text, ()
        try:
            return clean.decode("utf-8", "surrogatepass"), redactions
        except UnicodeDecodeError:
            return clean.decode("utf-8", "replace"), redactions

    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], tuple[Redaction, ...]]:
        """A command line, whose words explain each other: `--password`, `hunter2`. As many words
        come out as go in; `line` in the redactions is 1."""
        clean, redactions = self.redact_text("\0".join(words))
        parts = tuple(clean.split("\0"))
        if not redactions or len(parts) != len(words):  # a word that has a NUL is none of argv
            each = [self.redact_text(word) for word in words]
            return tuple(word for word, _ in each), tuple(r for _, found in each for r in found)
        return parts, redactions

    def _is_settled(self, data: bytes, places: Sequence[int]) -> bool:
        """Whether another round would find nothing, seen from the lines around the new markers:
        what no marker is near to was searched before."""
        around = _around(data, places)
        if sum(map(len, around)) > len(data) // _SMALL_PART or any(pem.find_keys(data)):
            return False
        lines = _SEPARATOR.join(around)
        return not any(True for _ in self._candidates(lines, Budget(len(lines)), 0))

    def _candidates(self, data: bytes, budget: Budget, depth: int) -> Iterator[Span]:
        for start, end in pem.find_keys(data):
            yield Span(start, end, -1, pem.RULE)
        yield from self._pack.scanner.find(data, budget)

        def is_secret(decoded: bytes) -> bool:
            return any(True for _ in self._candidates(decoded, budget, depth + 1))

        if depth < _MAX_BASE64_DEPTH:
            for start, end in self._pack.encoded.find(data, budget, is_secret):
                yield Span(start, end, _LAST_RANK, encoded.RULE)
        if depth <= _MAX_BASE64_DEPTH:
            for start, end, rule in packed.find_packed(data, budget, is_secret):
                yield Span(start, end, _LAST_RANK, rule)

    def _markers(self, data: bytes, spans: Sequence[Span]) -> list[bytes]:
        known: dict[tuple[str, bytes], bytes] = {}
        markers: list[bytes] = []
        for span in spans:
            secret = data[span.start : span.end]
            marker = known.get((span.rule, secret))
            if marker is None:
                token = hmac.digest(self._key, secret, "sha256")
                marker = known[span.rule, secret] = make_marker(span.rule, token)
            markers.append(marker)
        return markers


def _replace(
    data: bytes, spans: Sequence[Span], markers: Sequence[bytes]
) -> tuple[bytes, list[int]]:
    """The new text, and where in it the markers are."""
    pieces: list[bytes] = []
    places: list[int] = []
    kept = length = 0
    for span, marker in zip(spans, markers, strict=True):
        pieces += (data[kept : span.start], marker)
        length += span.start - kept
        places.append(length)
        length += len(marker)
        kept = span.end
    pieces.append(data[kept:])
    return b"".join(pieces), places


def _around(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The lines with these places, with some lines before and behind."""
    parts: list[bytes] = []
    end = 0
    for place in places:
        if place < end:
            continue
        start = place
        for _ in range(_LINES_AROUND + 1):
            start = data.rfind(b"\n", end, max(end, start))
            if start < 0:
                start = end
                break
        end = place
        for _ in range(_LINES_AROUND + 1):
            end = data.find(b"\n", end) + 1
            if end == 0:
                end = len(data)
                break
        parts.append(data[start:end])
    return parts


def _merge(spans: Iterable[Span]) -> list[Span]:
    """In order of place, without overlap; of two that overlap the earlier rule of the pack, which
    is the more specific one, names the whole."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = merged[-1] if merged else None
        if last is None or span.start >= last.end:
            merged.append(span)
        else:
            named = span if span.rank < last.rank else last
            merged[-1] = Span(last.start, max(last.end, span.end), named.rank, named.rule)
    return merged


def _whole_lines(data: bytes, spans: Sequence[Span]) -> list[Span]:
    lines: list[Span] = []
    for span in spans:
        end = data.find(b"\n", span.end)
        start = max(lines[-1].end if lines else 0, data.rfind(b"\n", 0, span.start) + 1)
        if not lines or span.start >= lines[-1].end:
            lines.append(Span(start, len(data) if end < 0 else end, span.rank, span.rule))
    return lines
