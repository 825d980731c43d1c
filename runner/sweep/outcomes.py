"""What the findings make of each pod's outcome."""

from collections.abc import Sequence

import msgspec

from runner.model.examination import TargetCondition
from runner.model.report import Finding, PodOutcome, PodResult, Severity, StepOutcome
from runner.model.seen import SeenPod
from runner.model.subject import Workload
from runner.playbook import Playbook
from runner.select import is_healthy


def _outcome(
    result: PodResult,
    conditions: Sequence[TargetCondition],
    severities: frozenset[Severity],
    judged: frozenset[str],
) -> PodResult:
    """What the findings make of an examination that went well."""
    if result.outcome is PodOutcome.SKIPPED and Severity.CRITICAL not in severities:
        return result
    if result.outcome not in (PodOutcome.PASSED, PodOutcome.WARNED, PodOutcome.SKIPPED):
        return result
    if Severity.CRITICAL in severities:
        return msgspec.structs.replace(result, outcome=PodOutcome.FAILED)
    # A playbook without findings says nothing about its steps: there a failed step counts.
    failed = [
        step.name
        for step in result.steps
        if step.outcome in (StepOutcome.FAILED, StepOutcome.TIMEOUT) and step.playbook not in judged
    ]
    if failed:
        return msgspec.structs.replace(
            result,
            outcome=PodOutcome.FAILED,
            reason="StepFailed",
            message=f"failed: {', '.join(failed)}",
        )
    if Severity.WARNING in severities:
        return msgspec.structs.replace(result, outcome=PodOutcome.WARNED)
    sick = [c for c in conditions if not is_healthy([c])]
    if sick:
        # The API shows it as sick: that no playbook says why does not make it healthy.
        return msgspec.structs.replace(
            result,
            outcome=PodOutcome.WARNED,
            reason=result.reason or sick[0].value,
            message=result.message or f"the pod shows {sick[0].value}; no playbook said why",
        )
    if result.reason and all(s.outcome is StepOutcome.NOT_EVALUATED for s in result.steps):
        # Its state let nothing in, and what the API says of it is not what was asked.
        return msgspec.structs.replace(result, outcome=PodOutcome.SKIPPED)
    return result


def with_outcomes(
    pods: Sequence[SeenPod], findings: Sequence[Finding], playbooks: Sequence[Playbook]
) -> tuple[PodResult, ...]:
    severities: dict[tuple[str, str, Workload], set[Severity]] = {}
    for finding in findings:
        for pod in finding.pods:
            # One about a Service that selects the pod leaves the pod what it is.
            key = (pod.namespace, pod.name, finding.workload)
            severities.setdefault(key, set()).add(finding.severity)
    judged = frozenset(p.metadata.name for p in playbooks if p.spec.findings)
    return tuple(
        _outcome(
            one.result,
            one.examination.conditions,
            frozenset(
                severities.get((one.result.namespace, one.result.name, one.result.workload), ())
            ),
            judged,
        )
        for one in pods
    )
