"""A shell of ours that somebody left: which one, and what it said last."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from runner.cluster import Cluster, ClusterError, Place, Resource, Scope
from runner.examine import PodHub
from runner.model.base import Value
from runner.model.pod import Pod, StateRunning, StateTerminated
from runner.permissions import attach_needs
from runner.policy import Policy, of_namespace
from runner.report.plain import plain
from runner.shell.meant import meant_in
from runner.shell.program import terminal_ttl
from runner.shell.reach import NotReachedError, end_of, no_pod
from runner.sweep.existence import absent
from runner.sweep.permissions import require

_PODS = Resource(plural="pods")
_LOG_BYTES = 64 * 1024
_LOG_LINES = 12
_LOG_SECONDS = 10.0
# Control sequences of a terminal: CSI, OSC and the short ones. Some of them ask the terminal
# something, and its answer would be typed into the shell.
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-9;?<=>!]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """`container` is the name of an ephemeral container, or empty for the only one."""

    namespace: str
    pod: str
    container: str
    policy: Policy


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A shell that runs; `end` as of `runner.shell.Reached`."""

    place: Place
    pod: Pod
    target: str
    started_at: datetime
    ttl_seconds: int
    end: Callable[[float], Awaitable[StateTerminated | None]]

    @property
    def ends_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.ttl_seconds)


class _Shell(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ttl_seconds: int
    running: StateRunning | None
    ended: StateTerminated | None


def _shells(pod: Pod) -> list[_Shell]:
    found = []
    for container in pod.spec.ephemeral_containers:
        ttl_seconds = terminal_ttl(container.command, container.name)
        status = pod.ephemeral_container_status(container.name)
        if ttl_seconds is not None and status is not None:
            state = status.state
            found.append(
                _Shell(
                    name=container.name,
                    ttl_seconds=ttl_seconds,
                    running=state.running,
                    ended=state.terminated,
                )
            )
    return found


def choose_shell(pod: Pod, container: str, now: datetime) -> _Shell:
    """The one that is meant; raises NotReachedError with what there is instead."""
    shells = _shells(pod)
    name = pod.metadata.name
    live = [shell for shell in shells if shell.running is not None]
    if container:
        named = next((shell for shell in shells if shell.name == container), None)
        if named is None:
            ours = ", ".join(shell.name for shell in live) or "none that runs"
            raise NotReachedError(f"pod {name} has no shell {container} of podmedic's: {ours}")
        live = [named] if named.running is not None else []
        shells = [named]
    if len(live) == 1:
        return live[0]
    if live:
        names = ", ".join(f"{shell.name} ({_age(shell, now)})" for shell in live)
        raise NotReachedError(f"pod {name} has {len(live)} shells, -c NAME says which: {names}")
    ended = [shell.ended for shell in shells if shell.ended is not None]
    last = (
        max(ended, key=lambda end: end.finished_at.timestamp() if end.finished_at else 0.0)
        if ended
        else None
    )
    how = f"; the last one ended with exit code {last.exit_code}" if last is not None else ""
    raise NotReachedError(
        f"no shell of podmedic's runs in pod {name}{how}; "
        f"`podmedic shell {name} -n {pod.metadata.namespace}` starts one"
    )


def _age(shell: _Shell, now: datetime) -> str:
    started_at = shell.running.started_at if shell.running is not None else None
    return f"{(now - started_at).total_seconds():.0f} s old" if started_at else "just started"


@asynccontextmanager
async def find(
    cluster: Cluster, sought: Sought, now: Callable[[], datetime]
) -> AsyncIterator[Found]:
    """Raises NotReachedError and ClusterError. The pod is watched until the context is left."""
    why = of_namespace(sought.policy, sought.namespace)
    if why is not None:
        raise NotReachedError(str(why))
    scope = Scope(namespace=sought.namespace, field_selector=f"metadata.name={sought.pod}")
    pods: list[Pod] = []
    version = ""
    async for page, page_version in cluster.list_pods(scope):
        version = version or page_version
        pods += page
    if not pods:
        where = await absent(cluster, [sought.namespace])
        near = await meant_in(cluster, sought.namespace, "Pod", sought.pod)
        raise NotReachedError(no_pod(f"pod {sought.pod}", sought.namespace, where) + near)
    (pod,) = pods
    shell = choose_shell(pod, sought.container, now())
    await require(cluster, attach_needs(), [sought.namespace], command="podmedic rbac --shell")
    hub = PodHub(cluster)
    hub.track(pod)
    hub.start([(scope, version)])
    try:
        yield Found(
            place=Place(namespace=sought.namespace, pod=sought.pod, container=shell.name),
            pod=pod,
            target=_target_of(pod, shell.name),
            started_at=(shell.running.started_at if shell.running else None) or now(),
            ttl_seconds=shell.ttl_seconds,
            end=partial(end_of, hub, pod.metadata.uid, shell.name),
        )
    finally:
        await hub.stop()


def _target_of(pod: Pod, name: str) -> str:
    """The container that it was made for, by its own word where it did not enter it."""
    container = pod.ephemeral_container(name)
    if container is None:
        return ""
    said = next((v.value for v in container.env if v.name == "PODMEDIC_TARGET"), "")
    return container.target_container_name or said


class _Spec(Value, frozen=True, kw_only=True):
    ephemeral_containers: tuple[dict[str, Any], ...] = ()


class _Whole(Value, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


async def as_it_stands(cluster: Cluster, place: Place) -> dict[str, Any]:
    """The container with every field that the API server has of it; by a LIST, for nobody needs
    `get` on pods for a shell. Raises ClusterError."""
    async for page in cluster.objects.pages(
        _PODS, place.namespace, _Whole, field_selector=f"metadata.name={place.pod}"
    ):
        for pod in page:
            for container in pod.spec.ephemeral_containers:
                if container.get("name") == place.container:
                    return container
    return {"name": place.container}


async def last_lines(cluster: Cluster, place: Place) -> tuple[str, ...]:
    """What was said last, as plain text; nothing where the log may not be read."""
    log = b""
    try:
        async with asyncio.timeout(_LOG_SECONDS):
            chunks = cluster.read_log(
                place.namespace,
                place.pod,
                place.container,
                limit_bytes=_LOG_BYTES,
                tail_lines=_LOG_LINES,
            )
            async for chunk in chunks:
                log += chunk
    except (ClusterError, TimeoutError):
        return ()
    return plain_lines(log)


def plain_lines(log: bytes) -> tuple[str, ...]:
    """A terminal's output without what moves, colours or asks; carriage returns as they look."""
    text = _SEQUENCES.sub("", log.decode(errors="replace"))
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return tuple(shown for line in lines if (shown := plain(line).rstrip()))[-_LOG_LINES:]
