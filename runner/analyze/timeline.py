"""What is known of the life of a pod, in the order in which it happened. Pure."""

from collections.abc import Iterator

from runner.analyze.facts import event_container, ordered_events
from runner.model.examination import Examination
from runner.model.pod import ContainerStatus, StateTerminated
from runner.model.report import Moment, PodResult
from runner.select import app_statuses

MAX_MOMENTS = 60
_MAX_CHARACTERS = 200
# What is told by the containers' states anyway.
_TOLD = frozenset({"Scheduled", "Pulling", "Pulled", "Created", "Started"})


def timeline(examination: Examination, result: PodResult) -> tuple[Moment, ...]:
    """The latest MAX_MOMENTS, oldest first."""
    found = sorted(
        (*_pod(examination), *_containers(examination), *_events(examination), *_ours(result)),
        key=lambda moment: (moment.at, moment.what, moment.container, moment.text),
    )
    return tuple(found[-MAX_MOMENTS:])


def _pod(examination: Examination) -> Iterator[Moment]:
    meta, status = examination.pod.metadata, examination.pod.status
    if meta.creation_timestamp is not None:
        yield Moment(
            at=meta.creation_timestamp, until=None, what="created", container="", text="created"
        )
    for each in status.conditions:
        if each.last_transition_time is None or each.type not in ("PodScheduled", "Ready"):
            continue
        holds = each.status == "True"
        text = each.type if holds else f"not {each.type}"
        if each.type == "PodScheduled":
            node = examination.pod.spec.node_name
            text = f"scheduled to {node}" if holds else "not scheduled"
        yield Moment(
            at=each.last_transition_time,
            until=None,
            what="scheduled" if each.type == "PodScheduled" else "condition",
            container="",
            text=text + (f" ({each.reason})" if each.reason and not holds else ""),
            bad=not holds,
        )
    if meta.deletion_timestamp is not None:
        yield Moment(
            at=meta.deletion_timestamp,
            until=None,
            what="deleted",
            container="",
            text="should be gone",
            bad=True,
        )


def _containers(examination: Examination) -> Iterator[Moment]:
    for status, _ in app_statuses(examination.pod):
        running = status.state.running
        if running is not None and running.started_at is not None:
            yield Moment(
                at=running.started_at,
                until=None,
                what="ran",
                container=status.name,
                text="runs since then",
            )
        for ended in _ends(status):
            if ended.started_at is not None or ended.finished_at is not None:
                yield _ran(status.name, ended)


def _ends(status: ContainerStatus) -> Iterator[StateTerminated]:
    for state in (status.last_state, status.state):
        if state.terminated is not None:
            yield state.terminated


def _ran(name: str, ended: StateTerminated) -> Moment:
    at = ended.started_at or ended.finished_at
    assert at is not None
    if at.year <= 1970 and ended.finished_at is not None:
        at = ended.finished_at  # the runtime never started it
    reason = f" ({ended.reason})" if ended.reason not in ("", "Error", "Completed") else ""
    return Moment(
        at=at,
        until=ended.finished_at,
        what="ran",
        container=name,
        text=f"exit code {ended.exit_code}{reason}",
        bad=ended.exit_code != 0,
    )


def _events(examination: Examination) -> Iterator[Moment]:
    for event in ordered_events(examination):
        last = event.last_timestamp or event.event_time or event.first_timestamp
        first = event.first_timestamp or last
        if event.reason in _TOLD or first is None:
            continue
        text = f"{event.reason}: {event.message}" if event.message else event.reason
        cut = text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
        yield Moment(
            at=first,
            until=last if last != first else None,
            what="event",
            container=event_container(event),
            text=cut,
            count=event.count or 1,
            bad=event.type == "Warning",
        )


def _ours(result: PodResult) -> Iterator[Moment]:
    for each in result.injections:
        if each.injected_at is not None:
            yield Moment(
                at=each.injected_at,
                until=each.finished_at,
                what="injected",
                container=each.container,
                text="ephemeral container of podmedic",
            )
