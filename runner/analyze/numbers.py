"""Numbers as programs write them, with their units, as whole numbers in one unit."""

import re
from collections.abc import Mapping
from math import floor, isfinite

from runner.late import late
from runner.model.quantity import quantity
from runner.playbook.parsing import Unit

_LARGEST = 2**63 - 1
_PLAIN = late(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
_BYTES = late(rf"({_PLAIN.pattern}) ?(?:([KMGTPE])(?:i?B|i)?|B|bytes?)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_CLOCK = late(r"(?:(?:([0-9]{1,6})-)?([0-9]{1,6}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")
_QUANTITY = late(rf"{_PLAIN.pattern}(?:[eE][+-]?[0-9]{{1,2}}|[A-Za-z]{{1,2}})?")
_SPAN = late(
    rf"({_PLAIN.pattern}) ?(ns|us|µs|μs|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)? ?",
    re.IGNORECASE,
)
_MILLISECONDS: Mapping[str, float] = {
    "n": 1e-6, "u": 1e-3, "µ": 1e-3, "μ": 1e-3, "ms": 1.0, "": 1e3, "s": 1e3, "m": 6e4, "h": 3.6e6,
    "d": 8.64e7,
}  # fmt: skip


def number(text: str, unit: Unit) -> int | None:
    """None for what is no number in this unit, or one beyond 64 bits."""
    word = text.strip()
    if len(word) > 100:
        return None
    amount = {
        "bytes": _bytes,
        "milliseconds": _milliseconds,
        "millis": _millis,
        "percent": _percent,
        "integer": _integer,
    }[unit](word)
    if amount is None or not isfinite(amount) or abs(amount) > _LARGEST:
        return None
    # What is written with a point is not exactly what it says: 0.29 * 1000 is a bit less than 290.
    return amount if isinstance(amount, int) else floor(round(amount, 6))


def _bytes(word: str) -> float | None:
    found = _BYTES.fullmatch(word)
    if found is None:
        return None
    factor = 1 << 10 * _POWERS[(found[2] or "").upper()]
    return int(found[1]) * factor if "." not in found[1] else float(found[1]) * factor


def _milliseconds(word: str) -> float | None:
    """A span of several parts (`1h 5m`), or a clock (`[[days-]hours:]minutes:seconds`)."""
    if found := _CLOCK.fullmatch(word):
        days, hours, minutes = (int(found[n] or 0) for n in (1, 2, 3))
        return ((days * 24 + hours) * 60 + minutes) * 60_000 + float(found[4]) * 1000
    total, at = 0.0, 0
    while found := _SPAN.match(word, at):
        name = (found[2] or "").lower()
        # A number without a unit stands alone.
        if not name and (at or found.end() < len(word)):
            return None
        total += float(found[1]) * _MILLISECONDS[name if name == "ms" else name[:1]]
        at = found.end()
    return total if at and at == len(word) else None


def _millis(word: str) -> float | None:
    amount = quantity(word) if _QUANTITY.fullmatch(word) else None
    return None if amount is None else amount * 1000


def _percent(word: str) -> float | None:
    plain = word.removesuffix("%").rstrip()
    return float(plain) if _PLAIN.fullmatch(plain) else None


def _integer(word: str) -> int | None:
    return int(word) if re.fullmatch(r"[+-]?[0-9]{1,40}", word) else None
