"""Two runs side by side: what is new, what is gone, what cannot be told. Pure."""

from runner.compare.findings import Sight, sight
from runner.compare.model import (
    Comparison,
    FindingState,
    RuleChange,
    RunRef,
    StateOfFinding,
    WorkloadChange,
)
from runner.compare.runs import compare, fails

__all__ = [
    "Comparison",
    "FindingState",
    "RuleChange",
    "RunRef",
    "Sight",
    "StateOfFinding",
    "WorkloadChange",
    "compare",
    "fails",
    "sight",
]
