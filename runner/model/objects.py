"""Workloads, Services and what stands behind them as the API server shows them, cut down to the
fields podmedic reads: what there is to say of a workload that has no pod to look into."""

from datetime import datetime
from typing import Any

import msgspec

from runner.model.base import Value
from runner.model.pod import Event, ObjectMeta, Pod, PodCondition
from runner.model.subject import Workload


class Template(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()


class ScaleTarget(Value, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""


class ControllerSpec(Value, frozen=True, kw_only=True):
    replicas: int | None = None
    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    template: Template = Template()
    scale_target_ref: ScaleTarget | None = None


class ControllerStatus(Value, frozen=True, kw_only=True):
    replicas: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    conditions: tuple[PodCondition, ...] = ()


class Controller(Value, frozen=True, kw_only=True):
    """A Deployment, StatefulSet, DaemonSet, Job or HorizontalPodAutoscaler; `kind` is ours, lists
    leave it out."""

    metadata: ObjectMeta
    spec: ControllerSpec = ControllerSpec()
    status: ControllerStatus = ControllerStatus()
    kind: str = ""


class RevisionTemplate(Value, frozen=True, kw_only=True):
    """The pod template as it is, whole: any field of it may be what changed."""

    template: dict[str, Any] = {}


class ReplicaSetStatus(Value, frozen=True, kw_only=True):
    ready_replicas: int = 0


class ReplicaSet(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: RevisionTemplate = RevisionTemplate()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ControllerRevisionData(Value, frozen=True, kw_only=True):
    spec: RevisionTemplate = RevisionTemplate()


class ControllerRevision(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    revision: int = 0
    data: ControllerRevisionData = ControllerRevisionData()


class ServicePort(Value, frozen=True, kw_only=True):
    port: int = 0
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0


class ServiceSpec(Value, frozen=True, kw_only=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()


class Service(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class EndpointSlice(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    endpoints: tuple[dict[str, Any], ...] | None = None
    ports: tuple[dict[str, Any], ...] | None = None


class PolicyPort(Value, frozen=True, kw_only=True):
    protocol: str = "TCP"
    port: int | str | None = None
    end_port: int | None = None


class IPBlock(Value, frozen=True, kw_only=True):
    cidr: str = ""
    except_: tuple[str, ...] = msgspec.field(default=(), name="except")


class PolicyPeer(Value, frozen=True, kw_only=True):
    pod_selector: dict[str, Any] | None = None
    namespace_selector: dict[str, Any] | None = None
    ip_block: IPBlock | None = None


class PolicyRule(Value, frozen=True, kw_only=True):
    """Egress rules have `to`, ingress rules `from_`; without either everybody is meant."""

    ports: tuple[PolicyPort, ...] | None = None
    to: tuple[PolicyPeer, ...] | None = None
    from_: tuple[PolicyPeer, ...] | None = msgspec.field(default=None, name="from")


class NetworkPolicySpec(Value, frozen=True, kw_only=True):
    pod_selector: dict[str, Any] = {}
    policy_types: tuple[str, ...] = ()
    egress: tuple[PolicyRule, ...] | None = None
    ingress: tuple[PolicyRule, ...] | None = None


class NetworkPolicy(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: NetworkPolicySpec = NetworkPolicySpec()


class Objects(Value, frozen=True, kw_only=True):
    """Of the swept namespaces. `events` are the warnings about anything but pods; `unknown` maps
    a fact (`workloads`, `services`, `autoscalers`, `policies`, `events`) to the reason why it could
    not be had; `not_needed` maps a kind (`Deployment`) to the reason why it was not asked for: no
    rule could have said anything."""

    controllers: tuple[Controller, ...] = ()
    services: tuple[Service, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    events: tuple[Event, ...] = ()
    unknown: dict[str, str] = {}
    not_needed: dict[str, str] = {}


class ObjectExamination(Value, frozen=True, kw_only=True):
    """One object that is judged without a look inside: `workload` is what people know it by.
    `pods` are those of it that were listed."""

    kind: str
    metadata: ObjectMeta
    workload: Workload
    controller: Controller | None = None
    service: Service | None = None
    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
    explained: bool = False


class ManagedFields(Value, frozen=True, kw_only=True):
    """Who set which fields last, and when."""

    time: datetime | None = None
    fields: dict[str, Any] = msgspec.field(default={}, name="fieldsV1")


class ConfigMapMeta(Value, frozen=True, kw_only=True):
    name: str
    namespace: str = ""
    creation_timestamp: datetime | None = None
    managed_fields: tuple[ManagedFields, ...] = ()


class ConfigMap(Value, frozen=True, kw_only=True):
    """Without what is in it: only its metadata is ever asked for."""

    metadata: ConfigMapMeta
