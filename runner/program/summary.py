"""The termination message that a step program leaves in the pod's status."""

import re

from runner.program.values import EndedBy, Summary

_MESSAGE = re.compile(
    r"podmedic nonce=([A-Za-z0-9-]{1,63}) exec=([0-9a-f]{1,16}) steps=(\d{1,6})/(\d{1,6})"
    r" frames=(\d{1,9}) bytes=(\d{1,18}) sum=(\d{1,10}) ended=(no|end|deadline|signal)",
    re.ASCII,
)
# Behind it, where no step wrote anything: the frames. The kubelet may have cut them anywhere.
_FRAMES = re.compile(r"\n[a-z0-9 \n-]*", re.ASCII)
_ENDED: dict[str, EndedBy] = {"end": "end", "deadline": "deadline", "signal": "signal"}


def summary(message: str) -> Summary | None:
    """Read a termination message; None when it is not one of ours, or not all of one."""
    match = _MESSAGE.match(message)
    if match is None:
        return None
    behind = message[match.end() :]
    if behind.strip() and not _FRAMES.fullmatch(behind):
        return None
    nonce, execution, run, steps, frames, size, checksum, ended = match.groups()
    return Summary(
        nonce=nonce,
        execution=execution,
        steps_run=int(run),
        steps=int(steps),
        frames=int(frames),
        bytes=int(size),
        checksum=int(checksum),
        ended_by=_ENDED.get(ended, "unknown"),
        lines=tuple(behind.strip().splitlines()),
    )
