"""Which Pod Security level each namespace enforces, where that may be read."""

import asyncio
from collections.abc import Mapping, Sequence

from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.model.base import Value
from runner.model.pod import ObjectMeta

NAMESPACES = Resource(plural="namespaces")
_ENFORCE = "pod-security.kubernetes.io/enforce"


class _Namespace(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta


async def read_levels(cluster: Cluster, namespaces: Sequence[str]) -> Mapping[str, str]:
    """By namespace: "" where no level is enforced; those that could not be read are left out. Asked
    first, so that a Role that leaves them out causes no refusals in anybody's audit log.

    A Role in the namespace can grant it: the API server takes the namespace's own name for the
    namespace of such a request."""
    questions = [
        Access(verb="get", resource=NAMESPACES.plural, namespace=name) for name in namespaces
    ]
    try:
        denied = {question.namespace for question in await cluster.denied(questions)}
    except ClusterError:
        return {}

    async def read(name: str) -> tuple[str, str | None]:
        try:
            found = await cluster.objects.get(NAMESPACES, name, None, _Namespace)
        except ClusterError:
            return name, None
        return name, found.metadata.labels.get(_ENFORCE, "")

    answers = await asyncio.gather(*(read(name) for name in namespaces if name not in denied))
    return {name: level for name, level in answers if level is not None}
