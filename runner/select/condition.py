"""From a pod's status to the conditions people speak of.

The API shows an instant: a container in a crash loop is `terminated: Error` most of the time,
`waiting: CrashLoopBackOff` rarely, and `running` for as long as it lives each time
(kubernetes-facts.md, "What surprised" 1). A condition here holds at each of those instants.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from runner.model.examination import TargetCondition
from runner.model.pod import Container, ContainerStatus, Pod

# The kubelet forgets its back-off after a container has run this long.
BACK_OFF_MEMORY = timedelta(minutes=10)
# An OOM kill says something about the pod as it is now for about a day.
OOM_MEMORY = timedelta(hours=24)

IMAGE_PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)


_HEALTHY = frozenset({TargetCondition.READY, TargetCondition.RUNNING})


def is_healthy(conditions: Iterable[TargetCondition]) -> bool:
    """Whether nothing else holds than what holds of a pod that is well."""
    return _HEALTHY.issuperset(conditions)


def app_statuses(pod: Pod) -> Iterator[tuple[ContainerStatus, bool]]:
    """Statuses of init and app containers, each with whether it is an init container."""
    for status in pod.status.init_container_statuses:
        yield status, True
    for status in pod.status.container_statuses:
        yield status, False


def app_status(pod: Pod, container: str) -> ContainerStatus | None:
    """That of the container of this name."""
    return next((s for s, _ in app_statuses(pod) if s.name == container), None)


def condition_status(pod: Pod, condition_type: str) -> str:
    """`True`, `False`, `Unknown`, or the empty string when the pod has no such condition."""
    for condition in pod.status.conditions:
        if condition.type == condition_type:
            return condition.status
    return ""


def restarted_after(pod: Pod, name: str, exit_code: int, *, init: bool) -> bool:
    """Would the kubelet start this container again after that exit code?"""
    containers: tuple[Container, ...] = pod.spec.init_containers if init else pod.spec.containers
    own = next((c.restart_policy for c in containers if c.name == name), "")
    if init and not own:
        # An ordinary init container is run again until it succeeds.
        return exit_code != 0 and pod.spec.restart_policy != "Never"
    policy = own or pod.spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def restarted_within(pod: Pod, seconds: float, now: datetime) -> bool:
    """Whether a container of it failed, or ended and was started again, so short a while ago; as
    far as the API remembers: the last instance of each. One that did its work is none."""
    since = now - timedelta(seconds=seconds)
    for status, _ in app_statuses(pod):
        ended, last = status.state.terminated, status.last_state.terminated
        if ended is not None and ended.exit_code == 0:
            ended = None
        for each in (ended, last):
            if each is not None and (each.finished_at is None or each.finished_at >= since):
                return True
    return False


def container_crash_loops(
    pod: Pod, status: ContainerStatus, now: datetime, *, init: bool = False
) -> bool:
    state, last = status.state, status.last_state.terminated
    if state.waiting is not None:
        return state.waiting.reason == "CrashLoopBackOff"
    if state.terminated is not None:
        return status.restart_count > 0 and restarted_after(
            pod, status.name, state.terminated.exit_code, init=init
        )
    if state.running is None or last is None or status.restart_count < 2:
        return False
    # Between two crashes: it lives, but its last life and this one are short.
    started_at = state.running.started_at
    if started_at is None or now - started_at > BACK_OFF_MEMORY:
        return False
    return (
        last.started_at is not None
        and last.finished_at is not None
        and last.finished_at - last.started_at < BACK_OFF_MEMORY
    )


def _container_conditions(
    pod: Pod, status: ContainerStatus, now: datetime, *, init: bool
) -> Iterator[TargetCondition]:
    waiting = status.state.waiting.reason if status.state.waiting else ""
    if container_crash_loops(pod, status, now, init=init):
        yield (
            TargetCondition.INIT_CRASH_LOOP_BACK_OFF
            if init
            else TargetCondition.CRASH_LOOP_BACK_OFF
        )
    if waiting in IMAGE_PULL_REASONS:
        yield TargetCondition.IMAGE_PULL_BACK_OFF
    if waiting == "CreateContainerConfigError":
        yield TargetCondition.CREATE_CONTAINER_CONFIG_ERROR
    if waiting in ("CreateContainerError", "RunContainerError"):
        yield TargetCondition.CREATE_CONTAINER_ERROR
    for state in (status.state, status.last_state):
        if state.terminated is None:
            continue
        finished_at = state.terminated.finished_at
        recent = finished_at is None or now - finished_at < OOM_MEMORY
        if state.terminated.reason == "OOMKilled" and recent:
            yield TargetCondition.OOM_KILLED
    if status.state.terminated is not None and status.state.terminated.exit_code != 0:
        yield TargetCondition.ERROR


def conditions_of(pod: Pod, now: datetime) -> tuple[TargetCondition, ...]:
    """Every condition that holds for the pod, in the order of the enum."""
    found: set[TargetCondition] = set()
    for status, init in app_statuses(pod):
        found.update(_container_conditions(pod, status, now, init=init))
    phase = pod.status.phase
    if phase == "Pending":
        found.add(TargetCondition.PENDING)
    if phase == "Running":
        found.add(TargetCondition.RUNNING)
    if condition_status(pod, "Ready") == "True":
        found.add(TargetCondition.READY)
    elif phase not in ("Succeeded", "Failed"):
        found.add(TargetCondition.NOT_READY)
    return tuple(condition for condition in TargetCondition if condition in found)
