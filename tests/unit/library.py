"""What a built-in playbook says of one container, for the tests of its rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from runner.analyze import judge
from runner.model.report import Severity
from runner.playbook import resolve
from tests.unit.examinations import STARTED, examination, running, step


@dataclass(frozen=True)
class Case:
    """`outputs` of its steps, what else is known of the container, and all that is said: the
    message by rule. `unanswered` are rules of which must be said that they could not be judged."""

    outputs: Mapping[str, str]
    said: Sequence[tuple[str, str]] = ()
    known: Mapping[str, Any] = field(default_factory=dict)
    running_seconds: int = 3600
    unanswered: Sequence[str] = ()


def check(playbook: str, case: Case) -> None:
    """All of it: a rule that speaks out of turn shows here too."""
    steps = [step(name, out, playbook=playbook) for name, out in case.outputs.items()]
    known = {"state": running(), "ready": True, "restarts": 0, **case.known}
    one = examination(steps=steps, **known)
    now = STARTED + timedelta(seconds=case.running_seconds)
    found, unknown, _ = judge([resolve(playbook)], [one], {one.pod.metadata.uid: [playbook]}, now)
    assert {f"rule {rule}" for rule in case.unanswered} <= {each.subject for each in unknown}
    assert sorted((f.rule, f.message) for f in found) == sorted(case.said)
    assert all(f.evidence and f.remediation and f.title for f in found)
    assert all(f.severity in Severity for f in found)


def rules_without_a_case(playbook: str, cases: Sequence[Case]) -> set[str]:
    """Those that no case makes speak."""
    rules = {rule.id for rule in resolve(playbook).spec.findings}
    return rules - {rule for case in cases for rule, _ in case.said}
