"""Is the pod what it was before it was examined? Pure: two views of it, compared.

A container that was ill before goes on being ill: its restarts are expected as far as the kubelet's
back-off allows them in the time that passed.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from runner.model.harm import Change, Harm, HarmVerdict, OwnEvent
from runner.model.node import Node
from runner.model.pod import ContainerStatus, Event, Pod
from runner.model.report import PodOutcome, PodResult
from runner.select import app_statuses, condition_status
from runner.select.condition import BACK_OFF_MEMORY

REASON = "EndedMeanwhile"
NODE_REASON = "NodePressure"
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
# The kubelet's: the first restart comes at once, then 10 s, doubling up to 300 s.
_FIRST_BACK_OFF_SECONDS = 10.0
_LONGEST_BACK_OFF_SECONDS = 300.0
# Exit codes from here on: killed by a signal.
_BY_SIGNAL = 128


def expected_restarts(restart_count: int, elapsed_seconds: float) -> int:
    """The most restarts that a crash loop has in that time without anybody's help; the one that
    was due when we looked comes on top."""
    restarts, waited = 1, 0.0
    while True:
        doublings = min(max(restart_count + restarts - 1, 0), 16)
        waited += min(_FIRST_BACK_OFF_SECONDS * 2.0**doublings, _LONGEST_BACK_OFF_SECONDS)
        if waited > elapsed_seconds:
            return restarts
        restarts += 1


def _how(status: ContainerStatus) -> str:
    ended = status.state.terminated or status.last_state.terminated
    if ended is None:
        return "started anew"
    return f"ended with exit code {ended.exit_code} ({ended.reason})"


def _back_offs(status: ContainerStatus) -> int:
    """How often the kubelet has doubled its back-off: it forgets it after a life of 10 minutes."""
    last = status.state.terminated or status.last_state.terminated
    if last is None or last.started_at is None or last.finished_at is None:
        return status.restart_count
    lived_long = last.finished_at - last.started_at >= BACK_OFF_MEMORY
    return 0 if lived_long else status.restart_count


def _was_well(status: ContainerStatus, at: datetime) -> bool:
    """A crash loop is running and ready too, for as long as it lives each time."""
    last = status.last_state.terminated
    if last is not None and last.finished_at is not None:
        return at - last.finished_at >= BACK_OFF_MEMORY and _runs(status)
    return _runs(status)


def _runs(status: ContainerStatus) -> bool:
    return status.ready and status.state.running is not None


def _in_first_life(was: ContainerStatus, now: ContainerStatus, at: datetime) -> bool:
    """It had not yet shown that it can live, and failed of itself: by exit code 0 also ends who was
    told to by a signal."""
    running, ended = was.state.running, now.state.terminated or now.last_state.terminated
    return (
        running is not None
        and running.started_at is not None
        and at - running.started_at < BACK_OFF_MEMORY
        and was.last_state.terminated is None
        and ended is not None
        and 0 < ended.exit_code < _BY_SIGNAL
        and ended.reason != "OOMKilled"
    )


def _of_container(
    was: ContainerStatus, now: ContainerStatus, *, well: bool, at: datetime, elapsed_seconds: float
) -> Iterator[Change]:
    restarts = now.restart_count - was.restart_count
    ended = restarts > 0 or (now.state.terminated is not None and was.state.running is not None)
    if ended and well:
        yield Change(
            what=f"container {was.name}",
            before="running and ready",
            after=_how(now),
            expected=False,
            first_life=_in_first_life(was, now, at),
        )
    elif restarts > 0:
        most = expected_restarts(_back_offs(was), elapsed_seconds)
        yield Change(
            what=f"restarts of container {was.name}",
            before=str(was.restart_count),
            after=str(now.restart_count),
            expected=restarts <= most,
        )
    elif not restarts and was.container_id and now.container_id not in ("", was.container_id):
        yield Change(
            what=f"id of container {was.name}",
            before=was.container_id,
            after=now.container_id,
            expected=not well,
        )


def _of_pod(before: Pod, after: Pod, *, was_well: bool) -> Iterator[Change]:
    was, now = condition_status(before, "Ready"), condition_status(after, "Ready")
    if was != now and "True" in (was, now):
        yield Change(
            what="condition Ready", before=was or "unset", after=now or "unset",
            expected=now == "True" or not was_well,
        )  # fmt: skip
    if before.status.qos_class != after.status.qos_class:
        yield Change(
            what="QoS class", before=before.status.qos_class, after=after.status.qos_class,
            expected=False,
        )  # fmt: skip
    if before.status.phase != after.status.phase:
        yield Change(
            what="phase", before=before.status.phase, after=after.status.phase,
            expected=after.status.phase in ("Running", "Succeeded"),
        )  # fmt: skip
    if (
        condition_status(after, "DisruptionTarget")
        == "True"
        != condition_status(before, "DisruptionTarget")
    ):
        yield Change(what="condition DisruptionTarget", before="unset", after="True", expected=True)


def of_containers(
    before: Pod, after: Pod, *, at: datetime, elapsed_seconds: float
) -> tuple[Change, ...]:
    """Which containers of the app ended or started anew: of all changes those that nothing undoes.
    `at` is when `before` was."""
    old = {status.name: status for status, _ in app_statuses(before)}
    well = condition_status(before, "Ready") == "True"
    finishes = before.spec.restart_policy != "Always"
    found: list[Change] = []
    for now, init in app_statuses(after):
        was = old.get(now.name)
        if was is None:
            continue
        ended_well = finishes and now.state.terminated is not None and (
            now.state.terminated.exit_code == 0
        )  # fmt: skip
        if init or ended_well:
            # Init containers come and go, and the work of a Job has an end.
            continue
        found += _of_container(
            was, now, well=well and _was_well(was, at), at=at, elapsed_seconds=elapsed_seconds
        )
    return tuple(found)


def changes(before: Pod, after: Pod, *, at: datetime, elapsed_seconds: float) -> tuple[Change, ...]:
    """What differs, in the order of the containers, then of the pod. `at` is when `before` was."""
    found = of_containers(before, after, at=at, elapsed_seconds=elapsed_seconds)
    finished = after.status.phase == "Succeeded"
    was_well = all(_was_well(status, at) for status, _ in app_statuses(before) if _runs(status))
    first_life = bool(found) and all(change.first_life or change.expected for change in found)
    of_pod = (
        # That the pod is not Ready then, or Failed, follows from it.
        msgspec.structs.replace(change, first_life=first_life and not change.expected)
        for change in _of_pod(before, after, was_well=was_well)
        if not (finished and change.what == "condition Ready")
    )
    return (*found, *of_pod)


def proof(before: Pod, after: Pod, *, since: datetime, now: datetime, gone: bool = False) -> Harm:
    """`before` is what the pod was at `since`, `after` what it is `now`."""
    if gone or after.metadata.uid != before.metadata.uid or after.metadata.deletion_timestamp:
        return Harm(verdict=HarmVerdict.UNKNOWN)
    elapsed_seconds = (now - since).total_seconds()
    found = changes(before, after, at=since, elapsed_seconds=elapsed_seconds)
    unexpected = any(not change.expected for change in found)
    verdict = HarmVerdict.CHANGED if unexpected else HarmVerdict.UNCHANGED
    return Harm(verdict=verdict, changes=found)


def own_events(events: Iterable[Event], containers: Sequence[str]) -> tuple[OwnEvent, ...]:
    """The Warning events that name one of these ephemeral containers, equal ones once."""
    paths = {f"spec.ephemeralContainers{{{name}}}": name for name in containers}
    found: dict[tuple[str, str, str], int] = {}
    for event in events:
        container = paths.get(event.involved_object.field_path)
        if container is not None and event.type == "Warning":
            # The same event comes again with a higher count.
            key = (container, event.reason, event.message)
            found[key] = max(event.count or 1, found.get(key, 0))
    return tuple(
        OwnEvent(container=container, reason=reason, message=message, count=count)
        for (container, reason, message), count in found.items()
    )


def pressure_changes(before: Node, after: Node) -> Iterator[Change]:
    """The node's pressure conditions: one that came while we were there may be ours."""
    was = {c.type: c.status for c in before.status.conditions}
    now = {c.type: c.status for c in after.status.conditions}
    for kind in _PRESSURES:
        old, new = was.get(kind, "False"), now.get(kind, "False")
        if old != new and "True" in (old, new):
            what = f"condition {kind} of node {after.metadata.name}"
            yield Change(what=what, before=old, after=new, expected=new != "True")


def sentence(harm: Harm) -> str:
    """What changed for the worse, or the empty string."""
    return "; ".join(
        f"{c.what} was {c.before}, now {c.after}" for c in harm.changes if not c.expected
    )


def with_harm(
    result: PodResult,
    before: Pod,
    after: Pod,
    *,
    since: datetime,
    now: datetime,
    gone: bool = False,
    events: Iterable[Event] = (),
) -> PodResult:
    """The result with the proof. Never healthy if the pod changed, whatever else was seen: we may
    have been the cause. `events` are the pod's, made safe to keep."""
    if not result.injections:
        return result
    ours = own_events(events, [injection.container for injection in result.injections])
    harm = proof(before, after, since=since, now=now, gone=gone)
    harm = msgspec.structs.replace(harm, events=ours)
    result = msgspec.structs.replace(result, harm=harm)
    changed = sentence(harm)
    why = "an ephemeral container counts against the memory limits of its pod"
    return _told(result, REASON, f"{changed} while the pod was examined: {why}" if changed else "")


def with_node(result: PodResult, before: Node, after: Node) -> PodResult:
    """The result with what became of the pod's node since before the sweep."""
    found = tuple(pressure_changes(before, after))
    harm = result.harm
    if harm is None or not found:
        return result
    changed = sentence(Harm(verdict=HarmVerdict.CHANGED, changes=found))
    verdict = HarmVerdict.CHANGED if changed else harm.verdict
    harm = msgspec.structs.replace(harm, verdict=verdict, changes=(*harm.changes, *found))
    result = msgspec.structs.replace(result, harm=harm)
    return _told(result, NODE_REASON, f"{changed} after the sweep" if changed else "")


def _told(result: PodResult, reason: str, message: str) -> PodResult:
    if not message:
        return result
    if result.outcome is PodOutcome.PASSED:
        return msgspec.structs.replace(
            result, outcome=PodOutcome.WARNED, reason=reason, message=message
        )
    both = f"{result.message}; {message}" if result.message else message
    return msgspec.structs.replace(result, message=both)
