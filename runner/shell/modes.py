"""Which modes of the terminal a session has switched, so that leaving it leaves none behind. Pure.

A session that is left, or lost, in the middle of `top` or `vi` would leave the alternate screen, a
hidden cursor and a mouse that types.
"""

import re

_SWITCH = re.compile(rb"\x1b\[\?([0-9;]{1,64})([hl])")
_LONGEST = 80
# DEC private modes that are off in a terminal at rest, and those that are on.
_OFF = frozenset((b"1", b"9", b"47", b"66", b"1000", b"1002", b"1003", b"1004", b"1005", b"1006",
                  b"1015", b"1016", b"1047", b"1049", b"2004", b"2026"))  # fmt: skip
_ON = frozenset((b"7", b"25"))


class Modes:
    """Reads what a session writes to the terminal."""

    def __init__(self) -> None:
        self._tail = b""
        self._changed: dict[bytes, None] = {}

    def feed(self, data: bytes) -> None:
        text = self._tail + data
        end = 0
        for match in _SWITCH.finditer(text):
            end = match.end()
            is_on = match[2] == b"h"
            for mode in match[1].split(b";"):
                if is_on if mode in _OFF else not is_on and mode in _ON:
                    self._changed[mode] = None
                else:
                    self._changed.pop(mode, None)
        self._tail = text[max(end, len(text) - _LONGEST) :]

    def restored(self) -> bytes:
        """What to write to have the terminal as it was; colours are always put back."""
        switches = (b"\x1b[?" + mode + (b"h" if mode in _ON else b"l") for mode in self._changed)
        return b"".join(switches) + b"\x1b[0m"
