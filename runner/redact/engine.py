"""Finds secrets in bytes and puts tokens in their place."""

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runner.redact.regex import compile_bytes, escape
from runner.redact.rules import Rule, builtin_rules

_MARKER = compile_bytes(rb"\[redacted:[a-z0-9-]+:[0-9a-f]{8}\]")
# Each round leaves fewer bytes outside markers; more than a few rounds is a hostile text.
_MAX_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Redaction:
    """That something was redacted, never what. `line` counts from 1 in the text as it came in,
    `length` is in bytes."""

    rule: str
    line: int
    length: int


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    rule: str


class Redactor:
    """Replaces secrets by `[redacted:RULE:TOKEN]`. The same secret has the same token under the
    same key: make a new random key for each run, so that tokens correlate within it only."""

    def __init__(self, key: bytes, rules: Sequence[Rule] | None = None) -> None:
        self._key = key
        self._rules = tuple(
            (rule, compile_bytes(rule.regex.encode(), ignore_case=rule.ignore_case))
            for rule in (builtin_rules() if rules is None else rules)
        )
        keywords = {keyword.lower() for rule, _ in self._rules for keyword in rule.keywords}
        self._gate = compile_bytes(
            b"|".join(escape(keyword.encode()) for keyword in sorted(keywords)), ignore_case=True
        )

    def redact_bytes(self, data: bytes) -> tuple[bytes, tuple[Redaction, ...]]:
        """The data with its secrets replaced, and what was replaced in order of place."""
        redactions: list[Redaction] = []
        for _ in range(_MAX_ROUNDS):
            spans = self._find(data)
            if not spans:
                break
            redactions += _ledger(data, spans)
            data = self._replace(data, spans)
        return data, tuple(sorted(redactions, key=lambda redaction: redaction.line))

    def redact_text(self, text: str) -> tuple[str, tuple[Redaction, ...]]:
        """Like `redact_bytes`; lone surrogates pass through. Lengths are in bytes of UTF-8."""
        clean, redactions = self.redact_bytes(text.encode("utf-8", "surrogatepass"))
        if not redactions:
            return text, ()
        try:
            return clean.decode("utf-8", "surrogatepass"), redactions
        except UnicodeDecodeError:
            return clean.decode("utf-8", "replace"), redactions

    def _find(self, data: bytes) -> list[_Span]:
        if self._gate.search(data) is None:
            return []
        return _merge(self._candidates(data))

    def _candidates(self, data: bytes) -> Iterator[_Span]:
        lowered = data.lower()
        for rule, regex in self._rules:
            if not any(keyword.lower().encode() in lowered for keyword in rule.keywords):
                continue
            group = regex.groupindex[b"secret"]
            for match in regex.finditer(data):
                start, end = match.span(group)
                if end - start >= rule.min_length and not _MARKER.fullmatch(data[start:end]):
                    yield _Span(start, end, rule.id)

    def _replace(self, data: bytes, spans: Sequence[_Span]) -> bytes:
        pieces: list[bytes] = []
        kept = 0
        for span in spans:
            token = hmac.digest(self._key, data[span.start : span.end], "sha256")[:4].hex()
            pieces += (data[kept : span.start], f"[redacted:{span.rule}:{token}]".encode())
            kept = span.end
        pieces.append(data[kept:])
        return b"".join(pieces)


def _merge(spans: Iterable[_Span]) -> list[_Span]:
    """In order of place, without overlap; of two that overlap the rule that starts first names
    the whole, and of two that start together the one that stands first in the pack."""
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = merged[-1] if merged else None
        if last is None or span.start >= last.end:
            merged.append(span)
        elif span.end > last.end:
            merged[-1] = _Span(last.start, span.end, last.rule)
    return merged


def _ledger(data: bytes, spans: Sequence[_Span]) -> Iterator[Redaction]:
    line, counted = 1, 0
    for span in spans:
        line += data.count(b"\n", counted, span.start)
        counted = span.start
        yield Redaction(span.rule, line, span.end - span.start)
