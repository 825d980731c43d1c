"""Whether namespaces exist in which nothing was found: a LIST succeeds in any."""

import asyncio
from collections.abc import Sequence

from runner.cluster import Access, Cluster, ClusterError, ErrorReason, Resource
from runner.model.base import Value

_NAMESPACES = Resource(plural="namespaces")
# Of more than these nobody reads the names.
_MAX_ASKED = 20


class _Namespace(Value, frozen=True, kw_only=True):
    pass


async def why_empty(cluster: Cluster, namespaces: Sequence[str]) -> str:
    """A clause about those that do not exist, or of which that is not known; empty where all of
    them exist. Asked first whether they may be read, so that a Role without it causes no refusals
    in anybody's audit log."""
    asked = [name for name in dict.fromkeys(namespaces) if name][:_MAX_ASKED]
    questions = [Access(verb="get", resource=_NAMESPACES.plural, namespace=name) for name in asked]
    if not questions:
        return ""
    try:
        denied = {question.namespace for question in await cluster.denied(questions)}
    except ClusterError:
        return ""

    async def exists(name: str) -> bool | None:
        if name in denied:
            return None
        try:
            await cluster.objects.get(_NAMESPACES, name, None, _Namespace)
        except ClusterError as error:
            return False if error.reason is ErrorReason.NOT_FOUND else None
        return True

    found = dict(zip(asked, await asyncio.gather(*map(exists, asked)), strict=True))
    missing = [name for name, there in found.items() if there is False]
    if missing:
        return f"{_of(missing)} {'does' if len(missing) == 1 else 'do'} not exist"
    unknown = [name for name, there in found.items() if there is None]
    if unknown:
        return f"{_of(unknown)} may not exist: that is not known without `get` on namespaces"
    return ""


def _of(names: Sequence[str]) -> str:
    return f"namespace{'s' if len(names) > 1 else ''} {', '.join(names)}"
