"""Secrets in gzip: what a rule finds in the unpacked text goes with all of the packed one. Only a
text that holds the beginning of a gzip member is looked at in this way."""

import zlib
from collections.abc import Callable, Iterator

from runner.redact.budget import Budget
from runner.redact.matcher import TOO_MANY

RULE = "gzip"
MAGIC = b"\x1f\x8b\x08"
# What base64 makes of it: runs that hold it are decoded, though they hold no keyword.
IN_BASE64 = b"H4sI"

# Of a member are looked at; a secret behind that stays, as one that is packed in another way.
_MAX_BYTES = 1 << 20
_PLACES = 4


def find_packed(
    data: bytes, budget: Budget, is_secret: Callable[[bytes], bool]
) -> Iterator[tuple[int, int, str]]:
    """Members whose unpacked text is a secret, in order of place, and the rule that says so; all
    from one on where there are more than there is time to look at."""
    at = passed = 0
    while (start := data.find(MAGIC, at)) >= 0:
        budget.fill(start - passed)
        passed, at = start, start + 1
        if not budget.take(_PLACES):
            yield start, len(data), TOO_MANY
            return
        unpack = zlib.decompressobj(31)
        try:
            text = unpack.decompress(memoryview(data)[start:], _MAX_BYTES)
        except zlib.error:
            # No member after all, or one that was cut or garbled: what can be read of it counts.
            text = _readable(memoryview(data)[start:])
        if not budget.unpack(len(text)):
            yield start, len(data), TOO_MANY
            return
        if text and is_secret(text):
            rest = unpack.unused_data if unpack.eof else b""
            at = len(data) - len(rest)
            yield start, at, RULE


def _readable(packed: memoryview) -> bytes:
    """As much as comes before the damage."""
    unpack, text = zlib.decompressobj(31), bytearray()
    try:
        for at in range(0, min(len(packed), _MAX_BYTES), 256):
            text += unpack.decompress(packed[at : at + 256], _MAX_BYTES - len(text))
            if len(text) >= _MAX_BYTES:
                break
    except zlib.error:
        pass
    return bytes(text)
