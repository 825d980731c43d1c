"""Examinations for tests of judgements, as short as what they show."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from runner.analyze import judge
from runner.model.changes import ConfigurationChange, Difference
from runner.model.examination import Blocked, Examination, LogExcerpt, TargetCondition
from runner.model.objects import Service
from runner.model.pod import (
    Container,
    ContainerPort,
    ContainerState,
    ContainerStatus,
    EnvVar,
    Event,
    ObjectMeta,
    ObjectReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    StateRunning,
    StateTerminated,
    StateWaiting,
    VolumeMount,
)
from runner.model.report import Finding, StepOutcome, StepResult
from runner.model.subject import Workload
from runner.playbook import Playbook

STARTED = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
FINISHED = datetime(2026, 11, 20, 10, 0, 3, tzinfo=UTC)
SHOP = Workload(kind="Deployment", namespace="shop", name="web")


def exited(code: int, reason: str = "Error", message: str = "", signal: int = 0) -> ContainerState:
    return ContainerState(
        terminated=StateTerminated(
            exit_code=code,
            reason=reason,
            message=message,
            signal=signal,
            started_at=STARTED,
            finished_at=FINISHED,
        )
    )


def waiting(reason: str, message: str = "") -> ContainerState:
    return ContainerState(waiting=StateWaiting(reason=reason, message=message))


def running() -> ContainerState:
    return ContainerState(running=StateRunning(started_at=STARTED))


def event(reason: str, message: str, container: str = "app", count: int = 1) -> Event:
    path = f"spec.containers{{{container}}}" if container else ""
    return Event(
        metadata=ObjectMeta(name=f"{reason}.1"),
        involved_object=ObjectReference(kind="Pod", field_path=path),
        type="Normal" if reason in ("Killing", "Pulled") else "Warning",
        reason=reason,
        message=message,
        count=count,
        last_timestamp=FINISHED,
    )


def step(
    name: str,
    stdout: str = "",
    exit_code: int = 0,
    playbook: str = "crashloop",
    outcome: StepOutcome | None = None,
    message: str = "",
) -> StepResult:
    answered = StepOutcome.PASSED if exit_code == 0 else StepOutcome.FAILED
    return StepResult(
        playbook=playbook,
        name=name,
        outcome=outcome or answered,
        exit_code=exit_code if outcome is None else None,
        stdout=stdout,
        message=message,
        reason="" if outcome is None else "ToolMissing",
    )


def examination(
    *,
    pod: str = "web-5d9c7-abcde",
    state: ContainerState | None = None,
    last: ContainerState | None = None,
    restarts: int = 4,
    log: str | None = None,
    previous: str | None = None,
    events: Sequence[Event] = (),
    steps: Sequence[StepResult] = (),
    env: Sequence[str] = (),
    env_from: bool = False,
    mounts: Sequence[str] = (),
    ports: Sequence[int] = (),
    memory_limit: str = "",
    cpu_limit: str = "",
    readiness_probe: bool = False,
    liveness_probe: bool = False,
    startup_probe: bool = False,
    ready: bool = False,
    init: bool = False,
    phase: str = "Running",
    pod_reason: str = "",
    pod_message: str = "",
    conditions: Sequence[TargetCondition] = (),
    pod_conditions: Sequence[PodCondition] = (),
    unknown: Mapping[str, str] | None = None,
    workload: Workload = SHOP,
    read_from: str = "",
    host_network: bool = False,
    services: Sequence[Service] = (),
    command: Sequence[str] = (),
    changes: Sequence[Difference] = (),
    unexpanded: Mapping[str, Sequence[str]] | None = None,
    blocked: Sequence[Blocked] = (),
    beside: Mapping[str, tuple[ContainerState, str]] | None = None,
    configuration_changes: Sequence[ConfigurationChange] = (),
    spec: Mapping[str, Any] | None = None,
    pod_spec: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    called: Mapping[str, str] | None = None,
    meant: Mapping[str, str] | None = None,
) -> Examination:
    """One pod with one container called app, which exited with code 1 unless said otherwise;
    `beside` are other containers, each with its log; `spec` are more fields of the container,
    `pod_spec` of the pod."""
    limits = {"memory": memory_limit, "cpu": cpu_limit}
    container = Container(
        name="app",
        image="registry.example.com/shop/web:2.3",
        command=tuple(command),
        env=(
            *(EnvVar(name=name) for name in env),
            *(EnvVar(name=n, unexpanded=tuple(r)) for n, r in (unexpanded or {}).items()),
        ),
        env_from=({"configMapRef": {"name": "web"}},) if env_from else (),
        ports=tuple(ContainerPort(container_port=port) for port in ports),
        volume_mounts=tuple(VolumeMount(name="v", mount_path=path) for path in mounts),
        resources={"limits": {k: v for k, v in limits.items() if v}},
        readiness_probe={"httpGet": {"port": 8080}} if readiness_probe else None,
        liveness_probe={"httpGet": {"port": 8080}} if liveness_probe else None,
        startup_probe={"httpGet": {"port": 8080}} if startup_probe else None,
    )
    container = msgspec.structs.replace(container, **(spec or {}))
    status = ContainerStatus(
        name="app",
        state=exited(1) if state is None else state,
        last_state=last or ContainerState(),
        ready=ready,
        restart_count=restarts,
    )
    shown: dict[str, Any] = {"init_containers" if init else "containers": (container,)}
    if beside and not init:
        shown["containers"] = (container, *(Container(name=name) for name in beside))
    shown.update(pod_spec or {})
    others = {
        name: ContainerStatus(name=name, state=how, ready=how.running is not None)
        for name, (how, _) in (beside or {}).items()
    }
    statuses: dict[str, Any] = {
        "init_container_statuses" if init else "container_statuses": (status, *others.values())
    }
    logs = [(log, False), (previous, True)]
    return Examination(
        pod=Pod(
            metadata=ObjectMeta(
                name=pod,
                namespace=workload.namespace,
                uid=f"uid-{pod}",
                labels={"app": "web"},
                annotations=dict(annotations or {}),
            ),
            spec=PodSpec(node_name="node-1", host_network=host_network, **shown),
            status=PodStatus(
                phase=phase,
                reason=pod_reason,
                message=pod_message,
                pod_ip="10.244.0.17",
                qos_class="BestEffort",
                conditions=tuple(pod_conditions),
                **statuses,
            ),
        ),
        workload=workload,
        target_container="app",
        conditions=tuple(conditions),
        steps=tuple(steps),
        events=tuple(events),
        logs=(
            *(
                LogExcerpt(container="app", text=text, previous=before, read_from=read_from)
                for text, before in logs
                if text is not None
            ),
            *(LogExcerpt(container=name, text=text) for name, (_, text) in (beside or {}).items()),
        ),
        services=tuple(services),
        changes=tuple(changes),
        configuration_changes=tuple(configuration_changes),
        blocked=tuple(blocked),
        called=dict(called or {}),
        meant=dict(meant or {}),
        unknown=dict(unknown or {}),
    )


def crashloop_steps(
    endpoints: str = "",
    mounts: str = "",
    dns: str = "cluster=yes\nkubernetes=ok\n",
    sockets: str = "",
) -> list[StepResult]:
    """The steps of the playbook crashloop with what they printed."""
    outputs = {"mounts": mounts, "dns": dns, "endpoints": endpoints, "sockets": sockets}
    return [step(name, out) for name, out in outputs.items()]


def findings_of(playbook: Playbook, one: Examination, now: datetime | None = None) -> list[Finding]:
    names = {one.pod.metadata.uid: [playbook.metadata.name]}
    findings, _, _ = judge([playbook], [one], names, now)
    return list(findings)
