"""Whether namespaces exist in which nothing was found: a LIST succeeds in any."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from runner.cluster import Access, Cluster, ClusterError, ErrorReason, Resource
from runner.model.base import Value

_NAMESPACES = Resource(plural="namespaces")
# More than these nobody names by hand; each costs two requests.
_MAX_ASKED = 100
# Of more than these nobody reads the names in one line.
_MAX_TOLD = 20


class _Namespace(Value, frozen=True, kw_only=True):
    pass


class Absent(NamedTuple):
    """Namespaces that do not exist, and those of which that is not known."""

    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A clause; empty where all of them exist."""
        if self.missing:
            return f"{_of(self.missing)} {'does' if len(self.missing) == 1 else 'do'} not exist"
        if self.unknown:
            unknown = "that is not known without `get` on namespaces"
            return f"{_of(self.unknown)} may not exist: {unknown}"
        return ""


async def absent(cluster: Cluster, namespaces: Sequence[str]) -> Absent:
    """Asked first whether they may be read, so that a Role without it causes no refusals in
    anybody's audit log."""
    asked = [name for name in dict.fromkeys(namespaces) if name][:_MAX_ASKED]
    questions = [Access(verb="get", resource=_NAMESPACES.plural, namespace=name) for name in asked]
    if not questions:
        return Absent()
    try:
        denied = {question.namespace for question in await cluster.denied(questions)}
    except ClusterError:
        return Absent()

    async def exists(name: str) -> bool | None:
        if name in denied:
            return None
        try:
            await cluster.objects.get(_NAMESPACES, name, None, _Namespace)
        except ClusterError as error:
            return False if error.reason is ErrorReason.NOT_FOUND else None
        return True

    found = dict(zip(asked, await asyncio.gather(*map(exists, asked)), strict=True))
    return Absent(
        missing=tuple(name for name, there in found.items() if there is False),
        unknown=tuple(name for name, there in found.items() if there is None),
    )


def _of(names: Sequence[str]) -> str:
    told = ", ".join(names[:_MAX_TOLD])
    more = f" and {len(names) - _MAX_TOLD} more" if len(names) > _MAX_TOLD else ""
    return f"namespace{'s' if len(names) > 1 else ''} {told}{more}"
