"""Ask for what the sweep will need before the first pod is changed."""

from collections.abc import Sequence

from runner.cluster import Access, Cluster, ClusterError, ErrorReason

_MAX_NAMESPACES_ASKED = 100


def _questions(namespace: str | None) -> tuple[Access, ...]:
    return (
        Access(verb="patch", resource="pods/ephemeralcontainers", namespace=namespace),
        Access(verb="get", resource="pods/log", namespace=namespace),
        # The LIST has shown that pods may be listed; without the watch every result would be lost.
        Access(verb="watch", resource="pods", namespace=namespace),
    )


async def require_permissions(cluster: Cluster, namespaces: Sequence[str]) -> None:
    """Raises ClusterError(FORBIDDEN) that names verb, resource and namespace of what is missing.

    With several namespaces one question about all of them usually settles it.
    """
    if not namespaces:
        return
    if len(namespaces) > 1 and not await cluster.denied(_questions(None)):
        return
    questions = [q for n in namespaces[:_MAX_NAMESPACES_ASKED] for q in _questions(n)]
    denied = await cluster.denied(questions)
    if not denied:
        return
    missing = "; ".join(f"{a.verb} {a.resource} in namespace {a.namespace}" for a in denied[:6])
    more = f" and {len(denied) - 6} more" if len(denied) > 6 else ""
    raise ClusterError(
        ErrorReason.FORBIDDEN,
        f"missing permission: {missing}{more}; nothing was changed. "
        "docs/permissions.md has the Role to apply.",
    )
