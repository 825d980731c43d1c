"""Plan, examine many pods within budgets, judge, assemble one report."""

from runner.sweep.events import EventLists
from runner.sweep.lease import Busy, Lease, claim_of, require_lease
from runner.sweep.listing import list_objects
from runner.sweep.objects import judged
from runner.sweep.outside import Outside
from runner.sweep.pool import Cut, Stop
from runner.sweep.resume import Earlier, pod_records
from runner.sweep.run import prepare, sweep
from runner.sweep.seen import report_of
from runner.sweep.settings import Budget, Selection
from runner.sweep.trigger import clean_trigger, with_ends
from runner.sweep.work import Asked, Listed

__all__ = [
    "Asked",
    "Budget",
    "Busy",
    "Cut",
    "Earlier",
    "EventLists",
    "Lease",
    "Listed",
    "Outside",
    "Selection",
    "Stop",
    "claim_of",
    "clean_trigger",
    "judged",
    "list_objects",
    "pod_records",
    "prepare",
    "report_of",
    "require_lease",
    "sweep",
    "with_ends",
]
