r"""Private keys in PEM: the one secret that spans lines.

The body goes, the lines around it stay. A key may be cut: the end of a log starts in the middle
of one, a cap ends in the middle of one; then the lines next to what is left that look like a body
go. Each line may carry a prefix (a time, a quote mark, an indentation) or all may be one line
with `\n` written out.
"""

from collections.abc import Iterator

from runner.redact.marker import MARKER
from runner.redact.regex import Match, compile_bytes

RULE = "pem"
MARK = b"PRIVATE KEY"

_MAX_KEY_BYTES = 64 << 10
_MAX_LINES = 500  # BEGIN or END; what comes after so many goes as one
_LABEL = rb"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_DELIMITER = compile_bytes(rb"-{4,5} ?(?:(BEGIN )|END )" + _LABEL)
_LINE_END = rb"(?:\\+[nr]|[ \t\r\n])"
_PADDING = compile_bytes(_LINE_END + rb"*")
_PREFIX = rb"(?:[^\n]{0,64}[ \t\"'|>])?"
_HEADER = rb"[A-Z][A-Za-z-]{1,20}: [^\n]{0,200}\n"
_SAME_LINE = compile_bytes(rb"(?:\\+[nr]|[A-Za-z0-9+/=])*")
_BODY_LINES = compile_bytes(
    rb"(?:[ \t\r]*\n|"
    + _HEADER
    + rb"|"
    + _PREFIX
    + rb"[A-Za-z0-9+/]{24,}={0,2}[\r\"',]*(?:\n|\z))*"
)
_BODY_LINE = compile_bytes(_PREFIX + rb"[A-Za-z0-9+/]{24,}={0,2}[\r\"',]*")
_LAST_LINE = compile_bytes(_PREFIX + rb"=?[A-Za-z0-9+/]+={0,2}[\r\"',]*")


def find_keys(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the bodies of private keys are, in order of place."""
    if MARK not in data:
        return
    previous_end = 0
    opened: Match | None = None
    for number, delimiter in enumerate(_DELIMITER.finditer(data)):
        start, end = delimiter.span()
        begins = delimiter.start(1) >= 0
        if opened is not None:
            whole = not begins and start - opened.end() <= _MAX_KEY_BYTES
            yield from _body(data, opened.end(), start if whole else _cut_end(data, opened.end()))
            if not begins and not whole:
                yield from _body(data, _cut_start(data, opened.end(), start), start)
        elif not begins:
            yield from _body(data, _cut_start(data, previous_end, start), start)
        opened = delimiter if begins else None
        previous_end = end
        if number == _MAX_LINES:
            yield from _body(data, end, len(data))
            return
    if opened is not None:
        yield from _body(data, opened.end(), _cut_end(data, opened.end()))


def _body(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The part without line ends around it, unless nothing or one of our markers is left."""
    padding = _PADDING.match(data, start, end)
    start = padding.end() if padding else start
    body = data[start:end].rstrip(b" \t\r\n")
    while body.endswith((b"\\n", b"\\r")):
        body = body[:-2].rstrip(b"\\ \t\r\n")
    if body and not MARKER.fullmatch(body):
        yield start, start + len(body)


def _cut_end(data: bytes, start: int) -> int:
    """Where a key ends that begins here and has no END line."""
    limit = min(len(data), start + _MAX_KEY_BYTES)
    same_line = _SAME_LINE.match(data, start, limit)
    at = same_line.end() if same_line else start
    lines = _BODY_LINES.match(data, at, limit)
    at = lines.end() if lines else at
    newline = data.find(b"\n", at, limit)
    last = data[at : limit if newline < 0 else newline]
    return at + len(last) if _LAST_LINE.fullmatch(last) and b" " not in last else at


def _cut_start(data: bytes, floor: int, end: int) -> int:
    """Where a key starts that ends here and has no BEGIN line."""
    floor = max(floor, end - _MAX_KEY_BYTES)
    line_start = max(floor, data.rfind(b"\n", floor, end) + 1)
    escaped = data[line_start:end]
    if b"\\n" in escaped:
        return end - len(escaped) + _last_break(escaped)
    start, looks_like_body = line_start, _LAST_LINE
    while start > floor:
        above = max(floor, data.rfind(b"\n", floor, start - 1) + 1)
        if not looks_like_body.fullmatch(data[above : start - 1]):
            break
        start, looks_like_body = above, _BODY_LINE
    return start


def _last_break(escaped: bytes) -> int:
    """Where the run of base64 and written-out line ends begins that ends the text."""
    kept = escaped.rstrip(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\")
    return len(kept)
