"""Bytes of a log to frames, and the lines of a frame to the bytes that they stand for.

Nothing here raises, whatever the bytes are, and all of it takes linear time.
"""

import binascii
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from runner.late import late

MODULUS: Final = 2147483647
MARK: Final = b"@podmedic "
_MAX_LINE = 700  # a line of ours has fewer than 300 bytes
_LINE_CHARS = 4000

# kind: number of its fields
KINDS: Final = {
    "start": 6,
    "exit": 6,
    "out": 6,
    "err": 6,
    "skip-tool": 2,
    "skip-deadline": 1,
    "skip-signal": 1,
    "skip-nowhere": 1,
    "end": 3,
    "end-deadline": 3,
    "end-signal": 3,
}
BASE64, HEX, GZIP, LEFT_OUT = 1, 2, 4, 8

_HEAD = re.compile(
    rb"@podmedic ([A-Za-z0-9-]{1,63}) ([0-9a-f]{1,16}) (\d{1,9}) ([a-z-]{1,16})"
    rb"((?: \d{1,18}){1,8}) (\d{1,10}) ([0-9a-f]{1,64}|-) ;"
)
_TOLD = late(r"([a-z-]{1,16})((?: \d{1,18}){1,8})", re.ASCII)
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_BASE64_START = re.compile(rb"[A-Za-z0-9+/]*")
_HEX_LINE = re.compile(rb"(?: ?[0-9a-f]{2})+")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Frame(msgspec.Struct):
    """One line of ours and the text lines that follow it. `check` is what it must be."""

    execution: str
    sequence: int
    kind: str
    fields: tuple[int, ...]
    check: int
    digest: str
    lines: list[bytes] = msgspec.field(default_factory=list)


class Scan(msgspec.Struct):
    """A log taken apart: the frames of this program in their order, and what else there was."""

    frames: list[Frame] = msgspec.field(default_factory=list)
    damaged_lines: int = 0  # began like a line of ours but is none
    other_programs: int = 0  # lines of ours with another nonce
    foreign_lines: int = 0  # text in front of the first frame


class Payload(msgspec.Struct, frozen=True):
    """`exact` is false when there was more behind the line than the bytes that it tells of."""

    data: bytes
    proven: bool
    exact: bool = True


def scan(log: bytes, nonce: str) -> Scan:
    """Take `log` apart; text glued before, between or behind our lines is kept apart."""
    found = Scan()
    own = nonce.encode(errors="replace")
    current: Frame | None = None
    for line in log.split(b"\n"):
        for text, is_head in _pieces(line):
            if not is_head:
                if current is not None:
                    current.lines.append(text)
                elif text.strip():
                    found.foreign_lines += 1
                continue
            current = None
            match = _HEAD.fullmatch(text)
            frame = _frame(match) if match else None
            if match and match[1] != own:
                found.other_programs += 1
            elif frame is None:
                found.damaged_lines += 1
            else:
                found.frames.append(frame)
                current = frame
    return found


def _pieces(line: bytes) -> Iterator[tuple[bytes, bool]]:
    """Split one line of the log where lines of ours begin and end."""
    position = line.find(MARK)
    text_from = 0
    while position >= 0:
        if position > text_from:
            yield line[text_from:position], False
        following = line.find(MARK, position + 1)
        limit = min(len(line) if following < 0 else following, position + _MAX_LINE)
        match = _HEAD.match(line, position, limit)
        text_from = match.end() if match else (len(line) if following < 0 else following)
        yield line[position:text_from], True
        position = following
    if text_from < len(line):
        yield line[text_from:], False


def _frame(match: re.Match[bytes]) -> Frame | None:
    _, execution, sequence, kind, numbers, check, digest = match.groups()
    frame = _made(
        execution.decode(),
        int(sequence),
        kind.decode(),
        tuple(map(int, numbers.split())),
        "" if digest == b"-" else digest.decode(),
    )
    return frame if frame is not None and frame.check == int(check) else None


def told_frames(lines: Iterable[str], execution: str) -> list[Frame] | None:
    """The frames that a termination message tells of: kind and numbers, in their order. Their
    checks are not in it, but the sum over all of them is. None when one is none of ours."""
    frames = []
    for sequence, line in enumerate(lines):
        match = _TOLD.fullmatch(line)
        frame = match and _made(
            execution, sequence, match[1], tuple(map(int, match[2].split())), digest=""
        )
        if not frame:
            return None
        frames.append(frame)
    return frames


def _made(
    execution: str, sequence: int, kind: str, fields: tuple[int, ...], digest: str
) -> Frame | None:
    if KINDS.get(kind) != len(fields):
        return None
    check = (int(execution, 16) + sequence * 32 + len(kind)) % MODULUS
    for number in fields:
        check = (check * 1000003 + number) % MODULUS
    return Frame(execution, sequence, kind, fields, check, digest)


def payload(frame: Frame, encoding: int, kept: int, capacity: int) -> Payload:
    """The bytes behind an `out` or `err` line: never more than `capacity` of them.

    `proven` when there are `kept` of them and the digest agrees; without a digest (the image had
    no tool for it) gzip's own check counts.
    """
    if kept == 0:
        return Payload(b"", proven=not frame.digest)
    coded, exact = _unhex(frame.lines) if encoding & HEX else _unbase64(frame.lines)
    checked = False
    if encoding & GZIP:
        data, checked, rest = _gunzip(coded, capacity)
        exact = exact and not rest
        checked = checked and not frame.digest
    else:
        data = coded[:capacity]
    if len(data) != kept:
        return Payload(data[:kept], proven=False)
    return Payload(data, checked or _digest_agrees(data, frame.digest), exact)


def _digest_agrees(data: bytes, digest: str) -> bool:
    if len(digest) == 64:
        return hashlib.sha256(data).hexdigest() == digest
    return digest.isdecimal() and len(digest) <= 10 and int(digest) == cksum(data)


def cksum(data: bytes) -> int:
    """The CRC of POSIX `cksum`: zlib's, with the bits of every byte and of the result mirrored."""
    size = len(data)
    length = size.to_bytes((size.bit_length() + 7) // 8, "little")
    mirrored = zlib.crc32((data + length).translate(_MIRROR), 0xFFFFFFFF)
    return int(f"{mirrored:032b}"[::-1], 2)


def _unbase64(lines: list[bytes]) -> tuple[bytes, bool]:
    coded = b"".join(map(_base64_part, lines))
    for strict in (True, False):  # the second time for what can be saved
        try:
            whole = coded if strict else coded[: len(coded) // 4 * 4]
            return binascii.a2b_base64(whole, strict_mode=strict), strict
        except binascii.Error:
            continue
    return b"", False


def _base64_part(line: bytes) -> bytes:
    """What of a line is ours: a full line of base64 is saved even with foreign text glued to it."""
    line = line.removesuffix(b"\r")
    if _BASE64_LINE.fullmatch(line):
        return line
    start = _BASE64_START.match(line)
    if start and start.end() >= _LINE_CHARS:
        return line[:_LINE_CHARS]
    tail = line[-_LINE_CHARS:]
    if len(tail) == _LINE_CHARS and _BASE64_LINE.fullmatch(tail):
        return tail
    return b""


def _unhex(lines: list[bytes]) -> tuple[bytes, bool]:
    stripped = (line.rstrip() for line in lines)
    ours = [line for line in stripped if _HEX_LINE.fullmatch(line)]
    return bytes.fromhex(b"".join(ours).decode()), True


def _gunzip(coded: bytes, capacity: int) -> tuple[bytes, bool, bytes]:
    """Unpack what can be unpacked; True when the stream ended as gzip says; what is behind it."""
    inflate = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    room = capacity + 1  # one more than allowed, so that too much is noticed
    for at in range(0, len(coded), 4096):
        try:
            part = inflate.decompress(coded[at : at + 4096], room)
        except zlib.error:
            break
        parts.append(part)
        room -= len(part)
        if room == 0 or inflate.eof:
            return b"".join(parts), inflate.eof, inflate.unused_data + coded[at + 4096 :]
    return b"".join(parts), False, b""
