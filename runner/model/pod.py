"""Pods as the API server shows them, cut down to the fields podmedic reads.

Field names are the API's own, in snake_case; decoding is done by msgspec from the raw bytes.
"""

from datetime import datetime
from typing import Any

import msgspec

from runner.model.base import Value

# Where the API server's LimitRanger says which resources it filled in.
LIMIT_RANGE_ANNOTATION = "kubernetes.io/limit-ranger"


class OwnerReference(Value, frozen=True, kw_only=True):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(Value, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class VolumeMount(Value, frozen=True, kw_only=True):
    name: str
    mount_path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""


class VolumeDevice(Value, frozen=True, kw_only=True):
    name: str
    device_path: str


class EnvVar(Value, frozen=True, kw_only=True):
    """`unexpanded` is ours: names that the value refers to, `$(NAME)`, and that nothing before it
    defines. It stays when the value is taken away."""

    name: str
    value: str = ""
    value_from: dict[str, Any] | None = None
    unexpanded: tuple[str, ...] = ()


class ContainerPort(Value, frozen=True, kw_only=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Heap(Value, frozen=True, kw_only=True):
    """What a runtime may take for its objects: `-Xmx512m` of `env:JAVA_TOOL_OPTIONS`."""

    source: str
    flag: str
    kib: int


class Trusted(Value, frozen=True, kw_only=True):
    """A variable that says where the authorities are whose certificates are accepted."""

    variable: str
    path: str


class Proxied(Value, frozen=True, kw_only=True):
    """A Service that is asked through the proxy of that variable."""

    host: str
    variable: str


class Container(Value, frozen=True, kw_only=True):
    """An app, init or ephemeral container of a pod's spec. Ours are `endpoints`, the hosts and
    ports that its configuration names, `heap`, `trusted` and `proxied`: what stays when the values
    of its variables are taken away."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[VolumeDevice, ...] = ()
    resources: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    liveness_probe: dict[str, Any] | None = None
    readiness_probe: dict[str, Any] | None = None
    startup_probe: dict[str, Any] | None = None
    lifecycle: dict[str, Any] | None = None
    restart_policy: str = ""
    target_container_name: str = ""
    endpoints: tuple[tuple[str, int], ...] = ()
    heap: Heap | None = None
    trusted: tuple[Trusted, ...] = ()
    proxied: tuple[Proxied, ...] = ()


class Volume(Value, frozen=True, kw_only=True):
    name: str
    config_map: dict[str, Any] | None = None
    secret: dict[str, Any] | None = None
    projected: dict[str, Any] | None = None
    persistent_volume_claim: dict[str, Any] | None = None
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None


class PodSpec(Value, frozen=True, kw_only=True):
    node_name: str = ""
    restart_policy: str = "Always"
    service_account_name: str = ""
    share_process_namespace: bool = False
    host_network: bool = False
    host_pid: bool = msgspec.field(default=False, name="hostPID")
    os: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    scheduler_name: str = ""
    host_aliases: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    termination_grace_period_seconds: int = 30
    resources: dict[str, Any] = {}
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()


class StateWaiting(Value, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""


class StateRunning(Value, frozen=True, kw_only=True):
    started_at: datetime | None = None


class StateTerminated(Value, frozen=True, kw_only=True):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(Value, frozen=True, kw_only=True):
    """At most one of the three is set; none means waiting without a reason."""

    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(Value, frozen=True, kw_only=True):
    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")
    user: dict[str, Any] | None = None


class PodCondition(Value, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class PodStatus(Value, frozen=True, kw_only=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    host_ip: str = msgspec.field(default="", name="hostIP")
    qos_class: str = ""
    start_time: datetime | None = None
    observed_generation: int = 0
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus = PodStatus()

    def ephemeral_container_status(self, name: str) -> ContainerStatus | None:
        """What the kubelet last said of an ephemeral container, or None when it said nothing."""
        for status in self.status.ephemeral_container_statuses:
            if status.name == name:
                return status
        return None

    def ephemeral_container(self, name: str) -> Container | None:
        for container in self.spec.ephemeral_containers:
            if container.name == name:
                return container
        return None


class ObjectReference(Value, frozen=True, kw_only=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class Event(Value, frozen=True, kw_only=True):
    """A core/v1 Event."""

    metadata: ObjectMeta
    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
