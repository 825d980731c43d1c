"""Nodes as the API server shows them, cut down to the fields podmedic reads."""

from runner.model.base import Value
from runner.model.pod import ObjectMeta, PodCondition


class ContainerImage(Value, frozen=True, kw_only=True):
    names: tuple[str, ...] | None = None


class NodeInfo(Value, frozen=True, kw_only=True):
    operating_system: str = ""
    architecture: str = ""


class NodeStatus(Value, frozen=True, kw_only=True):
    conditions: tuple[PodCondition, ...] = ()
    images: tuple[ContainerImage, ...] | None = None
    node_info: NodeInfo = NodeInfo()


class Node(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()
