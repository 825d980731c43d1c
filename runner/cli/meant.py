"""What commands begin with: a connection, and the plans of the pods that are meant."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from runner.cli import options
from runner.cli.exit_codes import ExitCode
from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.debt import DebtLimits
from runner.model.base import Value
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.policy import Policy
from runner.record import Actor, Place
from runner.sweep import Selection
from runner.sweep.existence import Absent
from runner.sweep.gather import Gathered, gather
from runner.sweep.plans import make_plans, with_debt, with_policy

if TYPE_CHECKING:
    from runner.kube import KubeCluster


class _Meta(Value, frozen=True, kw_only=True):
    uid: str = ""


class _Namespace(Value, frozen=True, kw_only=True):
    metadata: _Meta = _Meta()


async def place_of(cluster: "KubeCluster") -> Place:
    """Which cluster this is. A Role of one namespace does not let us read another one: then it is
    known by its address alone."""
    uid = ""
    question = Access(verb="get", resource="namespaces", namespace=None)
    with suppress(ClusterError):
        if not await cluster.denied([question]):
            namespaces = Resource(plural="namespaces")
            found = await cluster.objects.get(namespaces, "kube-system", None, _Namespace)
            uid = found.metadata.uid
    return Place(description=cluster.description, server=cluster.server, kube_system_uid=uid)


class _User(Value, frozen=True, kw_only=True):
    username: str = ""


class _ReviewStatus(Value, frozen=True, kw_only=True):
    user_info: _User = _User()


class _SelfReview(Value, frozen=True, kw_only=True):
    status: _ReviewStatus = _ReviewStatus()


async def actor_of(cluster: "KubeCluster") -> Actor:
    """Who this is. Every authenticated user may ask that, from Kubernetes 1.28 on."""
    user = ""
    reviews = Resource(plural="selfsubjectreviews", group="authentication.k8s.io")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with suppress(ClusterError):
        review = await cluster.objects.create(reviews, None, body, _SelfReview)
        user = review.status.user_info.username
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


def nothing_selected(
    playbooks: Sequence[Playbook], selection: Selection, gathered: Gathered
) -> options.NothingSelectedError:
    line = options.nothing_selected(playbooks, selection, gathered.looked_at)
    why = str(gathered.absent)
    return options.NothingSelectedError(f"{line}; {why}" if why else line)


async def planned(
    cluster: Cluster,
    playbooks: Sequence[Playbook],
    selection: Selection,
    policy: Policy,
    now: datetime,
    *,
    allow_empty: bool,
) -> tuple[tuple[PodPlan, ...], Absent]:
    """What a run would do to each pod that is meant, and the namespaces that may not exist. Raises
    ClusterError, NothingSelectedError."""
    gathered = await gather(cluster, playbooks, selection, now)
    if not gathered.selected and not allow_empty:
        raise nothing_selected(playbooks, selection, gathered)
    plans = with_debt(with_policy(make_plans(gathered, now), policy), DebtLimits(), now)
    return plans, gathered.absent


def code_of(absent: Absent, *, allow_empty: bool) -> ExitCode:
    """A name that was meant and is not there is no success, unless that was allowed for."""
    return ExitCode.FINDINGS if absent.missing and not allow_empty else ExitCode.OK
