"""Did an app container end while its pod was being examined? Pure."""

import msgspec

from runner.model.pod import ContainerStatus, Pod
from runner.model.report import PodOutcome, PodResult
from runner.select import app_statuses
from runner.select.condition import condition_status

REASON = "EndedMeanwhile"


def _how(status: ContainerStatus) -> str:
    ended = status.state.terminated or status.last_state.terminated
    if ended is None:
        return f"container {status.name} was started anew"
    return f"container {status.name} ended with exit code {ended.exit_code} ({ended.reason})"


def ended_meanwhile(before: Pod, after: Pod) -> tuple[str, ...]:
    """A sentence for each container that ran and was ready before, and ended since.

    A container that was not ready was ill already: a crash loop goes on while we look at it.
    """
    if after.metadata.deletion_timestamp is not None or condition_status(before, "Ready") != "True":
        return ()
    old = {status.name: status for status, _ in app_statuses(before)}
    return tuple(
        _how(status)
        for status, _ in app_statuses(after)
        if (was := old.get(status.name)) is not None
        and was.ready
        and was.state.running is not None
        and (status.restart_count > was.restart_count or status.state.terminated is not None)
    )


def with_harm(result: PodResult, before: Pod, after: Pod) -> PodResult:
    """Never healthy, whatever else was seen: we may have been the cause."""
    sentences = ended_meanwhile(before, after)
    if not sentences or not result.container:
        return result
    message = (
        f"{'; '.join(sentences)} while the pod was examined: an ephemeral container counts "
        "against the memory limits of its pod"
    )
    if result.outcome is PodOutcome.PASSED:
        return msgspec.structs.replace(
            result, outcome=PodOutcome.WARNED, reason=REASON, message=message
        )
    both = f"{result.message}; {message}" if result.message else message
    return msgspec.structs.replace(result, message=both)
