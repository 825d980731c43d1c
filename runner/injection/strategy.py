"""How to reach a pod: with the target's PID namespace, beside it, or through the API alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from runner.model.pod import ContainerStatus, Pod
from runner.select.condition import (
    IMAGE_PULL_REASONS,
    app_status,
    app_statuses,
    condition_status,
    container_crash_loops,
    restarted_after,
)

# A target that has just started may be about to die, and takes the ephemeral container with it.
MIN_UPTIME = timedelta(seconds=5)


class Refused(NamedTuple):
    """A strategy that the pod's state does not admit."""

    strategy: str
    reason: str
    message: str


class Choice(NamedTuple):
    """`strategy` is `target`, `own-image`, `shared`, `catch`, `copy` or `none`; `reason` and
    `message` say why not more; `refused` are those that came before it. `sees_image`: the file
    system of the target's image is in reach."""

    strategy: str
    reason: str = ""
    message: str = ""
    refused: tuple[Refused, ...] = ()
    sees_image: bool = False


def expanded(strategies: Sequence[str], *, needs_image: bool) -> tuple[str, ...]:
    """With `auto` replaced by what it stands for: the least that sees what the steps need."""
    meant = ("target", "own-image", "shared") if needs_image else ("target", "shared")
    found: list[str] = []
    for strategy in strategies:
        found += meant if strategy == "auto" else (strategy,)
    return tuple(dict.fromkeys(found))


def _no_sandbox(pod: Pod) -> Choice | None:
    if not pod.spec.node_name:
        return Choice("none", "Unscheduled", "the pod is on no node yet")
    has_sandbox = condition_status(pod, "PodReadyToStartContainers")
    if has_sandbox == "True" and not pod.status.pod_ip:
        # Its status stays as it is until all of them are started, their postStart hooks included.
        return Choice(
            "none",
            "Starting",
            "the kubelet is starting the pod's containers (a postStart hook has to end first), "
            "and starts nothing else in it meanwhile",
        )
    if has_sandbox == "False" or not (pod.status.pod_ip or pod.spec.host_network):
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


def _catch_refused(
    pod: Pod, target: str, now: datetime, *, worth_entering: bool
) -> tuple[str, str]:
    """Reason and sentence why it makes no sense to wait until the target lives, or both empty."""
    found = next(((s, init) for s, init in app_statuses(pod) if s.name == target), None)
    if not worth_entering:
        return "NotNeeded", (
            "no step says that it needs the target's processes (needs: {target: true}) or its "
            "image (needs: {image: true})"
        )
    if pod.spec.share_process_namespace or pod.spec.host_pid:
        return "NotNeeded", (
            "the pod's one PID namespace outlives each container: strategy target sees it"
        )
    if found is None:
        return "TargetNeverRan", f"container {target} has never run"
    status, init = found
    state, last = status.state, status.last_state.terminated
    if state.running is not None:
        if _target_refused(pod, target, now):
            return "", ""
        return "TargetRuns", f"container {target} stays alive: strategy target enters it"
    ended = state.terminated or last
    pulling = state.waiting is not None and state.waiting.reason in IMAGE_PULL_REASONS
    if ended is None or pulling:
        return "TargetNeverRan", f"container {target} has never run"
    if not restarted_after(pod, target, ended.exit_code, init=init):
        return "TargetNotRestarted", f"container {target} has ended and is not started again"
    return "", ""


def _image_refused(pod: Pod, target: str) -> str:
    """Why the target's own image cannot be run, or the empty string."""
    status = app_status(pod, target)
    if status is None or not status.image_id:
        return f"the image of container {target} was never on the node"
    return ""


def choose_strategy(
    pod: Pod, target: str, allowed: Sequence[str], now: datetime, *, worth_entering: bool = True
) -> Choice:
    """The first of the allowed strategies that the pod's state admits. `worth_entering`: some
    step sees more from within the target's PID namespace."""
    no_sandbox = _no_sandbox(pod)
    if no_sandbox is not None:
        return no_sandbox
    refused: list[Refused] = []
    # One PID namespace for the whole pod outlives each of its containers; its first process is
    # none of the app's.
    shared_pids = pod.spec.share_process_namespace or pod.spec.host_pid
    for strategy in allowed:
        why_not, reason = "", "TargetNotRunning"
        if strategy == "target":
            why_not = "" if shared_pids else _target_refused(pod, target, now)
        elif strategy in ("own-image", "copy"):
            why_not, reason = _image_refused(pod, target), "ImageNotPresent"
        elif strategy == "catch":
            reason, why_not = _catch_refused(pod, target, now, worth_entering=worth_entering)
        if not why_not:
            entered = strategy == "target" and not shared_pids
            sees = entered or strategy in ("own-image", "catch", "copy")
            return _chosen(strategy, refused)._replace(sees_image=sees)
        refused.append(Refused(strategy, reason, why_not))
    return _chosen("none", refused)


def _chosen(strategy: str, refused: Sequence[Refused]) -> Choice:
    if not refused or strategy in ("target", "catch"):
        return Choice(strategy, refused=tuple(refused))
    return Choice(strategy, refused[0].reason, refused[0].message, tuple(refused))
