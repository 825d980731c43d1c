"""What is known of one selected pod: the input of `runner.analyze`, kept in the run directory."""

from enum import StrEnum
from typing import Literal

from runner.model.base import Value
from runner.model.changes import ConfigurationChange, Difference
from runner.model.objects import Service
from runner.model.pod import Event, Pod
from runner.model.report import StepResult
from runner.model.subject import Workload


class TargetCondition(StrEnum):
    """What `targets.conditions` may ask for: what users mean, not what the API shows at an
    instant (a crash loop shows `terminated: Error` nine tenths of its time)."""

    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    INIT_CRASH_LOOP_BACK_OFF = "Init:CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    CREATE_CONTAINER_ERROR = "CreateContainerError"
    ERROR = "Error"
    NOT_READY = "NotReady"
    READY = "Ready"
    RUNNING = "Running"
    PENDING = "Pending"


class LogExcerpt(Value, frozen=True, kw_only=True):
    """The end of an app container's log; `previous` is the instance before the current one,
    `restarts` how many came before the instance that wrote it, `restarted` that the container was
    restarted after the pod was looked at and before its log was read, `earlier` the lines around
    what reads like the reason to end where that is not in its end, `begins_after_seconds` how long
    after the start of that instance the first line was written that the kubelet still has: where it
    says nothing of why it ended, that may have been rotated away."""

    container: str
    text: str
    previous: bool = False
    container_id: str = ""
    restarts: int | None = None
    restarted: bool = False
    truncated: bool = False
    earlier: str = ""
    begins_after_seconds: int | None = None
    read_from: str = ""  # name of the pod it was read from, when that is a replica of this one


class Blocked(Value, frozen=True, kw_only=True):
    """A host that the target container names and a port of it that no NetworkPolicy lets the pod
    reach; `port` is that of the host's pods where it is a Service. `direction` is `egress` where
    those of the pod forbid it, `ingress` where those of the pods behind the host do."""

    host: str
    port: int
    policies: tuple[str, ...]
    direction: Literal["egress", "ingress"] = "egress"


class Examination(Value, frozen=True, kw_only=True):
    """`pod` is the snapshot taken before anything was injected. `services`
    are those that select the pod, `changes` what is different in its workload's pod template since
    the last good revision, `configuration_changes` which ConfigMaps of the container were changed
    since the pod was made, `policies` the names of the NetworkPolicies that restrict where the pod
    may connect to, `without_dns` the same where none of them lets it ask a DNS server, `called` the
    names of the Services whose addresses its logs have, by address, `meant` those that it may mean
    by a host that no Service of its namespace is called. `unknown` maps a fact (`events`, `logs`,
    `services`, `changes`, `policies`, `configurationChanges`) to the reason why it could not be
    had: `forbidden: list events`."""

    pod: Pod
    workload: Workload
    target_container: str = ""
    conditions: tuple[TargetCondition, ...] = ()
    steps: tuple[StepResult, ...] = ()
    events: tuple[Event, ...] = ()
    logs: tuple[LogExcerpt, ...] = ()
    services: tuple[Service, ...] = ()
    changes: tuple[Difference, ...] = ()
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    policies: tuple[str, ...] = ()
    without_dns: tuple[str, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    called: dict[str, str] = {}
    meant: dict[str, str] = {}
    unknown: dict[str, str] = {}
