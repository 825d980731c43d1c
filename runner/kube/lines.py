"""Lines out of a stream of chunks."""


class LineTooLongError(Exception):
    """A line grew over the limit; what follows in the stream is of no use."""


class LineSplitter:
    """Puts chunks together to lines, each byte looked at and copied a constant number of times.

    Lines come without their line feed; empty lines are dropped. What comes after the last line
    feed is kept: a cut stream ends in half a JSON document, which is nothing.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk, return the lines it completes; raises LineTooLongError."""
        first, *others = chunk.split(b"\n")
        self._pending.append(first)
        self._pending_bytes += len(first)
        if self._pending_bytes > self._limit:
            raise LineTooLongError(f"a line is longer than {self._limit} bytes")
        if not others:
            return []
        lines = [b"".join(self._pending), *others[:-1]]
        self._pending = [others[-1]]
        self._pending_bytes = len(others[-1])
        return [line for line in lines if line]
