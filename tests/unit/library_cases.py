"""What a playbook says of outputs of its steps, for tests of the playbooks about one subject."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.analyze import judge
from runner.model.examination import Examination
from runner.model.report import StepOutcome
from runner.playbook import resolve
from tests.unit.examinations import examination, findings_of, running, step

MISSING = "tool missing"
"""As an output: the step did not run, because the image lacks a tool."""

Said = list[tuple[str, str]]
Case = tuple[dict[str, str], Said]


def said(name: str, outputs: Mapping[str, str], **of_pod: Any) -> Said:
    """Rules and messages, all of them: a rule that speaks out of turn shows here too."""
    found = findings_of(resolve(name), _examined(name, outputs, of_pod))
    assert all(f.evidence and f.remediation for f in found)
    return sorted((f.rule, f.message) for f in found)


def unanswered(name: str, outputs: Mapping[str, str], **of_pod: Any) -> Said:
    """Rules that could not be judged, and why."""
    one = _examined(name, outputs, of_pod)
    _, found, _ = judge([resolve(name)], [one], {one.pod.metadata.uid: [name]}, None)
    return sorted((each.subject, each.message) for each in found)


def _examined(name: str, outputs: Mapping[str, str], of_pod: Mapping[str, Any]) -> Examination:
    steps = [
        step(each, playbook=name, outcome=StepOutcome.NOT_EVALUATED, message=MISSING)
        if out == MISSING
        else step(each, out, playbook=name)
        for each, out in outputs.items()
    ]
    defaults: dict[str, Any] = {"state": running(), "ready": True, "restarts": 0}
    return examination(**{**defaults, **of_pod, "steps": steps})


def without_case(name: str, cases: Sequence[Case]) -> set[str]:
    """Rules of which no case shows that they speak."""
    rules = {rule.id for rule in resolve(name).spec.findings}
    return rules - {rule for _, each in cases for rule, _ in each}
