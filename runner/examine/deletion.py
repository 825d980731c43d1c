"""That the pod was deleted, or had done its work, while it was examined, as the reason of what came
of it. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from runner.examine.inject import Injected
from runner.model.pod import Pod
from runner.model.report import PodOutcome, StepOutcome, StepResult

REASON = "PodGone"
FINISHED = "Finished"
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


def finish(pod: Pod) -> str:
    """That nothing runs in the pod any more and nothing will: its kubelet ends ours then. Empty for
    one that goes on."""
    status, policy = pod.status, pod.spec.restart_policy
    if status.phase not in ("Succeeded", "Failed"):
        # The phase comes when ours has ended, too.
        ends = [one.state.terminated for one in status.container_statuses]
        over = bool(ends) and all(
            end is not None and (policy == "Never" or (policy == "OnFailure" and not end.exit_code))
            for end in ends
        )
        if not over:
            return ""
    return "the pod had finished" + (f" ({status.reason})" if status.reason else "")


def with_deletion(injected: Injected, pod: Pod, *, gone: bool, now: datetime) -> Injected:
    """A result that is not whole is so because of that."""
    incomplete = injected.outcome is PodOutcome.UNKNOWN or (
        gone and injected.outcome is PodOutcome.TIMEOUT
    )
    when, reason = deletion(pod, gone=gone, now=now), REASON
    message = f"{when}, before its result was read"
    if not when and (when := finish(pod)):
        reason, message = FINISHED, f"{when} before all steps had ended"
    if not when or not incomplete or injected.reason == _OWN_CAUSE:
        return injected
    return replace(
        injected,
        outcome=PodOutcome.UNKNOWN,
        reason=reason,
        message=message,
        steps=_explained(injected.steps, injected.reason, reason, message),
    )


def _explained(
    steps: Sequence[StepResult], was: str, reason: str, message: str
) -> tuple[StepResult, ...]:
    """Steps without a result, or with one that is torn, have none for the same cause."""
    return tuple(
        msgspec.structs.replace(step, reason=reason, message=message)
        if step.outcome is StepOutcome.ERROR
        or (step.outcome is StepOutcome.NOT_EVALUATED and step.reason in (was, "Stopped"))
        else step
        for step in steps
    )


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%S} UTC"
