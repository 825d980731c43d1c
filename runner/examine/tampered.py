"""Whether the node ran the image that was asked for by its digest."""

import msgspec

from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.model.node import Node
from runner.model.report import Injection, StepOutcome, StepResult

TAMPERED = "Tampered"
_NODES = Resource(plural="nodes")


def digest_of(reference: str) -> str:
    """Of `NAME@sha256:…`; the bare `sha256:…` of a kubelet is the hash of something else."""
    name, at, digest = reference.rpartition("@")
    return digest if name and at else ""


def is_same_image(node: Node, one: str, other: str) -> bool:
    """The kubelet lists an image that was pulled by two digests (an index and one of its
    manifests, say) under both, and says either of what it runs."""
    found = ({digest_of(name) for name in each.names or ()} for each in node.status.images or ())
    return any({one, other} <= digests for digests in found)


async def ran_another(cluster: Cluster, node: str, image: str, image_id: str) -> str:
    """Why what ran is not what was asked for; empty where it is, or where no digest was asked for
    or told. `node` is empty where the scheduler chose it."""
    asked, ran = digest_of(image), digest_of(image_id)
    if not asked or not ran or asked == ran:
        return ""
    why = f"{f'node {node}' if node else 'the node'} ran {image_id}, not {image}"
    selector = f"metadata.name={node}" if node else ""
    try:
        if await cluster.denied([Access(verb="list", resource=_NODES.plural, namespace=None)]):
            return f"{why}; whether it knows one image by both digests takes `list` on nodes"
        nodes = await cluster.objects.list(_NODES, None, Node, field_selector=selector)
    except ClusterError as error:
        return f"{why}; whether it knows one image by both digests is unknown: {error.message}"
    return "" if any(is_same_image(each, asked, ran) for each in nodes) else why


async def first_tampered(cluster: Cluster, node: str, injections: tuple[Injection, ...]) -> str:
    """What is wrong with one of them; empty where nothing is."""
    for each in injections:
        where = "" if each.strategy == "copy" else node
        if why := await ran_another(cluster, where, each.image, each.image_id):
            return f"container {each.container}: {why}"
    return ""


def not_believed(step: StepResult, why: str) -> StepResult:
    """What a strange program said is kept as it was said, and is no answer."""
    if step.outcome is StepOutcome.NOT_EVALUATED:
        return step
    return msgspec.structs.replace(
        step, outcome=StepOutcome.ERROR, reason=TAMPERED, message=why, exit_code=None
    )
