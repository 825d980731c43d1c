"""Accidents: three letters and a sign turn up by chance in what is compressed or encrypted, with
something behind them five times in a gigabyte. Such a match has hardly any text around it, and what
stands before and behind is as good as random; a real one lacks one of the two.
"""

# `pwd=hunter2`: in 20 MiB of noise a match with that much text comes by once in 3000 times.
MIN_TEXT_BYTES = 11
_SIDE_BYTES = 256
# Of 256 random bytes 162 differ, give or take 6; of programs and heaps mostly 60 to 100.
_RANDOM_KINDS = 140
_BLANK, _TILDE = 0x20, 0x7E


def is_accident(data: bytes, value: int) -> bool:
    """Whether the match whose value begins at `value` is one of random bytes."""
    near = data[max(0, value - MIN_TEXT_BYTES) : value]
    before = len(near) - _text_start(near)
    if before >= MIN_TEXT_BYTES:
        return False
    # A character that is cut at the end is no text: so some more bytes are looked at.
    behind = _text_length(data[value : value + MIN_TEXT_BYTES + 3 - before])
    if before + behind >= MIN_TEXT_BYTES:
        return False
    start, end = value - before, value + behind
    return _is_random(data[max(0, start - _SIDE_BYTES) : start]) and _is_random(
        data[end : end + _SIDE_BYTES]
    )


def _is_random(side: bytes) -> bool:
    """What is shorter, at an end of the data, is not judged."""
    return len(side) == _SIDE_BYTES and len(set(side)) >= _RANDOM_KINDS


def _text_start(data: bytes) -> int:
    """Where the printable ASCII begins that the data ends with: names are that."""
    at = len(data)
    while at > 0 and _BLANK <= data[at - 1] <= _TILDE:
        at -= 1
    return at


def _text_length(data: bytes) -> int:
    """Of the text that the data begins with; passwords may be of any script."""
    text = data.decode("utf-8", "surrogateescape")
    for number, char in enumerate(text):
        if not char.isprintable():
            return len(text[:number].encode())
    return len(data)
