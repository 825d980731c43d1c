"""The same secret once more, where nothing tells that it is one: `login failed for app/S3cr3t!x`
after `DB_PASSWORD=S3cr3t!x`."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from runner.redact.budget import Budget
from runner.redact.marker import MARKER_START, marker_at
from runner.redact.matcher import TOO_MANY, Span
from runner.redact.regex import compile_bytes, escape

KNOWN = "known"

_MAX_SECRETS = 200
_MIN_BYTES = 8
_MIN_PLAIN_BYTES = 20
_MAX_BYTES = 256
_MIN_KNOWN_BYTES = 6
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset(b"0123456789")
_SPECIAL = frozenset(b"!#$%&*+=?@^|~")


def find_echoes(data: bytes, spans: Sequence[Span], known: Sequence[bytes]) -> Iterator[Span]:
    """Other places of what the spans hold, and all places of what is known beforehand. A value
    that may be an ordinary word or name is not looked for: the report would lose that name."""
    names: dict[bytes, tuple[int, str]] = {
        secret: (-1, KNOWN) for secret in known if _MIN_KNOWN_BYTES <= len(secret) <= _MAX_BYTES
    }
    for span in spans:
        if len(names) >= _MAX_SECRETS:
            break
        if _MIN_BYTES <= span.end - span.start <= _MAX_BYTES:
            secret = data[span.start : span.end]
            if secret not in names and _is_telling(secret):
                names[secret] = (span.rank, span.rule)
    return _find(data, names, {span.start for span in spans}) if names else iter(())


def _is_telling(secret: bytes) -> bool:
    kinds = sum(not kind.isdisjoint(secret) for kind in (_LOWER, _UPPER, _DIGITS, _SPECIAL))
    if any(byte <= 0x20 for byte in secret):
        return False
    return kinds >= 3 or (kinds == 2 and len(secret) >= _MIN_PLAIN_BYTES and secret.isalnum())


def _find(
    data: bytes, names: Mapping[bytes, tuple[int, str]], found: AbstractSet[int]
) -> Iterator[Span]:
    """The longest first, as one secret may begin like another."""
    longest_first = sorted(names, key=len, reverse=True)
    has_markers = MARKER_START in data
    budget = Budget()
    passed = 0
    for match in compile_bytes(b"|".join(map(escape, longest_first))).finditer(data):
        start, end = match.span()
        if start in found or (has_markers and _touches_marker(data, start, end)):
            continue
        budget.fill(start - passed)
        passed = start
        if not budget.take():
            yield Span(start, len(data), -1, TOO_MANY)
            return
        rank, rule = names[data[start:end]]
        yield Span(start, end, rank, rule)


def _touches_marker(data: bytes, start: int, end: int) -> bool:
    """A secret may be a part of a marker: `redacted`."""
    return marker_at(data, start) is not None or marker_at(data, end - 1) is not None
