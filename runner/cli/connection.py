"""The way to the cluster that a command names: the connection, which cluster it is, who we are."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from runner.cli import options
from runner.cluster import Access, ClusterError, Resource
from runner.model.base import Value
from runner.record import Actor, ClusterRef

if TYPE_CHECKING:
    from runner.kube import KubeCluster


class _Meta(Value, frozen=True, kw_only=True):
    uid: str = ""


class _Namespace(Value, frozen=True, kw_only=True):
    metadata: _Meta = _Meta()


async def cluster_ref(cluster: "KubeCluster") -> ClusterRef:
    """Which cluster this is. A Role of one namespace does not let us read another one: then it is
    known by its address alone."""
    uid = ""
    question = Access(verb="get", resource="namespaces", namespace=None)
    with suppress(ClusterError):
        if not await cluster.denied([question]):
            namespaces = Resource(plural="namespaces")
            found = await cluster.objects.get(namespaces, "kube-system", None, _Namespace)
            uid = found.metadata.uid
    return ClusterRef(description=cluster.description, server=cluster.server, kube_system_uid=uid)


async def actor_of(cluster: "KubeCluster") -> Actor:
    """Who this is."""
    user = ""
    with suppress(ClusterError):
        user = (await cluster.user()).username
    image = os.environ.get("PODMEDIC_RUNNER_IMAGE", "")
    return Actor(user=user, host=socket.gethostname(), image=image)


@asynccontextmanager
async def connected(connection: options.Connection) -> AsyncIterator["KubeCluster"]:
    """Raises ClusterError."""
    from runner.kube import connect  # noqa: PLC0415  (a misspelt playbook does not need it)

    cluster = await connect(
        kubeconfig=connection.kubeconfig,
        context=connection.context,
        qps=connection.qps,
        burst=connection.burst,
        impersonate=connection.impersonate,
    )
    async with cluster:
        yield cluster
