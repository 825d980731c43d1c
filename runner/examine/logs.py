"""Reading a container's log whole, within a byte limit."""

from runner.examine.context import Context
from runner.model.pod import Pod


async def read_log(
    ctx: Context, pod: Pod, container: str, *, limit_bytes: int,
    tail_lines: int | None = None, previous: bool = False,
) -> bytes:  # fmt: skip
    """Raises ClusterError."""
    chunks = ctx.cluster.read_log(
        pod.metadata.namespace,
        pod.metadata.name,
        container,
        limit_bytes=limit_bytes,
        previous=previous,
        tail_lines=tail_lines,
        timeout_seconds=ctx.limits.log_read_seconds,
    )
    return b"".join([chunk async for chunk in chunks])
