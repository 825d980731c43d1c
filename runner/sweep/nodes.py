"""Nodes, where they may be read: what kind they are, and how they feel."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.examine import Examined, with_node
from runner.model.node import Node

NODES = Resource(plural="nodes")
# A node's status is 10 kB and more: a few are asked for by name.
_FEW = 3


async def list_nodes(
    cluster: Cluster, names: Collection[str] | None = None, *, granted: bool = False
) -> tuple[dict[str, Node], str]:
    """By name, all of them or at least those named; and why they could not be read. Asked first,
    so that a Role, which cannot grant it, causes no refusals in anybody's audit log, unless it is
    known to be `granted`."""
    if names is not None and not names:
        return {}, ""
    selectors = [""]
    if names is not None and len(names) <= _FEW:
        selectors = [f"metadata.name={name}" for name in sorted(names)]
    try:
        question = Access(verb="list", resource=NODES.plural, namespace=None)
        if not granted and await cluster.denied([question]):
            return {}, "nodes: forbidden: list nodes"
        found = [
            node
            for selector in selectors
            for node in await cluster.objects.list(NODES, None, Node, field_selector=selector)
        ]
    except ClusterError as error:
        return {}, f"nodes: {error.message}"
    return {node.metadata.name: node for node in found}, ""


async def with_nodes(
    cluster: Cluster, before: Mapping[str, Node], examined: Sequence[Examined]
) -> list[Examined]:
    """The same, with what became of the nodes on which something was injected."""
    touched = {one.result.node for one in examined if one.result.harm is not None}
    after, _ = await list_nodes(cluster, touched & before.keys(), granted=True)
    return [
        replace(one, result=with_node(one.result, before[node], after[node]))
        if (node := one.result.node) in before and node in after
        else one
        for one in examined
    ]
