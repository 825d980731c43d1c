"""Secrets in gzip: what a rule finds in the unpacked text goes with all of the packed one. Only a
text that holds the beginning of a gzip member is looked at in this way."""

import zlib
from collections.abc import Callable, Iterator

from runner.redact.budget import Budget

RULE = "gzip"
MAGIC = b"\x1f\x8b\x08"
# What base64 makes of it: runs that hold it are decoded, though they hold no keyword.
IN_BASE64 = b"H4sI"

# Of a member are looked at; a secret behind that stays, as one that is packed in another way.
_MAX_BYTES = 1 << 20
_MAX_MEMBERS = 16
_PLACES = 4


def find_packed(
    data: bytes, budget: Budget, is_secret: Callable[[bytes], bool]
) -> Iterator[tuple[int, int]]:
    """Members whose unpacked text is a secret, in order of place."""
    at = 0
    for _ in range(_MAX_MEMBERS):
        start = data.find(MAGIC, at)
        if start < 0 or not budget.take(_PLACES):
            return
        at = start + 1
        unpack = zlib.decompressobj(31)
        try:
            text = unpack.decompress(memoryview(data)[start:], _MAX_BYTES)
        except zlib.error:
            # No member after all, or one that was cut or garbled: what can be read of it counts.
            text = _readable(data[start:])
        if text and is_secret(text):
            rest = unpack.unused_data if unpack.eof else b""
            at = len(data) - len(rest)
            yield start, at


def _readable(packed: bytes) -> bytes:
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
