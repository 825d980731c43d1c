"""What `podmedic diff` says, as values; `-o json` is exactly this."""

from datetime import datetime
from enum import StrEnum

from runner.model.base import Record
from runner.model.report import API_VERSION, Finding
from runner.model.subject import PodRef, Workload


class FindingState(StrEnum):
    """What became of a finding from the old run to the new one."""

    NEW = "new"  # only in the new run, and the old one looked
    NOT_COMPARED = "not-compared"  # in one of them; the other did not look, `why` says how
    RULES = "rules"  # told, or not told any more, because the rule is another one
    PERSISTING = "persisting"  # in both
    RESOLVED = "resolved"  # only in the old run; the new one looked and did not find it
    GONE = "gone"  # only in the old run, and its workload is not in the new one


class RuleChange(StrEnum):
    """Between the two runs; UNKNOWN where an older podmedic did not note its rules."""

    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class RunRef(Record, frozen=True, kw_only=True):
    """`notices` say why its report is not the whole story."""

    id: str
    started_at: datetime
    finished_at: datetime
    cluster: str
    notices: tuple[str, ...] = ()


class StateOfFinding(Record, frozen=True, kw_only=True):
    """`finding` is that of the new run where it has it. `found` is true if the new run found it.
    `history` is what the runs saw, oldest first and the new one last: `found`, `clear`,
    `not-evaluated`; `since` is when the run began from which on it was found without a gap."""

    state: FindingState
    found: bool
    why: str
    rule: RuleChange
    finding: Finding
    history: tuple[str, ...]
    since: datetime | None
    flapping: bool


class WorkloadChange(Record, frozen=True, kw_only=True):
    """A workload with another verdict than before; null where one run does not have it."""

    workload: Workload
    before: str | None
    after: str | None
    worse: bool


class Comparison(Record, frozen=True, kw_only=True):
    """`findings` are new ones first and then in the order of the states; `summary` counts them.
    `runs` are all that were looked at, oldest first; `notices` say why this is not the whole
    story."""

    api_version: str = API_VERSION
    kind: str = "Diff"
    old: RunRef | None
    new: RunRef
    runs: tuple[RunRef, ...]
    notices: tuple[str, ...]
    summary: dict[str, int]
    findings: tuple[StateOfFinding, ...]
    workloads: tuple[WorkloadChange, ...]
    pods_come: tuple[PodRef, ...]
    pods_gone: tuple[PodRef, ...]
