"""Reading the log of a container within a byte budget: all of it, its end, what matters in it."""

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from runner.examine.context import Context
from runner.model.pod import Pod

_TIME_BYTES = 40  # 2026-11-28T23:44:56.123456789+00:00 and more
_PIECE = 16 << 10  # a longer line is several to the kubelet
_TRANSFER = 16 << 20  # what is read at most to have the end


class End(msgspec.Struct, frozen=True):
    """The last lines of a log; `whole` when there are no others, `cut` when not all of the lines
    asked for are there."""

    data: bytes
    whole: bool
    cut: bool


def _chunks(
    ctx: Context, pod: Pod, container: str, *, limit_bytes: int,
    tail_lines: int | None = None, previous: bool = False, timestamps: bool = False,
) -> AsyncIterator[bytes]:  # fmt: skip
    return ctx.cluster.read_log(
        pod.metadata.namespace,
        pod.metadata.name,
        container,
        limit_bytes=limit_bytes,
        previous=previous,
        tail_lines=tail_lines,
        timestamps=timestamps,
        timeout_seconds=ctx.limits.log_read_seconds,
    )


async def read_log(
    ctx: Context, pod: Pod, container: str, *, limit_bytes: int, previous: bool = False
) -> bytes:
    """All of it, or its first bytes. Raises ClusterError."""
    chunks = _chunks(ctx, pod, container, limit_bytes=limit_bytes, previous=previous)
    return b"".join([chunk async for chunk in chunks])


async def read_end(
    ctx: Context, pod: Pod, container: str, *, tail_lines: int, limit_bytes: int, previous: bool
) -> End:
    """The last bytes of the last lines: `limitBytes` of the API would keep the first ones. Raises
    ClusterError."""
    for lines in (tail_lines, max(_TRANSFER // _PIECE // 4, 1)):
        kept, total = bytearray(), 0
        async for chunk in _chunks(
            ctx, pod, container,
            limit_bytes=_TRANSFER, tail_lines=lines, previous=previous,
        ):  # fmt: skip
            kept += chunk
            total += len(chunk)
            if len(kept) > 2 * limit_bytes:
                del kept[:-limit_bytes]
        if total < _TRANSFER or lines < tail_lines:
            break
    data = bytes(kept[-limit_bytes:])
    cut = total > len(data) or lines < tail_lines
    return End(data, whole=not cut and _pieces(data) < tail_lines, cut=cut)


def _pieces(data: bytes) -> int:
    """How many lines the kubelet counts."""
    lines = data.removesuffix(b"\n").split(b"\n")
    return sum(max(-(-len(line) // _PIECE), 1) for line in lines)


async def begins_at(ctx: Context, pod: Pod, container: str, *, previous: bool) -> datetime | None:
    """When the first line that is there was written: not the first one of a log that the kubelet
    rotated. Raises ClusterError."""
    chunks = _chunks(
        ctx, pod, container, limit_bytes=_TIME_BYTES, previous=previous, timestamps=True
    )
    line = b"".join([chunk async for chunk in chunks]).decode("ascii", errors="replace")
    try:
        return msgspec.convert(line.partition(" ")[0], datetime)
    except msgspec.ValidationError:
        return None


async def search_log(
    ctx: Context, pod: Pod, container: str, *, limit_bytes: int, previous: bool, end: bytes
) -> bytes:
    """The lines around a reason to end in the first bytes of a log; empty when there is none, or
    when it has another end by now: then it is the log of another instance. Raises ClusterError."""
    from runner.examine.search import Search  # noqa: PLC0415  takes long to compile

    search, total, last = Search(), 0, b""
    async for chunk in _chunks(ctx, pod, container, limit_bytes=limit_bytes, previous=previous):
        search.feed(chunk)
        total += len(chunk)
        last = (last + chunk)[-len(end) :]
    return search.result() if total >= limit_bytes or last == end else b""
