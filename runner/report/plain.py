"""Text from pods made harmless to look at: what would move the cursor, set a colour or turn the
reading direction becomes visible instead, as kubectl does it (CVE-2021-25743)."""

import re
import unicodedata
from collections.abc import Sequence

from runner.late import late

# Besides C0, DEL and C1: everything that reorders or hides what stands around it.
_DANGEROUS = late(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SPACE = late(r"[ \t\n]+")
# With less room only the beginning is kept.
_SQUEEZED = 20
_MAX_NAMES = 4


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return "^" + chr(code + 0x40)
    if code == 0x7F:
        return "^?"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def plain(text: str) -> str:
    """`text` with control, bidi and invisible characters made visible; newline and tab stay."""
    if text.isascii() and text.isprintable():  # most names are, and there are very many
        return text
    return _DANGEROUS.sub(_visible, text)


def one_line(text: str) -> str:
    """`plain` on one line: runs of blanks and newlines become one space."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return _SPACE.sub(" ", plain(text)).strip()


def cells(text: str) -> int:
    """How many columns a terminal uses for `text`, which is one line of plain text."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def beginning(text: str, width: int) -> str:
    """As much of `text` as fits in `width` columns."""
    used = 0
    for end, character in enumerate(text):
        used += _cell(character)
        if used > width:
            return text[:end]
    return text


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns (one at least), with `…` where something was cut off."""
    if cells(text) <= width:
        return text
    return beginning(text, width - 1).rstrip() + "…"


def squeezed(text: str, width: int) -> str:
    """`text` in at most `width` columns, with `…` in its middle: a line of a log begins with who
    and ends with why."""
    if cells(text) <= width or width < _SQUEEZED:
        return cut(text, width)
    room = width - 1
    tail = beginning(text[::-1], room // 2)[::-1].lstrip()
    return beginning(text, room - cells(tail)).rstrip() + "…" + tail


def wrapped(text: str, width: int, *, most: int) -> list[str]:
    """`text` in at most `most` lines, broken at blanks where there are any."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1 and cells(rest) > width:
        end = len(beginning(rest, width))
        blank = rest.rfind(" ", 0, end + 1)
        end = blank if blank > width // 2 else end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, cut(rest, width)] if rest else lines


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; the first ones of many."""
    if len(names) > _MAX_NAMES:
        names = [*names[: _MAX_NAMES - 1], f"{len(names) - _MAX_NAMES + 1} others"]
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def is_terminal_safe(text: str) -> bool:
    """Whether `plain` would leave `text` as it is."""
    return _DANGEROUS.search(text) is None
