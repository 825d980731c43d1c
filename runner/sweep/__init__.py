"""Plan, examine many pods within budgets, judge, assemble one report."""

from runner.sweep.objects import judged, list_objects
from runner.sweep.outside import Outside
from runner.sweep.resume import Earlier, pod_records
from runner.sweep.run import prepare, sweep
from runner.sweep.settings import Budget, Selection

__all__ = [
    "Budget",
    "Earlier",
    "Outside",
    "Selection",
    "judged",
    "list_objects",
    "pod_records",
    "prepare",
    "sweep",
]
