"""What ephemeral containers leave behind: they stay in a pod's spec until the pod goes. Pure.

Each one makes every LIST and WATCH of the pod heavier and shrinks the termination messages of all
its containers (kubernetes-facts.md, "What surprised" 3), so a pod may carry only so many.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from runner.injection import resident_digest
from runner.model.pod import Container, ContainerStatus, Pod
from runner.model.subject import Workload
from runner.select import Skip, workload_of

RUN_VARIABLE = "PODMEDIC_RUN"
# Steps seldom take longer. A kubelet may say for ever that a container runs which has ended (seen
# on a busy node, with containerd 1.6): nobody waits for that.
_AT_WORK = timedelta(seconds=300)
# Of one that was sent and has yet to start: twice as long as a run waits for that by default. It
# may have been sent in vain long ago, which nothing in the pod tells.
_TO_START = timedelta(seconds=120)
# The kubelet's words until it has tried.
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
# Somebody who sits at one does so for an hour, and knows it.
_SHELL = "shell-"
# Defaults that the server adds, and its managedFields: seen on the lab, 1.36.
_UNSEEN_BYTES = 400
_BYTES_EACH = 10_000
_RESTARTABLE = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


class DebtLimits(msgspec.Struct, frozen=True, kw_only=True):
    """`max_containers` and `max_bytes` per pod, `cool_down_seconds` between two runs on one pod;
    0 lifts each."""

    max_containers: int = 10
    max_bytes: int = 100_000
    cool_down_seconds: float = 0.0

    @classmethod
    def of_cap(cls, cap: int, cool_down_seconds: float = 0.0) -> "DebtLimits":
        """As `--cap` says it: who allows more containers than usual means their bytes as well."""
        most = 0 if cap == 0 else max(cls().max_bytes, cap * _BYTES_EACH)
        return cls(max_containers=cap, max_bytes=most, cool_down_seconds=cool_down_seconds)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One ephemeral container. `run` is the id of the podmedic run that made it, or empty;
    `state` is `running`, `waiting`, `terminated` or `unknown` (the kubelet never said);
    `resident` ones stay for later sweeps."""

    name: str
    image: str
    run: str
    state: str
    reason: str
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None
    bytes: int
    resident: bool = False


def run_of(container: Container) -> str:
    return next((v.value for v in container.env if v.name == RUN_VARIABLE), "")


def at_work(
    pod: Pod, now: datetime, run_id: str = "",
    *, first_seen: Callable[[str], datetime] | None = None,
) -> datetime | None:  # fmt: skip
    """Until when, at most, another run is at work in the pod; None where none is. `first_seen` says
    since when a container of that name is known; without it, from now on.

    One that stays for later sweeps does nothing most of the time, and one that could not be started
    may never be."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return None
    seen = first_seen or (lambda _: now)
    found = [now]
    for container in pod.spec.ephemeral_containers:
        run = run_of(container)
        if not run or run == run_id or run.startswith(_SHELL) or resident_digest(container):
            continue
        status = pod.ephemeral_container_status(container.name)
        running = status.state.running if status is not None else None
        if running is not None and running.started_at is not None:
            # By the node's clock, which may be ahead of ours.
            ahead = running.started_at > now
            found.append((seen(container.name) if ahead else running.started_at) + _AT_WORK)
        elif _is_to_start(status):
            found.append(seen(container.name) + _TO_START)
    until = max(found)
    return until if until > now else None


def _is_to_start(status: ContainerStatus | None) -> bool:
    if status is None:
        return True
    waiting = status.state.waiting
    return waiting is not None and waiting.reason in _STARTING


def _size(container: Container, status: ContainerStatus | None) -> int:
    size = len(msgspec.json.encode(container)) + _UNSEEN_BYTES
    return size + (len(msgspec.json.encode(status)) if status is not None else 0)


def _entry(container: Container, status: ContainerStatus | None) -> Entry:
    state = status.state if status is not None else None
    running = state.running if state is not None else None
    ended = state.terminated if state is not None else None
    waiting = state.waiting if state is not None else None
    word = "running" if running else "terminated" if ended else "waiting" if waiting else "unknown"
    return Entry(
        name=container.name,
        image=container.image,
        run=run_of(container),
        state=word,
        reason=waiting.reason if waiting else ended.reason if ended else "",
        exit_code=ended.exit_code if ended else None,
        started_at=running.started_at if running else ended.started_at if ended else None,
        finished_at=ended.finished_at if ended else None,
        bytes=_size(container, status),
        resident=bool(resident_digest(container)),
    )


def entries(pod: Pod) -> tuple[Entry, ...]:
    """In the order of their start; those that never started come last."""
    found = [
        _entry(container, pod.ephemeral_container_status(container.name))
        for container in pod.spec.ephemeral_containers
    ]
    # The order in the spec says nothing about age: a patch adds at the front.
    started = [e for e in found if e.started_at is not None]
    started.sort(key=lambda e: (e.started_at, e.name))
    return (*started, *(e for e in found if e.started_at is None))


def _seconds(delta: timedelta) -> str:
    seconds = int(delta.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def over_cap(pod: Pod, limits: DebtLimits) -> Skip | None:
    """Why this pod may carry no further container, whoever made those that it has, or None."""
    return _over_cap(pod, entries(pod), limits)


def _over_cap(pod: Pod, counted: Sequence[Entry], limits: DebtLimits) -> Skip | None:
    carried = sum(e.bytes for e in counted)
    too_many = limits.max_containers and len(counted) >= limits.max_containers
    too_heavy = limits.max_bytes and carried >= limits.max_bytes
    if not (too_many or too_heavy):
        return None
    cap = f"{limits.max_containers}" if too_many else f"{limits.max_bytes} bytes"
    return Skip(
        "EphemeralBudget",
        f"the pod carries {len(counted)} ephemeral container{'s' if len(counted) > 1 else ''} "
        f"(about {carried} bytes), the cap is {cap} (--cap allows more); "
        f"they leave it only with the pod: {advice(workload_of(pod), pod)}",
    )


def debt_skip(pod: Pod, limits: DebtLimits, now: datetime, *, run_id: str = "") -> Skip | None:
    """Why this pod gets no further ephemeral container, or None. What the same run has put there
    does not count: it is found again, not made again."""
    others = [e for e in entries(pod) if not run_id or e.run != run_id]
    if (over := _over_cap(pod, others, limits)) is not None:
        return over
    latest = max((e.started_at for e in others if e.run and e.started_at), default=None)
    if latest is not None and (now - latest).total_seconds() < limits.cool_down_seconds:
        return Skip(
            "CoolDown",
            f"podmedic examined the pod {_seconds(now - latest)} ago, "
            f"the cool-down is {_seconds(timedelta(seconds=limits.cool_down_seconds))}",
        )
    return None


def advice(workload: Workload, pod: Pod) -> str:
    """The command that replaces the pods and so ends the debt."""
    if workload.kind in _RESTARTABLE:
        kind = workload.kind.lower()
        return f"kubectl rollout restart {kind}/{workload.name} -n {workload.namespace}"
    return f"kubectl delete pod {pod.metadata.name} -n {pod.metadata.namespace}"


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A workload whose pods carry ephemeral containers. `due` when one of its pods has used half
    of what it may carry."""

    workload: Workload
    pods: int
    containers: int
    bytes: int
    due: bool
    command: str


def _is_due(found: Sequence[Entry], limits: DebtLimits) -> bool:
    return bool(
        (limits.max_containers and 2 * len(found) >= limits.max_containers)
        or (limits.max_bytes and 2 * sum(e.bytes for e in found) >= limits.max_bytes)
    )


def rollouts(pods: Sequence[Pod], limits: DebtLimits) -> tuple[Rollout, ...]:
    """The workloads of these pods that carry any, the heaviest first."""
    by_workload: dict[Workload, list[Pod]] = {}
    for pod in pods:
        if pod.spec.ephemeral_containers:
            by_workload.setdefault(workload_of(pod), []).append(pod)

    def summed() -> Iterator[Rollout]:
        for workload, members in by_workload.items():
            carried = [entries(pod) for pod in members]
            yield Rollout(
                workload=workload,
                pods=len(members),
                containers=sum(map(len, carried)),
                bytes=sum(e.bytes for found in carried for e in found),
                due=any(_is_due(found, limits) for found in carried),
                command=advice(workload, members[0]),
            )

    def order(rollout: Rollout) -> tuple[int, str, str]:
        return (-rollout.bytes, rollout.workload.namespace, rollout.workload.name)

    return tuple(sorted(summed(), key=order))
