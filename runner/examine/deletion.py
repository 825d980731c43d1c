"""That the pod was deleted while it was examined, as the reason of what came of it. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from runner.examine.inject import Injected
from runner.model.pod import Pod
from runner.model.report import PodOutcome, StepOutcome, StepResult

REASON = "PodGone"
# A cause of its own, which a deletion afterwards does not explain.
_OWN_CAUSE = "OOMKilled"


def deletion(pod: Pod, *, gone: bool, now: datetime) -> str:
    """When the pod was deleted and by what, as far as it says; empty for one that stays."""
    meta = pod.metadata
    if meta.deletion_timestamp is None and not gone:
        return ""
    by = next(
        (c for c in pod.status.conditions if c.type == "DisruptionTarget" and c.status == "True"),
        None,
    )
    why = f" ({by.reason})" if by is not None and by.reason else ""
    if meta.deletion_timestamp is None:
        # Removed at once: it never was seen as one that is being deleted.
        return f"the pod was deleted before {_clock(now)}{why}"
    # The API says by when it is to be gone.
    grace = timedelta(seconds=meta.deletion_grace_period_seconds or 0)
    return f"the pod was deleted at {_clock(meta.deletion_timestamp - grace)}{why}"


def with_deletion(injected: Injected, pod: Pod, *, gone: bool, now: datetime) -> Injected:
    """A result that is not whole is so because of that."""
    incomplete = injected.outcome is PodOutcome.UNKNOWN or (
        gone and injected.outcome is PodOutcome.TIMEOUT
    )
    when = deletion(pod, gone=gone, now=now)
    if not when or not incomplete or injected.reason == _OWN_CAUSE:
        return injected
    message = f"{when}, before its result was read"
    return replace(
        injected,
        outcome=PodOutcome.UNKNOWN,
        reason=REASON,
        message=message,
        steps=_explained(injected.steps, injected.reason, message),
    )


def _explained(steps: Sequence[StepResult], reason: str, message: str) -> tuple[StepResult, ...]:
    """Steps without a result, or with one that is torn, have none for the same cause."""
    return tuple(
        msgspec.structs.replace(step, reason=REASON, message=message)
        if step.outcome is StepOutcome.ERROR
        or (step.outcome is StepOutcome.NOT_EVALUATED and step.reason in (reason, "Stopped"))
        else step
        for step in steps
    )


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%S} UTC"
