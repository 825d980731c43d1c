"""What the API knows of a pod, taken before anything is injected, and made safe to keep."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from runner.cluster import ClusterError
from runner.examine.context import Context, Redact, about
from runner.examine.logs import End, begins_at, read_end, search_log
from runner.injection.endpoints import endpoints_of, unexpanded
from runner.injection.variables import heap_of, proxied_by, trusted_by
from runner.model.examination import LogExcerpt
from runner.model.pod import (
    LIMIT_RANGE_ANNOTATION,
    Container,
    ContainerState,
    ContainerStatus,
    EnvVar,
    Event,
    Pod,
    PodCondition,
    StateTerminated,
)
from runner.select import app_status, app_statuses

_MAX_NEIGHBOURS = 4
# What the kubelet answers, with status 200, in place of a log that is no longer there.
_NO_LOG = (
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
)


def _clean_container(container: Container, redact: Redact) -> Container:
    """Names of variables stay, their values go: the endpoints in them were read before."""
    open_names = unexpanded(container)
    env = tuple(
        EnvVar(name=v.name, value_from=v.value_from, unexpanded=open_names.get(v.name, ()))
        for v in container.env
    )
    endpoints = ((redact.redact_text(e.host)[0], e.port) for e in endpoints_of(container))
    return msgspec.structs.replace(
        container,
        env=env,
        endpoints=tuple(dict.fromkeys(endpoints)),
        heap=heap_of(container),
        trusted=tuple(
            msgspec.structs.replace(each, path=redact.redact_text(each.path)[0])
            for each in trusted_by(container)
        ),
        proxied=tuple(
            msgspec.structs.replace(each, host=redact.redact_text(each.host)[0])
            for each in proxied_by(container)
        ),
        liveness_probe=_clean_probe(container.liveness_probe, redact),
        readiness_probe=_clean_probe(container.readiness_probe, redact),
        startup_probe=_clean_probe(container.startup_probe, redact),
        lifecycle={
            name: _clean_probe(hook, redact)
            for name, hook in (container.lifecycle or {}).items()
            if isinstance(hook, Mapping)
        }
        or None,
        command=redact.redact_argv(container.command)[0],
        args=redact.redact_argv(container.args)[0],
    )


def _clean_probe(probe: Mapping[str, Any] | None, redact: Redact) -> dict[str, Any] | None:
    """Names of headers stay, their values go; a command passes the choke point."""
    if probe is None:
        return None
    clean = dict(probe)
    request = clean.get("httpGet")
    if isinstance(request, Mapping):
        headers = request.get("httpHeaders")
        names = headers if isinstance(headers, list) else []
        clean["httpGet"] = {
            **request,
            "path": redact.redact_text(str(request.get("path", "")))[0],
            "httpHeaders": [
                {"name": each.get("name", "")} for each in names if isinstance(each, Mapping)
            ],
        }
    command = clean.get("exec")
    if isinstance(command, Mapping) and isinstance(command.get("command"), list):
        words = redact.redact_argv([str(word) for word in command["command"]])[0]
        clean["exec"] = {**command, "command": list(words)}
    return clean


def _clean_state(state: ContainerState, redact: Redact) -> ContainerState:
    if state.waiting is not None and state.waiting.message:
        message = redact.redact_text(state.waiting.message)[0]
        return ContainerState(waiting=msgspec.structs.replace(state.waiting, message=message))
    if state.terminated is not None and state.terminated.message:
        message = redact.redact_text(state.terminated.message)[0]
        return ContainerState(terminated=msgspec.structs.replace(state.terminated, message=message))
    return state


def _clean_status(status: ContainerStatus, redact: Redact) -> ContainerStatus:
    return msgspec.structs.replace(
        status,
        state=_clean_state(status.state, redact),
        last_state=_clean_state(status.last_state, redact),
    )


def _clean_condition(condition: PodCondition, redact: Redact) -> PodCondition:
    if not condition.message:
        return condition
    message = redact.redact_text(condition.message)[0]
    return msgspec.structs.replace(condition, message=message)


def clean_pod(pod: Pod, redact: Redact) -> Pod:
    """The snapshot that analyze and the run directory get to see."""
    spec = msgspec.structs.replace(
        pod.spec,
        containers=tuple(_clean_container(c, redact) for c in pod.spec.containers),
        init_containers=tuple(_clean_container(c, redact) for c in pod.spec.init_containers),
        ephemeral_containers=(),
    )
    status = msgspec.structs.replace(
        pod.status,
        message=redact.redact_text(pod.status.message)[0] if pod.status.message else "",
        conditions=tuple(_clean_condition(c, redact) for c in pod.status.conditions),
        container_statuses=tuple(_clean_status(s, redact) for s in pod.status.container_statuses),
        init_container_statuses=tuple(
            _clean_status(s, redact) for s in pod.status.init_container_statuses
        ),
        ephemeral_container_statuses=(),
    )
    # `kubectl apply` keeps the whole manifest in an annotation.
    kept = {k: v for k, v in pod.metadata.annotations.items() if k == LIMIT_RANGE_ANNOTATION}
    metadata = msgspec.structs.replace(pod.metadata, annotations=kept)
    return msgspec.structs.replace(pod, metadata=metadata, spec=spec, status=status)


def clean_event(event: Event, redact: Redact) -> Event:
    metadata = event.metadata
    if metadata.annotations:
        metadata = msgspec.structs.replace(metadata, annotations={})
    message = redact.redact_text(event.message)[0]
    return msgspec.structs.replace(event, metadata=metadata, message=message)


def _instance(status: ContainerStatus, *, previous: bool) -> tuple[str, int]:
    """Id of the instance whose log one reads, and how many restarts came before it."""
    last = status.last_state.terminated
    if not previous:
        return status.container_id, status.restart_count
    return (last.container_id if last else status.container_id), status.restart_count - 1


def neighbours_to_read(pod: Pod, target: str) -> Sequence[str]:
    """The first few other containers that may say why something is wrong: those that run, and
    those that ended with an error."""
    found = [
        status.name
        for status, _ in app_statuses(pod)
        if status.name != target
        and (
            status.state.running is not None
            or any(
                state.terminated is not None and state.terminated.exit_code != 0
                for state in (status.state, status.last_state)
            )
        )
    ]
    return found[:_MAX_NEIGHBOURS]


async def app_log(
    ctx: Context, pod: Pod, container: str, *, tail_lines: int, limit_bytes: int,
    search_bytes: int = 0, of_now: bool = False,
) -> tuple[tuple[LogExcerpt, ...], str]:  # fmt: skip
    """The end of the container's log, or of the instance before it if that one died and this one
    lives; with the reason if nothing could be read (`forbidden: get pods/log`). Where the end of an
    instance that ended says nothing of why, that is looked for in the first `search_bytes`.

    While the status says `terminated` the plain log is the last instance's and `previous` an
    error text (kubernetes-facts.md, "What surprised" 10).
    """
    status = app_status(pod, container)
    if status is None or not (status.container_id or status.restart_count):
        return (), ""

    async def read(*, previous: bool) -> End:
        return await read_end(
            ctx, pod, container, tail_lines=tail_lines, limit_bytes=limit_bytes, previous=previous
        )

    # One request: what it said before it died, if it is alive again, else what it says now.
    lives_again = status.state.running is not None and status.restart_count > 0
    asked = previous = lives_again and not of_now
    try:
        end = await read(previous=previous)
        now = app_status(ctx.hub.latest(pod.metadata.uid), container) or status
        restarted = now.restart_count > status.restart_count
        if restarted and not previous and now.state.running is not None:
            # That was its successor's: the one that was looked at is the one before, by now.
            previous = True
            end = await read(previous=previous)
        elif previous and end.data.lstrip().startswith(_NO_LOG):
            # It ended before we asked: from then on the plain log is that of the last instance.
            asked = previous = False
            end = await read(previous=previous)
    except ClusterError as error:
        return (), error.why_unknown("get pods/log")
    if not end.data or end.data.lstrip().startswith(_NO_LOG):
        return (), ""
    container_id, restarts = _instance(now, previous=previous)
    earlier = b""
    silent = (previous or now.state.running is None) and not _has_reason(end)
    if silent and search_bytes and not end.whole:
        # Otherwise its end is what there is.
        with suppress(ClusterError):
            earlier = await search_log(
                ctx, pod, container, limit_bytes=search_bytes, previous=previous, end=end.data
            )
    late = None
    ended = _ended(now, previous=previous)
    if silent and not earlier and ended is not None:
        with suppress(ClusterError):
            late = _late(ended, await begins_at(ctx, pod, container, previous=previous))
    with about(source=f"log of container {container}"):
        text, before = (ctx.redact.redact_bytes(each)[0] for each in (end.data, earlier))
    excerpt = LogExcerpt(
        container=container,
        text=text.decode("utf-8", errors="replace"),
        earlier=before.decode("utf-8", errors="replace"),
        # As the pod was when it was looked at.
        previous=asked,
        container_id=container_id,
        restarts=restarts,
        restarted=restarted,
        truncated=end.cut,
        begins_after_seconds=late,
    )
    return (excerpt,), ""


def _has_reason(end: End) -> bool:
    """Not so of a log that ends with the stacks of a thousand threads."""
    # Imported here: its patterns take long to compile, and most pods have no log to weigh.
    from runner.last_words import fatal_line  # noqa: PLC0415

    return fatal_line(end.data.decode("utf-8", errors="replace")) != ""


def _ended(status: ContainerStatus, *, previous: bool) -> StateTerminated | None:
    """The end of the instance whose log one reads, where its log may have been rotated: the kubelet
    looks every ten seconds."""
    state = None if previous else status.state.terminated
    state = state or status.last_state.terminated
    if state is None or state.started_at is None or state.finished_at is None:
        return None
    return state if (state.finished_at - state.started_at).total_seconds() >= 10 else None


def _late(ended: StateTerminated, begins: datetime | None) -> int | None:
    """How long after its start the first line was written, if that is long."""
    if begins is None or ended.started_at is None:
        return None
    seconds = int((begins - ended.started_at).total_seconds())
    return seconds if seconds >= 5 else None
