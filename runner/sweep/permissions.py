"""Ask for what the sweep will need before the first pod is changed."""

from collections.abc import Sequence

from runner.cluster import Access, Cluster, ClusterError, ErrorReason
from runner.permissions import Need, needs
from runner.playbook import Playbook

_MAX_NAMESPACES_ASKED = 100


def _questions(wanted: Sequence[Need], namespace: str | None) -> tuple[Access, ...]:
    return tuple(
        Access(verb=verb, resource=need.resource, group=need.group, namespace=namespace)
        for need in wanted
        for verb in need.asked
    )


async def require_permissions(
    cluster: Cluster, playbooks: Sequence[Playbook], namespaces: Sequence[str]
) -> None:
    """Of a run of these playbooks; as `require`."""
    await require(cluster, needs(playbooks), namespaces, command="podmedic rbac")


async def require(
    cluster: Cluster, wanted: Sequence[Need], namespaces: Sequence[str], *, command: str
) -> None:
    """Raises ClusterError(FORBIDDEN) that names verb, resource and namespace of what is missing,
    and the `command` that prints what is needed.

    With several namespaces one question about all of them usually settles it.
    """
    if not namespaces:
        return
    if len(namespaces) > 1 and not await cluster.denied(_questions(wanted, None)):
        return
    questions = [q for n in namespaces[:_MAX_NAMESPACES_ASKED] for q in _questions(wanted, n)]
    denied = await cluster.denied(questions)
    if not denied:
        return
    missing = "; ".join(f"{a.verb} {a.resource} in namespace {a.namespace}" for a in denied[:6])
    more = f" and {len(denied) - 6} more" if len(denied) > 6 else ""
    raise ClusterError(
        ErrorReason.FORBIDDEN,
        f"missing permission: {missing}{more}; nothing was changed. "
        f"`{command}` prints the Role to apply.",
    )
