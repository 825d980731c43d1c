"""Secrets in base64: what a rule finds in the decoded text goes with the whole run.

Decoding every run would cost more than all else, and digests and image layers are runs too. So
what is searched is the keywords of the rules, in each of the three ways base64 can spell them,
which depends on where in a group of three bytes they begin; only a run with one of these is
decoded.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from runner.redact.budget import Budget
from runner.redact.packed import IN_BASE64
from runner.redact.regex import Regex, compile_bytes, escape

RULE = "base64"

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_MIN_KEYWORD_BYTES = 4
_MIN_RUN_BYTES = 16
_LONG_RUN = compile_bytes(b"[A-Za-z0-9+/_-]{%d}" % _MIN_RUN_BYTES)
_STEP_BYTES = 4096
_PLACES = 4  # of the budget for each run, as all rules are asked


class Encoded:
    """The spellings of a pack's keywords. Immutable once made."""

    def __init__(self, keywords: Iterable[str]) -> None:
        self._skips: dict[bytes, int] = {}
        for keyword in keywords:
            for word in {keyword, keyword.lower(), keyword.upper(), keyword.title()}:
                if len(word) >= _MIN_KEYWORD_BYTES:
                    self._skips |= _spellings(word.encode())
        if self._skips:
            self._skips |= {**_spellings(IN_BASE64), IN_BASE64: 0}

    @cached_property
    def _any(self) -> Regex:
        """Compiled when a text has a run that is long enough: it is the largest of all."""
        return compile_bytes(b"|".join(escape(s) for s in sorted(self._skips)) or b"[^\\x00-\\xff]")

    def find(
        self, data: bytes, budget: Budget, is_secret: Callable[[bytes], bool]
    ) -> Iterator[tuple[int, int]]:
        """Runs whose decoded text is a secret, in order of place; all the lines from a run on when
        there are too many."""
        if _LONG_RUN.search(data) is None:
            return
        at = passed = 0
        while match := self._any.search(data, at):
            found = match.start()
            budget.fill(found - passed)
            passed = found
            start, end = _run(data, at, found)
            padded = end + len(data[end : end + 2]) - len(data[end : end + 2].lstrip(b"="))
            quantum = (found - self._skips[data[found : match.end()]] - start) % 4
            if not budget.take(_PLACES):
                newline = data.rfind(b"\n", start, start + _STEP_BYTES)
                at = max(padded, newline if newline > 0 else min(len(data), start + _STEP_BYTES))
                yield start, at
                continue
            if end - start >= _MIN_RUN_BYTES and is_secret(_decode(data[start + quantum : end])):
                yield start, padded
            at = end


def _spellings(word: bytes) -> dict[bytes, int]:
    """The characters that the word alone decides, and how many of its group stand before them."""
    spellings: dict[bytes, int] = {}
    for shift, skip in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(shift) + word)[skip : 8 * (shift + len(word)) // 6]
        spellings[text] = skip
        spellings[text.replace(b"+", b"-").replace(b"/", b"_")] = skip
    return spellings


def _run(data: bytes, floor: int, found: int) -> tuple[int, int]:
    """The run of base64 characters around a place, not before `floor`."""
    before = data[floor:found]
    start = floor + len(before.rstrip(_ALPHABET))
    end = found
    while end < len(data):
        step = data[end : end + _STEP_BYTES]
        rest = step.lstrip(_ALPHABET)
        end += len(step) - len(rest)
        if rest:
            break
    return start, end


def _decode(run: bytes) -> bytes:
    run = run.translate(_STANDARD)
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return binascii.a2b_base64(run + b"=" * (-len(run) % 4))
    except binascii.Error:
        return b""
