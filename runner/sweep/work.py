"""What a sweep works on, before it changes anything."""

from datetime import datetime

import msgspec

from runner.model.objects import Objects
from runner.model.trigger import Trigger
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.sweep.events import EventLists
from runner.sweep.gather import Gathered
from runner.sweep.settings import Budget, Selection


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done in the name of a run. `started_at` is when its pods were listed,
    `trigger`, redacted, why it was started."""

    run_id: str
    playbooks: tuple[Playbook, ...]
    selection: Selection
    budget: Budget
    started_at: datetime
    trigger: Trigger | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What the API server has said so far: pods, what is planned for each, the objects that judge
    for themselves, and the events of those."""

    gathered: Gathered
    plans: tuple[PodPlan, ...]
    objects: Objects
    events: EventLists
