"""Plan, examine many pods within budgets, judge, assemble one report."""

from runner.sweep.run import Outside, prepare, sweep
from runner.sweep.settings import Budget, Selection

__all__ = ["Budget", "Outside", "Selection", "prepare", "sweep"]
