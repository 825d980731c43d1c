"""What a sweep was asked to do, and the bounds it keeps."""

import msgspec

from runner import budget
from runner.debt import DebtLimits
from runner.examine import Limits
from runner.model.trigger import Aim
from runner.policy import DEFAULT, Policy


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says on top of the playbooks.

    `namespaces` None means all of them; empty, those of the playbook or else `default_namespace`.
    With `aims` only the pods that they mean, each for their playbooks alone; with `since_seconds`
    only those that restarted within them.
    """

    namespaces: tuple[str, ...] | None = ()
    default_namespace: str = "default"
    label_selector: str = ""
    field_selector: str = ""
    aims: tuple[Aim, ...] = ()
    since_seconds: float = 0.0

    @property
    def means_objects(self) -> bool:
        """Whether workloads are judged beside pods: not where something means pods alone."""
        aimed = not self.aims or any(not aim.target.pod for aim in self.aims)
        return aimed and not self.field_selector and not self.since_seconds


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`at_once` holds at every instant; `timeout_seconds` is for the sweep, 0 lifts it. `policy`
    is the administrator's word on everything else."""

    at_once: budget.Limits = msgspec.field(default_factory=budget.Limits)
    debt: DebtLimits = msgspec.field(default_factory=DebtLimits)
    timeout_seconds: float = 900.0
    limits: Limits = msgspec.field(default_factory=Limits)
    policy: Policy = DEFAULT
