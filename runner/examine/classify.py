"""What the kubelet's word on our ephemeral container means: kubernetes-facts.md section 2.4.

Pure. The status shows success within a second and failure late: an event says it first, but
events may be dropped, so both are read and neither is waited for alone.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from runner.model.pod import ContainerStatus, Event, Pod, StateTerminated
from runner.select.condition import IMAGE_PULL_REASONS


class Stage(StrEnum):
    WAITING = "waiting"  # will start, or heal, or not: the start deadline decides
    RUNNING = "running"
    ENDED = "ended"  # ran and ended: collect
    START_FAILED = "start-failed"  # will never run; final
    POD_ENDED = "pod-ended"  # the pod is ending or ended before it could start


class Verdict(NamedTuple):
    """`reason` is CamelCase as the API has it, `message` the kubelet's sentence."""

    stage: Stage
    reason: str = ""
    message: str = ""
    terminated: StateTerminated | None = None


# Retrying cannot mend these: the name, the policy or the registry's answer stays what it is.
_FINAL_WAITING = frozenset({"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_FINAL_PULL_WORDS = (
    "not found",
    "manifest unknown",
    "unauthorized",
    "authentication required",
    "denied",
    "no match for platform",
    "invalid reference format",
    "forbidden",
)
_BENIGN_WAITING = frozenset({"", "ContainerCreating", "PodInitializing"})
# The kubelet tries these again by itself; only the start deadline ends the waiting.
_TARGET_NOT_FOUND = "unable to find target container"
# A kubelet that is well looks at a pod that has changed within a second or two.
_SURELY_SEEN_SECONDS = 10


def _pull_is_final(message: str) -> bool:
    text = message.lower()
    return any(word in text for word in _FINAL_PULL_WORDS)


def _waiting(status: ContainerStatus, reason: str, message: str) -> Verdict:
    if reason in _FINAL_WAITING:
        return Verdict(Stage.START_FAILED, reason, message)
    if reason in IMAGE_PULL_REASONS:
        final = _pull_is_final(message)
        return Verdict(Stage.START_FAILED if final else Stage.WAITING, "ErrImagePull", message)
    if reason == "CreateContainerConfigError":
        healing = _TARGET_NOT_FOUND in message
        return Verdict(Stage.WAITING if healing else Stage.START_FAILED, reason, message)
    if reason == "RunContainerError":
        # It looks like waiting but is the end: the runtime has a dead record of that name.
        last = status.last_state.terminated
        return Verdict(Stage.START_FAILED, reason, message or (last.message if last else ""))
    return Verdict(Stage.WAITING, reason, message)


def _event_verdict(name: str, events: Iterable[Event]) -> Verdict | None:
    """The kubelet's Warning events about this container, which are there long before the status."""
    field_path = f"spec.ephemeralContainers{{{name}}}"
    latest: Verdict | None = None
    for event in events:
        if event.involved_object.field_path != field_path or event.type != "Warning":
            continue
        message = event.message.removeprefix("Error: ")
        if event.reason in _FINAL_WAITING:
            return Verdict(Stage.START_FAILED, event.reason, message)
        if event.reason != "Failed":
            continue
        if message.startswith("Failed to pull image"):
            final = _pull_is_final(message)
            latest = Verdict(
                Stage.START_FAILED if final else Stage.WAITING, "ErrImagePull", message
            )
        elif "invalid target container" in message or _TARGET_NOT_FOUND in message:
            latest = Verdict(Stage.WAITING, "CreateContainerError", message)
        elif "runAsNonRoot" in message or "non-root" in message:
            return Verdict(Stage.START_FAILED, "CreateContainerConfigError", message)
        elif "failed to create containerd task" in message or "failed to start" in message:
            return Verdict(Stage.START_FAILED, "RunContainerError", message)
    return latest if latest is not None and latest.message else None


def classify(pod: Pod, name: str, events: Iterable[Event] = ()) -> Verdict:
    """Where the ephemeral container `name` stands in this view of the pod."""
    status = pod.ephemeral_container_status(name)
    if status is not None and status.state.terminated is not None:
        ended = status.state.terminated
        if ended.exit_code == 128 and ended.reason in ("StartError", "ContainerCannotRun"):
            return Verdict(Stage.START_FAILED, "RunContainerError", ended.message, ended)
        return Verdict(Stage.ENDED, ended.reason, ended.message, ended)
    if status is not None and status.state.running is not None:
        return Verdict(Stage.RUNNING)
    if pod.metadata.deletion_timestamp is not None:
        return Verdict(Stage.POD_ENDED, "Terminating", "the pod is being deleted")
    if pod.status.phase in ("Succeeded", "Failed"):
        why = pod.status.message or f"phase {pod.status.phase}"
        return Verdict(Stage.POD_ENDED, pod.status.reason or "Finished", why)
    waiting = status.state.waiting if status is not None else None
    reason, message = (waiting.reason, waiting.message) if waiting is not None else ("", "")
    if status is not None and reason not in _BENIGN_WAITING:
        return _waiting(status, reason, message)
    return _event_verdict(name, events) or Verdict(Stage.WAITING, reason, message)


def explain_absence(pod: Pod, name: str, generation: int, waited_seconds: float) -> tuple[str, str]:
    """Reason and sentence for a container that did not start in the time that was waited."""
    status = pod.ephemeral_container_status(name)
    if status is not None and status.state.waiting is not None:
        waiting = status.state.waiting
        if waiting.reason not in _BENIGN_WAITING:
            return waiting.reason, waiting.message
    waited = f"{waited_seconds:.{0 if waited_seconds >= _SURELY_SEEN_SECONDS else 1}f} s"
    if status is None and pod.status.observed_generation < generation:
        sooner = "" if waited_seconds >= _SURELY_SEEN_SECONDS else "it needs longer, or "
        return "NotSeenByKubelet", (
            f"the kubelet of node {pod.spec.node_name} did not look at the pod within {waited}: "
            f"{sooner}the node is not ready, overloaded or virtual"
        )
    return "StartTimeout", (
        f"the kubelet knows of the container and did not start it within {waited}"
    )
