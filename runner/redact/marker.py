"""What stands in the place of a secret."""

from runner.redact.regex import compile_bytes

MARKER = compile_bytes(rb"\[redacted:[a-z0-9-]+:[0-9a-f]{8}\]")
MARKER_START = b"[redacted:"
_MAX_BYTES = 64


def make_marker(rule: str, token: bytes) -> bytes:
    """`token` is the keyed hash of the secret, of which four bytes are shown."""
    return f"[redacted:{rule}:{token[:4].hex()}]".encode()


def marker_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Start and end of the marker that the byte belongs to."""
    floor = max(0, at - _MAX_BYTES)
    start = data.rfind(MARKER_START, floor, at + len(MARKER_START))
    marker = MARKER.match(data, start) if start >= 0 else None
    return marker.span() if marker and start <= at < marker.end() else None
