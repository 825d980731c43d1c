"""What commands begin with: a connection, and the plans of the pods that are meant."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from runner.cli import options
from runner.cluster import Cluster
from runner.debt import DebtLimits
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.policy import Policy
from runner.sweep import Selection
from runner.sweep.gather import gather
from runner.sweep.run import make_plans, with_debt, with_policy

if TYPE_CHECKING:
    from runner.kube import KubeCluster


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


async def planned(
    cluster: Cluster,
    playbooks: Sequence[Playbook],
    selection: Selection,
    policy: Policy,
    now: datetime,
    *,
    allow_empty: bool,
) -> tuple[PodPlan, ...]:
    """What a run would do to each pod that is meant. Raises ClusterError, NothingSelectedError."""
    gathered = await gather(cluster, playbooks, selection, now)
    if not gathered.selected and not allow_empty:
        raise options.NothingSelectedError(
            options.nothing_selected(playbooks, selection, gathered.looked_at)
        )
    return with_debt(with_policy(make_plans(gathered, now), policy), DebtLimits(), now)
