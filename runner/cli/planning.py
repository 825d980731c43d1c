"""The plans of the pods that a command means, for those that show them and change nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.cli import options
from runner.cli.exit_codes import ExitCode
from runner.debt import DebtLimits
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.policy import Policy
from runner.sweep import Selection
from runner.sweep.existence import Absent
from runner.sweep.gather import Gathered, gather
from runner.sweep.plans import make_plans, with_debt, with_policy

if TYPE_CHECKING:
    from runner.kube import KubeCluster


def nothing_selected(
    playbooks: Sequence[Playbook], selection: Selection, gathered: Gathered
) -> options.NothingSelectedError:
    line = options.nothing_selected(playbooks, selection, gathered.looked_at)
    why = str(gathered.absent)
    return options.NothingSelectedError(f"{line}; {why}" if why else line)


async def planned(
    cluster: "KubeCluster",
    playbooks: Sequence[Playbook],
    selection: Selection,
    policy: Policy,
    *,
    allow_empty: bool,
    cap: int = options.CAP,
) -> tuple[tuple[PodPlan, ...], Absent]:
    """What a run would do to each pod that is meant, and the namespaces that may not exist. Raises
    ClusterError, NothingSelectedError."""
    now = datetime.now(UTC)
    chosen = options.with_default_namespace(selection, cluster.default_namespace)
    gathered = await gather(cluster, playbooks, chosen, now)
    if not gathered.selected and not allow_empty:
        raise nothing_selected(playbooks, chosen, gathered)
    plans = with_debt(with_policy(make_plans(gathered, now), policy), DebtLimits.of_cap(cap), now)
    return plans, gathered.absent


def code_of(absent: Absent, *, allow_empty: bool) -> ExitCode:
    """A name that was meant and is not there is no success, unless that was allowed for."""
    return ExitCode.FINDINGS if absent.missing and not allow_empty else ExitCode.OK
