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
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from runner.bundle.manifest import File
from runner.redact import Redactor

# In one file: each that holds a secret is to be named.
MAX_FOUND = 100
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

    def __init__(self, redactor: Redactor, rules: Iterable[tuple[str, str]] = ()) -> None:
        """`rules` are ids and hashes of the run's rules, which its documents list."""
        self._redactor = redactor
        self._ours = tuple(_of_rules(redactor, rules))
        self._page = bytearray()
        self._text: _Text | None = None
        self._packed: _Packed | None = None
        self.found: list[Found] = []
        self.unread: list[str] = []

    def __call__(self, file: File, chunk: bytes) -> None:
        if file.path.endswith(".html"):
            self._hear_page(file, chunk)
            return
        if self._text is None or self._packed is None:
            self._text = _Text(self._redactor, file.path, [], self._ours)
            self._packed = _Packed(self._text, whole=chunk.startswith(_GZIP_MAGIC))
        if chunk:
            if not self._packed.whole:
                self._text.hear(chunk)
            self._packed.hear(chunk)
            return
        self._packed.end()
        self._text.end()
        self.found += self._text.found
        if self._packed.is_given_up:
            self.unread.append(file.path)
        self._text = self._packed = None

    def _hear_page(self, file: File, chunk: bytes) -> None:
        self._page += chunk
        if chunk and len(self._page) <= _MAX_PAGE_BYTES:
            return
        if chunk:
            if file.path not in self.unread:
                self.unread.append(file.path)
        else:
            seen = _Text(self._redactor, file.path, [], self._ours)
            for text in _texts(bytes(self._page)):
                seen.of(text)
            self.found += seen.found
        self._page.clear()


class _Text:
    """A text of any length, searched a window at a time."""

    def __init__(
        self, redactor: Redactor, path: str, found: list[Found], ours: Sequence[bytes]
    ) -> None:
        self._redactor, self._path, self.found, self._ours = redactor, path, found, ours
        self._waiting = bytearray()
        self._lines = 0

    def another(self) -> "_Text":
        return _Text(self._redactor, self._path, self.found, self._ours)

    def hear(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _WINDOW_BYTES:
            window = bytes(self._waiting[:_WINDOW_BYTES])
            self.of(window)
            done = _WINDOW_BYTES - _OVERLAP_BYTES
            self._lines += window.count(b"\n", 0, done)
            del self._waiting[:done]

    def end(self) -> None:
        self.of(bytes(self._waiting))
        self._waiting.clear()

    def of(self, data: bytes) -> None:
        for text in self._ours:
            data = data.replace(text, b"")
        lines = self._lines
        for piece in _between_markers(data):
            _, redactions = self._redactor.redact_bytes(piece)
            for one in redactions:
                found = Found(self._path, lines + one.line, one.rule, one.length)
                # The overlap is searched twice.
                if len(self.found) < MAX_FOUND and found not in self.found[-50:]:
                    self.found.append(found)
            lines += piece.count(b"\n")


class _Packed:
    """Members of gzip, wherever they stand in a file, as long as they are: what they hold is a text
    of its own. With `whole` the file is nothing else: what cannot be unpacked, or never ends, is
    given up, and what is hidden behind its end is searched as it is."""

    def __init__(self, text: _Text, *, whole: bool) -> None:
        self._text = text
        self.whole = whole
        self.is_given_up = False
        self._unpack: zlib._Decompress | None = None
        self._member: _Text | None = None
        self._unpacked_bytes = 0
        # A member may begin where two chunks meet.
        self._before = b""

    def hear(self, chunk: bytes) -> None:
        data = self._before + chunk
        self._before = b""
        while data and not self.is_given_up:
            if self._unpack is None:
                start = data.find(_GZIP_MAGIC)
                if self.whole and start != 0:
                    # Not all of it is packed, after all.
                    self.whole = False
                    self._text.hear(data)
                if start < 0:
                    self._before = data[1 - len(_GZIP_MAGIC) :]
                    return
                data = data[start:]
                self._unpack, self._member = zlib.decompressobj(31), self._text.another()
            data = self._unpacked(data)

    def _unpacked(self, data: bytes) -> bytes:
        """What is left of the data."""
        unpack, member = self._unpack, self._member
        assert unpack is not None
        assert member is not None
        try:
            piece = unpack.decompress(data, _STEP_BYTES)
        except zlib.error:
            # Three bytes by chance, or a member that is damaged: what came before was heard.
            self.end()
            self.is_given_up = self.whole
            return data[1:] if data.startswith(_GZIP_MAGIC) else data
        self._unpacked_bytes += len(piece)
        if self._unpacked_bytes > _MAX_UNPACKED_BYTES:
            self.is_given_up = True
            return b""
        member.hear(piece)
        if not unpack.eof:
            return unpack.unconsumed_tail
        self.end()
        return unpack.unused_data

    def end(self) -> None:
        """Of a member, or of the file."""
        if self._member is not None:
            self._member.end()
        self._unpack = self._member = None


def _of_rules(redactor: Redactor, rules: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """What JSON and YAML make of the rules whose ids read as names of secrets: `wrong-password`."""
    for name, value in rules:
        if redactor.redact_text(f'{{"{name}":"{value}"}}')[1]:
            yield f'"{name}":"{value}"'.encode()
            for quote in ("", '"', "'"):
                yield f"{name}: {quote}{value}{quote}".encode()


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
