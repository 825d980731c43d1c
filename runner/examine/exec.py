"""One exec into a container, listened to until it ends, says too much or takes too long."""

import asyncio
from collections.abc import Callable, Sequence

from runner.cluster import Chunk, Ended, Place, StreamOutcome
from runner.examine.context import Context


async def listen(
    ctx: Context,
    place: Place,
    argv: Sequence[str],
    hear: Callable[[Chunk], bool],
    *,
    timeout_seconds: float,
    late: str = "",
    stdin: bytes | None = None,
) -> Ended:
    """How the stream ended. `hear` takes each chunk and says whether to go on; what it ends, and
    what takes too long, has no known end, and `late` says what becomes of the latter. Raises
    ClusterError where it could not begin."""
    ended = Ended(
        outcome=StreamOutcome.UNKNOWN,
        reason="DeadlineExceeded",
        message=f"no end within {timeout_seconds:.0f} s{late}",
    )
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            ctx.cluster.streams.exec(place, argv, stdin=stdin is not None) as stream,
        ):
            if stdin is not None:
                await stream.send(stdin)
            async for chunk in stream.chunks():
                if not hear(chunk):
                    break
            ended = stream.ended
    except TimeoutError:
        pass
    return ended
