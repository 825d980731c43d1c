"""How to reach a pod: with the target's PID namespace, beside it, or through the API alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from runner.model.pod import ContainerStatus, Pod
from runner.select.condition import app_statuses, condition_status, container_crash_loops

# A target that has just started may be about to die, and takes the ephemeral container with it.
MIN_UPTIME = timedelta(seconds=5)


class Choice(NamedTuple):
    """`strategy` is `target`, `shared` or `none`; `reason` and `message` say why not more."""

    strategy: str
    reason: str = ""
    message: str = ""


def _no_sandbox(pod: Pod) -> Choice | None:
    if not pod.spec.node_name:
        return Choice("none", "Unscheduled", "the pod is on no node yet")
    if condition_status(pod, "PodReadyToStartContainers") == "False" or not (
        pod.status.pod_ip or pod.spec.host_network
    ):
        return Choice(
            "none",
            "NoSandbox",
            "the pod has no sandbox yet (volumes or network are not ready), "
            "so the kubelet starts nothing in it",
        )
    return None


def _target_refused(pod: Pod, target: str, now: datetime) -> str:
    """Why the target's PID namespace cannot be entered, or the empty string."""
    found: tuple[ContainerStatus, bool] | None = next(
        ((s, init) for s, init in app_statuses(pod) if s.name == target), None
    )
    if found is None or found[0].state.running is None:
        return f"container {target} is not running"
    status, init = found
    if container_crash_loops(pod, status, now, init=init):
        return f"container {target} is in a crash loop and would take ours with it"
    started_at = found[0].state.running.started_at
    if started_at is not None and now - started_at < MIN_UPTIME:
        return f"container {target} started less than {MIN_UPTIME.seconds} s ago"
    return ""


def choose_strategy(pod: Pod, target: str, allowed: Sequence[str], now: datetime) -> Choice:
    """The first of the allowed strategies that the pod's state admits."""
    refused = _no_sandbox(pod)
    if refused is not None:
        return refused
    why_not = ""
    for strategy in allowed:
        if strategy == "target":
            # One PID namespace for the whole pod outlives each of its containers.
            shared_pids = pod.spec.share_process_namespace or pod.spec.host_pid
            why_not = "" if shared_pids else _target_refused(pod, target, now)
            if not why_not:
                return Choice("target")
        else:
            return Choice(strategy, "TargetNotRunning" if why_not else "", why_not)
    return Choice("none", "TargetNotRunning" if why_not else "", why_not)
