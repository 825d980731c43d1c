"""The few lines that make a finding believable."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.analyze.facts import container_status, relevant_events
from runner.model.examination import Examination, LogExcerpt
from runner.model.pod import ContainerStatus, StateTerminated
from runner.model.report import Evidence
from runner.playbook.conditions import Facts
from runner.playbook.patterns import compile_pattern
from runner.playbook.spec import FindingRule

MAX_LINES = 10
MAX_BYTES = 2048
MAX_LINE = 1000  # characters by which a decisive line is known again
_MAX_EVENTS = 3
_OWN_WORDS = ("log ", "previous log ", "step ")  # of the application and of ours
_LOGS = ("current", "previous", "last")
_BEFORE, _AFTER = 2, 3  # lines around the one that decides


def evidence_of(
    rule: FindingRule,
    examination: Examination,
    playbook: str,
    decisive: Sequence[str],
    source: str = "",
) -> tuple[Evidence, ...]:
    """What the rule refers to, in its order, but first `source`, where it found its match;
    `decisive` are lines that must be among the shown."""
    if source.startswith("logs.fatal"):
        source = "logs.last"  # where it was found
    found: list[Evidence] = []
    choose = _chooser(rule, decisive)
    references = [each for each in rule.evidence if each != source]
    for reference in [source, *references] if source else references:
        if reference.startswith("events"):
            more = _events(reference.partition(".")[2], examination, rule)
        elif reference == "logs.neighbours":
            more = _neighbours(examination, choose, decisive)
        else:
            more = _evidence(reference, examination, playbook, choose, decisive)
        for each in more:
            if each.excerpt and not _said(each, found):
                found.append(each)
    return tuple(found)


def _said(evidence: Evidence, before: Sequence[Evidence]) -> bool:
    """The kubelet says the same in the status, the termination message and an event."""
    if evidence.source.startswith(_OWN_WORDS):
        return False
    kubelet = [b.excerpt for b in before if not b.source.startswith(_OWN_WORDS)]
    return any(evidence.excerpt in each or each in evidence.excerpt for each in kubelet)


def texts(examination: Examination, known: Facts, reference: str) -> Sequence[str] | None:
    """The texts that a reference of evidence or match stands for; None when they could not be
    had."""
    root, _, rest = reference.partition(".")
    if root == "events":
        if "events" in known.unknown:
            return None
        return [e.message for e in relevant_events(examination) if rest in ("", e.reason)]
    if root == "container" and rest == "status":
        return []
    value: Any = known.values
    for part in reference.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    if not value:
        return []
    # Asked of every rule: most logs have no other lines, and it shall cost nothing then.
    if root == "logs" and rest in _LOGS and any(each.earlier for each in examination.logs):
        log = log_called(rest, examination)
        if log is not None and log.earlier:
            return [log.earlier, str(value)]
    return [str(value)]


Choose = Callable[[str], str]


def _chooser(rule: FindingRule, decisive: Sequence[str]) -> Choose:
    pattern = compile_pattern(rule.lines) if rule.lines else None

    def choose(text: str) -> str:
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        if pattern is not None:
            lines = [line for line in lines if pattern.search(line)] or lines
        chosen = _around(lines, decisive)
        shown = _bounded(chosen)
        at = _places(chosen, decisive)
        if at and chosen[at[-1]].rstrip() not in shown:
            # Long lines after it left it no room.
            shown = _bounded(chosen[: at[-1] + 1])
        return shown

    return choose


def _places(lines: Sequence[str], decisive: Sequence[str]) -> Sequence[int]:
    wanted = {line.strip()[:MAX_LINE] for line in decisive if line.strip()}
    return [index for index, line in enumerate(lines) if line.strip()[:MAX_LINE] in wanted]


def _around(lines: Sequence[str], decisive: Sequence[str]) -> Sequence[str]:
    """The neighbourhood of the last decisive line, else the last lines."""
    at = _places(lines, decisive)
    if not at or at[-1] >= len(lines) - MAX_LINES:
        return lines[-MAX_LINES:]
    if len(at) > 1:
        return [lines[index] for index in at[-MAX_LINES:]]
    return lines[max(at[-1] - _BEFORE, 0) : at[-1] + _AFTER + 1]


def _bounded(lines: Sequence[str]) -> str:
    """At most MAX_LINES lines and MAX_BYTES bytes; the last ones matter most."""
    kept: list[str] = []
    left = MAX_BYTES
    for line in reversed(lines[-MAX_LINES:]):
        raw = line.encode("utf-8", "replace")
        if len(raw) + 1 > left:
            if not kept:
                kept.append(raw[: left - 4].decode("utf-8", "ignore") + "…")
            break
        kept.append(line)
        left -= len(raw) + 1
    return "\n".join(reversed(kept))


def _evidence(
    reference: str,
    examination: Examination,
    playbook: str,
    choose: Choose,
    decisive: Sequence[str],
) -> Iterator[Evidence]:
    root, _, rest = reference.partition(".")
    if root == "logs":
        yield from _log(rest, examination, choose, decisive)
    elif root == "steps":
        yield from _step(rest, examination, playbook, choose)
    elif root == "pod":
        yield from _of_pod(rest, examination, choose)
    else:
        yield from _of_container(rest, examination, choose)


def _of_pod(rest: str, examination: Examination, choose: Choose) -> Iterator[Evidence]:
    pod = examination.pod
    if rest == "message":
        source, text = "status of the pod", pod.status.message
    else:
        kind = rest.split(".")[1]
        source = f"condition {kind} of the pod"
        text = next((c.message for c in pod.status.conditions if c.type == kind), "")
    yield Evidence(source=source, excerpt=choose(text), pod=pod.metadata.name)


def _neighbours(
    examination: Examination, choose: Choose, decisive: Sequence[str]
) -> Iterator[Evidence]:
    """The logs of the other containers; only those that say what decides, if there are any."""
    others = [o for o in examination.logs if o.container != examination.target_container]
    chosen = [o for o in others if _places(o.text.splitlines(), decisive)]
    for log in chosen or others:
        pod = log.read_from or examination.pod.metadata.name
        yield Evidence(source=_log_words(log), excerpt=choose(log.text), pod=pod)


def _log(
    which: str, examination: Examination, choose: Choose, decisive: Sequence[str]
) -> Iterator[Evidence]:
    log = log_called(which, examination)
    if log is None:
        return
    pod = log.read_from or examination.pod.metadata.name
    if log.earlier and not _places(log.text.splitlines(), decisive):
        # Its end says nothing.
        source = f"{_log_words(log)}, before its last lines"
        yield Evidence(source=source, excerpt=choose(log.earlier), pod=pod)
    else:
        yield Evidence(source=_log_words(log), excerpt=choose(log.text), pod=pod)


def _log_words(log: LogExcerpt) -> str:
    words = f"{'previous log' if log.previous else 'log'} of container {log.container}"
    if log.restarts:
        words += f", after {log.restarts} restart{'s' if log.restarts > 1 else ''}"
    if log.begins_after_seconds is not None:
        words += (
            f"; it begins {log.begins_after_seconds} s after the start: what was before was "
            "rotated away, or there was nothing"
        )
    return f"{words}; it was restarted while we read" if log.restarted else words


def log_called(which: str, examination: Examination) -> LogExcerpt | None:
    """The excerpt that `logs.WHICH` stands for: `current`, `previous` or `last`."""
    mine = [each for each in examination.logs if each.container == examination.target_container]
    current = next((each for each in mine if not each.previous), None)
    previous = next((each for each in mine if each.previous), None)
    if which == "current":
        return current
    if which == "previous":
        return previous
    _, status = container_status(examination)
    lives_again = status is not None and status.state.running is not None and status.restart_count
    return (previous if lives_again and previous else None) or current


def _step(rest: str, examination: Examination, playbook: str, choose: Choose) -> Iterator[Evidence]:
    name, _, stream = rest.rpartition(".")
    for result in examination.steps:
        if result.name == name and result.playbook == playbook:
            source = f"step {name}, {stream}"
            if len(result.attempts) > 1:
                source += f", attempt {result.attempts[-1].number}"
            text: str = getattr(result, stream)
            yield Evidence(source=source, excerpt=choose(text), pod=examination.pod.metadata.name)


def _events(reason: str, examination: Examination, rule: FindingRule) -> Iterator[Evidence]:
    """The latest ones; only those that say what the rule looks for, if there are any."""
    events = relevant_events(examination)
    chosen = [e for e in events if e.reason == reason or (not reason and e.type == "Warning")]
    patterns = [compile_pattern(p) for p in (rule.match.patterns if rule.match else ())]
    chosen = [e for e in chosen if any(p.search(e.message) for p in patterns)] or chosen
    for event in chosen[-_MAX_EVENTS:]:
        times = f" x{event.count}" if event.count and event.count > 1 else ""
        excerpt = _bounded([line for line in event.message.splitlines() if line.strip()])
        pod = examination.pod.metadata.name
        yield Evidence(source=f"event {event.reason}{times}", excerpt=excerpt, pod=pod)


def _of_container(which: str, examination: Examination, choose: Choose) -> Iterator[Evidence]:
    _, status = container_status(examination)
    if status is None:
        return
    name, pod = status.name, examination.pod.metadata.name
    latest = status.state.terminated or status.last_state.terminated
    if which == "message" and latest is not None:
        source = f"termination message of container {name}"
        yield Evidence(source=source, excerpt=choose(latest.message), pod=pod)
    elif which == "waitingMessage" and status.state.waiting is not None:
        message = _waiting_words(status.state.waiting.message)
        yield Evidence(source=f"status of container {name}", excerpt=choose(message), pod=pod)
    elif which == "status":
        words = _bounded([_status_words(status)])
        yield Evidence(source=f"status of container {name}", excerpt=words, pod=pod)


def _status_words(status: ContainerStatus) -> str:
    state, last = status.state, status.last_state.terminated
    parts: list[str] = []
    if state.waiting is not None:
        words = _waiting_words(state.waiting.message)
        parts.append(_joined("waiting", state.waiting.reason, words))
    elif state.terminated is not None:
        parts.append(f"terminated: {_exit_words(state.terminated)}")
    elif state.running is not None:
        parts.append("running, ready" if status.ready else "running, not ready")
    if last is not None:
        parts.append(f"before: {_exit_words(last)}")
    parts.append(f"restarts: {status.restart_count}")
    return "; ".join(parts)


def _waiting_words(message: str) -> str:
    """Of a back-off the kubelet says nothing but how long it is, and the pod's name."""
    return "" if message.startswith("back-off ") else message


def _joined(*words: Any) -> str:
    return ": ".join(str(word) for word in words if word)


def _exit_words(ended: StateTerminated) -> str:
    words = f"exit code {ended.exit_code}"
    if ended.signal:
        words += f", signal {ended.signal}"
    if ended.reason:
        words += f", {ended.reason}"
    if ended.started_at is not None and ended.finished_at is not None:
        words += f", after {(ended.finished_at - ended.started_at).total_seconds():.0f} s"
    return words
