"""The last look: what is about to leave is searched for secrets once more, whoever wrote it and
whatever was redacted before. It finds the second copies that a choke point never saw.

The page of a report is read as people read it: without its tags, these by themselves, and with the
parts that are packed in it.
"""

import base64
import binascii
import html
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from runner.bundle.manifest import File
from runner.redact import Redactor

MAX_FOUND = 1000
# Searched at a time, and how much of it is seen twice: a secret may lie where two parts meet.
_WINDOW_BYTES = 16 << 20
_OVERLAP_BYTES = 64 << 10
_MAX_PAGE_BYTES = 512 << 20
_MAX_UNPACKED_BYTES = 4 << 30
_STEP_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b\x08"
# Markers of ours, also those that were cut where a line was: at their end, or in their middle.
_CUT = rb"(?:\xe2\x80\xa6|\\u2026)"
_MARKER = re.compile(
    rb"\[redacted:[a-z0-9-]{0,32}(?::[0-9a-f]{0,8}\\?\]?)?"
    rb"|\[[a-z0-9:-]{0,40}" + _CUT + rb"(?:[a-z0-9:-]{0,40}\])?"
)
# Of what was redacted, as JSON or XML write it.
_OPENING = re.compile(rb"(?:[\\\"' >]|&(?:quot|apos|gt|#34|#39|#x27);)+\Z")
_OPENING_BYTES = 64
_TAG = re.compile(rb"<[^<>]*>")
_PACKED = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")


class Found(NamedTuple):
    """What looks like a secret: where, by which rule, how long; never the text."""

    path: str
    line: int
    rule: str
    length: int


class SecretScan:
    """Hears of the files of a bundle one after the other: a `Listen` of verify_bundle. `found` is
    what looks like a secret, `unread` are files that it could not look through."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._waiting = bytearray()
        self._lines = 0
        self._unpack: zlib._Decompress | None = None
        self._unpacked_bytes = 0
        self._begun = False
        self.found: list[Found] = []
        self.unread: list[str] = []

    def __call__(self, file: File, chunk: bytes) -> None:
        if not chunk:
            self._end(file)
            return
        if not self._begun:
            self._begun = True
            if chunk.startswith(_GZIP_MAGIC):
                self._unpack = zlib.decompressobj(31)
        if self._unpack is None:
            self._hear(file, chunk)
            return
        while chunk and self._unpack is not None:
            chunk = self._unpacked(file, chunk)
        if chunk:
            self._hear(file, chunk)

    def _unpacked(self, file: File, chunk: bytes) -> bytes:
        """What is left of the chunk. What is no gzip after all, or never ends, cannot be looked
        through; what is hidden behind its end can."""
        unpack = self._unpack
        assert unpack is not None
        try:
            piece = unpack.decompress(chunk, _STEP_BYTES)
        except zlib.error:
            self._give_up(file)
            return b""
        self._unpacked_bytes += len(piece)
        if self._unpacked_bytes > _MAX_UNPACKED_BYTES:
            self._give_up(file)
            return b""
        self._hear(file, piece)
        if not unpack.eof:
            return unpack.unconsumed_tail
        rest = unpack.unused_data
        self._unpack = zlib.decompressobj(31) if rest.startswith(_GZIP_MAGIC) else None
        return rest

    def _give_up(self, file: File) -> None:
        if file.path not in self.unread:
            self.unread.append(file.path)

    def _hear(self, file: File, data: bytes) -> None:
        self._waiting += data
        if file.path.endswith(".html"):
            if len(self._waiting) > _MAX_PAGE_BYTES:
                self._give_up(file)
                self._waiting.clear()
            return
        while len(self._waiting) >= _WINDOW_BYTES:
            window = bytes(self._waiting[:_WINDOW_BYTES])
            self._search(file.path, window)
            done = _WINDOW_BYTES - _OVERLAP_BYTES
            self._lines += window.count(b"\n", 0, done)
            del self._waiting[:done]

    def _end(self, file: File) -> None:
        data = bytes(self._waiting)
        if file.path.endswith(".html"):
            for text in _texts(data):
                self._search(file.path, text)
        else:
            self._search(file.path, data)
        self._waiting.clear()
        self._lines, self._unpack, self._unpacked_bytes, self._begun = 0, None, 0, False

    def _search(self, path: str, data: bytes) -> None:
        lines = self._lines
        for piece in _between_markers(data):
            _, redactions = self._redactor.redact_bytes(piece)
            for one in redactions:
                found = Found(path, lines + one.line, one.rule, one.length)
                # The overlap is searched twice.
                if len(self.found) < MAX_FOUND and found not in self.found[-50:]:
                    self.found.append(found)
            lines += piece.count(b"\n")


def _between_markers(data: bytes) -> Iterator[bytes]:
    """What was redacted was searched when it was; in a document that quotes it, a rule would take
    what follows a marker (the end of a line, written out; a tag) for the rest of the value."""
    start = 0
    for match in _MARKER.finditer(data):
        cut = max(start, match.start() - _OPENING_BYTES)
        yield data[start:cut] + _OPENING.sub(b"", data[cut : match.start()])
        start = match.end()
    yield data[start:]


def _texts(page: bytes) -> Iterator[bytes]:
    """What a reader sees, what stands in the tags (addresses, titles), and what scripts unpack."""
    for match in _PACKED.finditer(page):
        inflated = _inflated(match.group())
        if inflated:
            yield inflated
    shown = _TAG.sub(b" ", page).decode("utf-8", "replace")
    yield html.unescape(shown).encode("utf-8", "replace")
    tags = b"\n".join(_TAG.findall(page)).decode("utf-8", "replace")
    yield html.unescape(tags).encode("utf-8", "replace")


def _inflated(text: bytes) -> bytes:
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
        return zlib.decompressobj(47).decompress(raw, _MAX_PAGE_BYTES)
    except (binascii.Error, zlib.error):
        return b""
