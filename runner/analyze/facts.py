"""What conditions and templates get to see of one examined pod.

The names are those of `runner.playbook.vocabulary`. What could not be had is left out and named in
`Facts.unknown` with the reason, so that no rule takes it for absent.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from runner.analyze.control import compared
from runner.analyze.log_facts import MAX_TEXT, log_facts
from runner.analyze.parse import ParseError, parse_output
from runner.analyze.policies import policy_facts
from runner.analyze.spec_facts import avoids_itself, claims, of_spec
from runner.model.examination import Examination, TargetCondition
from runner.model.pod import (
    Container,
    ContainerStatus,
    Event,
    Pod,
    StateTerminated,
    StateWaiting,
)
from runner.model.report import StepOutcome, StepResult
from runner.playbook.conditions import Facts
from runner.playbook.spec import Playbook, Step

MAX_EVENTS = 200
INLINE_BYTES = 64 * 1024  # what a report shows of one output
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWERED = (StepOutcome.PASSED, StepOutcome.FAILED)


def facts(
    examination: Examination,
    playbook: Playbook,
    now: datetime | None = None,
    control: Facts | None = None,
) -> Facts:
    """`now` is when the pod was looked at; without it there is no `pod.ageSeconds`. `control` are
    those of a healthy pod of the same workload to compare with."""
    unknown: dict[str, str] = {}
    steps = dict(_steps(examination, playbook, unknown))
    values: dict[str, Any] = {
        "pod": _pod(examination, now),
        "workload": {
            "kind": examination.workload.kind,
            "namespace": examination.workload.namespace,
            "name": examination.workload.name,
        },
        "containers": [
            _container(examination, spec, now, init=init)
            for spec, init in _containers(examination.pod)
        ],
        "steps": steps,
        "logs": log_facts(
            examination,
            container_status(examination)[1],
            missing=_missing(examination, "logs"),
            unknown=unknown,
        ),
    }
    values["container"] = next(
        (each for each in values["containers"] if each["name"] == examination.target_container), {}
    )
    if not values["container"]:
        unknown["container"] = "the pod has no such container"
    missing = _missing(examination, "events")
    if missing and not examination.events:
        unknown["events"] = missing
    else:
        values["events"] = _events(examination)
    lists = {
        "changes": _changes(examination),
        "configurationChanges": _configuration_changes(examination, now),
        "services": _services(examination),
    }
    for name, items in lists.items():
        if missing := examination.unknown.get(name, ""):
            unknown[name] = missing
        else:
            values[name] = list(items)
    if missing := examination.unknown.get("policies", ""):
        unknown["policies"] = missing
    else:
        values["policies"] = policy_facts(examination)
    if values["container"]:
        values["container"]["meant"] = dict(examination.meant)
    values["control"] = {"differs": []}
    if control is not None:
        values["control"] = compared(values, control, unknown)
    return Facts(values, unknown)


def _changes(examination: Examination) -> Iterator[dict[str, Any]]:
    for each in examination.changes:
        yield {
            "path": each.path,
            "name": each.path.rpartition("[")[2].partition("]")[0],
            "before": each.before or "",
            "after": each.after or "",
        }


def _configuration_changes(
    examination: Examination, now: datetime | None
) -> Iterator[dict[str, Any]]:
    for each in examination.configuration_changes:
        ago = {"agoSeconds": int((now - each.changed_at).total_seconds())} if now else {}
        yield {"name": each.name, "usedAs": list(each.used_as), "stale": each.stale, **ago}


def _services(examination: Examination) -> Iterator[dict[str, Any]]:
    """A headless Service sends nowhere: whoever resolves it chooses the port."""
    named = {
        port.name: port.container_port
        for container, _ in _containers(examination.pod)
        for port in container.ports
        if port.name
    }
    for service in examination.services:
        ports = service.spec.ports if service.spec.cluster_ip != "None" else ()
        for port in ports:
            target = port.target_port or port.port
            yield {
                "name": service.metadata.name,
                "port": port.port,
                "protocol": port.protocol,
                "targetPort": target if isinstance(target, int) else named.get(target, 0),
                "targetName": "" if isinstance(target, int) else target,
                "only": len(ports) == 1,
            }


def container_status(examination: Examination) -> tuple[Container | None, ContainerStatus | None]:
    """Spec and status of the target container, as far as there are any."""
    name = examination.target_container
    spec = next((each for each, _ in _containers(examination.pod) if each.name == name), None)
    return spec, _status(examination.pod, name)


def event_container(event: Event) -> str:
    """`app` for a field path `spec.containers{app}`, empty for an event about the whole pod."""
    path = event.involved_object.field_path
    return path[path.index("{") + 1 : -1] if "{" in path and path.endswith("}") else ""


def relevant_events(examination: Examination) -> list[Event]:
    """Events about the pod or its target container, oldest first."""
    target = examination.target_container
    return [each for each in ordered_events(examination) if event_container(each) in ("", target)]


def _missing(examination: Examination, fact: str) -> str:
    return examination.unknown.get(fact) or examination.unknown.get("pod", "")


def _containers(pod: Pod) -> Iterator[tuple[Container, bool]]:
    for each in pod.spec.init_containers:
        yield each, True
    for each in pod.spec.containers:
        yield each, False


def _status(pod: Pod, name: str) -> ContainerStatus | None:
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return next((status for status in statuses if status.name == name), None)


def _pod(examination: Examination, now: datetime | None) -> dict[str, Any]:
    pod = examination.pod
    meta, status = pod.metadata, pod.status
    statuses = (*status.init_container_statuses, *status.container_statuses)
    values: dict[str, Any] = {
        "namespace": meta.namespace,
        "name": meta.name,
        "node": pod.spec.node_name,
        "phase": status.phase,
        "reason": status.reason,
        "message": status.message,
        "labels": dict(meta.labels),
        "conditions": {
            each.type: {"status": each.status, "reason": each.reason, "message": each.message}
            for each in status.conditions
        },
        "shows": [str(condition) for condition in examination.conditions],
        "qosClass": status.qos_class,
        "restartPolicy": pod.spec.restart_policy,
        "restartCount": sum(each.restart_count for each in statuses),
        "hostNetwork": pod.spec.host_network,
        "schedulerName": pod.spec.scheduler_name,
        "hostAliases": [
            {"host": str(name), "ip": str(each.get("ip", ""))}
            for each in pod.spec.host_aliases
            for name in each.get("hostnames") or ()
        ],
        "claims": claims(pod),
        "avoidsItself": avoids_itself(pod),
    }
    if now is not None and meta.creation_timestamp is not None:
        values["ageSeconds"] = int((now - meta.creation_timestamp).total_seconds())
    return values


def _container(
    examination: Examination, spec: Container, now: datetime | None, *, init: bool
) -> dict[str, Any]:
    status = _status(examination.pod, spec.name) or ContainerStatus(name=spec.name)
    state = status.state
    values: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image,
        "imageId": status.image_id,
        "init": init,
        "state": "running" if state.running else "terminated" if state.terminated else "waiting",
        "reason": _reason(status),
        "waitingMessage": (state.waiting or StateWaiting()).message,
        "exitReason": "",
        "message": "",
        "lastReason": "",
        "restartCount": status.restart_count,
        "ready": status.ready,
        "crashLooping": _crash_looping(examination, status, init=init),
        "oomKilled": any(
            each.terminated is not None and each.terminated.reason == "OOMKilled"
            for each in (state, status.last_state)
        ),
        **of_spec(spec, examination.pod),
    }
    if now is not None and state.running is not None and state.running.started_at is not None:
        values["runningSeconds"] = int((now - state.running.started_at).total_seconds())
    latest = state.terminated or status.last_state.terminated
    if latest is not None:
        values.update(_exit(latest))
    if status.last_state.terminated is not None:
        values["lastExitCode"] = status.last_state.terminated.exit_code
        values["lastReason"] = status.last_state.terminated.reason
    return values


def _exit(ended: StateTerminated) -> dict[str, Any]:
    values: dict[str, Any] = {
        "exitCode": ended.exit_code,
        "exitReason": ended.reason,
        "message": ended.message[:MAX_TEXT],
    }
    if ended.signal:
        values["signal"] = ended.signal
    if ended.started_at is not None and ended.finished_at is not None:
        values["ranSeconds"] = int((ended.finished_at - ended.started_at).total_seconds())
    return values


def _reason(status: ContainerStatus) -> str:
    for state in (status.state.waiting, status.state.terminated):
        if state is not None:
            return state.reason
    return ""


def _crash_looping(examination: Examination, status: ContainerStatus, *, init: bool) -> bool:
    """Between two crashes only the selection, which knows the time, can tell."""
    condition = (
        TargetCondition.INIT_CRASH_LOOP_BACK_OFF if init else TargetCondition.CRASH_LOOP_BACK_OFF
    )
    if status.name == examination.target_container and condition in examination.conditions:
        return True
    if status.state.waiting is not None:
        return status.state.waiting.reason == "CrashLoopBackOff"
    ended = status.state.terminated
    return ended is not None and status.restart_count > 0 and ended.exit_code != 0


def _events(examination: Examination) -> list[dict[str, Any]]:
    return [
        {
            "reason": event.reason,
            "message": event.message,
            "type": event.type,
            "count": event.count or 1,
            "container": event_container(event),
        }
        for event in ordered_events(examination)
    ]


def ordered_events(examination: Examination) -> list[Event]:
    """Each event once, as it was last seen: a watch repeats one whenever its count grows."""
    latest: dict[tuple[str, str, str], Event] = {}
    for event in sorted(examination.events, key=_event_time):
        latest[(event.metadata.name, event.reason, event.message)] = event
    return sorted(latest.values(), key=_event_time)[-MAX_EVENTS:]


def _event_time(event: Event) -> tuple[datetime, int, str]:
    when = event.last_timestamp or event.event_time or event.first_timestamp or _EPOCH
    return when, event.count or 1, event.metadata.name


def _steps(
    examination: Examination, playbook: Playbook, unknown: dict[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    results = {
        result.name: result
        for result in examination.steps
        if result.playbook == playbook.metadata.name
    }
    for step in playbook.spec.steps:
        result = results.get(step.name)
        if result is not None and result.outcome in _ANSWERED:
            yield step.name, _answered(step, result, unknown)
            continue
        outcome = result.outcome if result else StepOutcome.NOT_EVALUATED
        reason = examination.unknown.get("pod", "it did not run")
        if result is not None:
            reason = result.message or result.reason or f"it ended with outcome {outcome}"
        unknown[f"steps.{step.name}"] = reason
        yield step.name, {"outcome": str(outcome), "reason": reason}


def _answered(step: Step, result: StepResult, unknown: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "outcome": str(result.outcome),
        "reason": result.reason,
        "stdout": result.stdout[:MAX_TEXT],
        "stderr": result.stderr[:MAX_TEXT],
        "truncated": _cut(result),
        "attempts": max(len(result.attempts), 1),
        "durationSeconds": float(result.duration_seconds),
    }
    if result.exit_code is not None:
        values["exitCode"] = result.exit_code
    if step.parse is not None:
        try:
            values["parsed"] = parse_output(step.parse, result.stdout)
        except ParseError as error:
            unknown[f"steps.{step.name}"] = str(error)
    return values


def _cut(result: StepResult) -> bool:
    if not result.attempts:
        return False
    info = result.attempts[-1].stdout_info
    return info.truncated or info.kept_bytes > INLINE_BYTES
