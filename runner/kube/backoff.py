"""How long to wait before asking again: exponential, with full jitter, as the server says."""

RETRY_AFTER_CAP_SECONDS = 60.0


def delay_seconds(
    failures: int,
    draw: float,
    *,
    base_seconds: float,
    cap_seconds: float,
    retry_after_seconds: float | None = None,
) -> float:
    """The wait after the n-th failure in a row (n >= 1); `draw` is a random number in [0, 1).

    What the server asks for is the least; the jitter comes on top, for all its clients were told
    the same.
    """
    ceiling = min(cap_seconds, base_seconds * 2.0 ** min(failures - 1, 30))
    if retry_after_seconds is None:
        return draw * ceiling
    return min(max(retry_after_seconds, 0.0), RETRY_AFTER_CAP_SECONDS) + draw * min(ceiling, 1.0)


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header; the API server never sends the form with a date."""
    if header is None or not header.strip().isascii() or not header.strip().isdigit():
        return None
    return float(header.strip()[:6])
