"""What the examinations of pods mean for their workloads: broken, suspicious, not examined or
healthy. A workload is healthy only if something was examined and nothing was left open."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from runner.model.report import (
    TEXT_NOT_RENDERED,
    Finding,
    NotEvaluated,
    PodOutcome,
    PodResult,
    Severity,
    StepOutcome,
    Summary,
)
from runner.model.subject import Workload

# A pod that was skipped by decision (one of two sampled replicas) leaves its workload examined.
_UNEXAMINED = frozenset({PodOutcome.ERROR, PodOutcome.TIMEOUT, PodOutcome.UNKNOWN})
_EXAMINED = frozenset({PodOutcome.PASSED, PodOutcome.WARNED, PodOutcome.FAILED})


class Verdict(StrEnum):
    """What is to be said of one workload, worst first."""

    BROKEN = "broken"
    SUSPICIOUS = "suspicious"
    NOT_EXAMINED = "not examined"
    HEALTHY = "healthy"


def verdict(outcomes: Iterable[PodOutcome], severities: Iterable[Severity]) -> Verdict:
    """The verdict on a workload, from how its pods ended and the severities of its findings."""
    ended, found = frozenset(outcomes), frozenset(severities)
    if Severity.CRITICAL in found or PodOutcome.FAILED in ended:
        return Verdict.BROKEN
    # A pod may end as `warned` for a finding that only informs: then the workload is healthy.
    if Severity.WARNING in found or (PodOutcome.WARNED in ended and not found):
        return Verdict.SUSPICIOUS
    if ended & _UNEXAMINED or not ended & _EXAMINED:
        return Verdict.NOT_EXAMINED
    return Verdict.HEALTHY


def verdicts(
    pods: Sequence[PodResult], findings: Sequence[Finding], not_evaluated: Sequence[NotEvaluated]
) -> dict[Workload, Verdict]:
    """The verdict on every workload that has a pod or a finding, in order of first mention."""
    unanswered = {
        (pod.namespace, pod.name)
        for question in not_evaluated
        if question.subject == "pod"
        for pod in question.pods
    }
    outcomes: dict[Workload, set[PodOutcome]] = {}
    for pod in pods:
        seen = outcomes.setdefault(pod.workload, set())
        seen.add(pod.outcome)
        if (pod.namespace, pod.name) in unanswered and pod.outcome is not PodOutcome.SKIPPED:
            seen.add(PodOutcome.UNKNOWN)
    severities: dict[Workload, set[Severity]] = {}
    for finding in findings:
        severities.setdefault(finding.workload, set()).add(finding.severity)
    return {
        workload: verdict(outcomes.get(workload, ()), severities.get(workload, ()))
        for workload in outcomes | severities
    }


def summarize(
    pods: Sequence[PodResult],
    findings: Sequence[Finding],
    not_evaluated: Sequence[NotEvaluated],
    rules_asked: int = 0,
) -> Summary:
    """The counts of a report; every outcome is named, also those that did not occur. `rules_asked`
    counts each rule once for each pod that it was asked of."""
    unanswered = sum(
        len(q.pods)
        for q in not_evaluated
        if q.subject.startswith("rule ") and q.reason != TEXT_NOT_RENDERED
    )
    counts = Counter(verdicts(pods, findings, not_evaluated).values())
    outcomes = Counter(pod.outcome for pod in pods)
    steps = Counter(step.outcome for pod in pods for step in pod.steps)
    return Summary(
        pods=len(pods),
        outcomes={outcome.value: outcomes[outcome] for outcome in PodOutcome},
        workloads_broken=counts[Verdict.BROKEN],
        workloads_suspicious=counts[Verdict.SUSPICIOUS],
        workloads_healthy=counts[Verdict.HEALTHY],
        workloads_not_examined=counts[Verdict.NOT_EXAMINED],
        steps={outcome.value: steps[outcome] for outcome in StepOutcome},
        not_evaluated=len(not_evaluated),
        ephemeral_containers=sum(len(added(pod)) for pod in pods),
        rules={
            "evaluated": max(rules_asked - unanswered, 0),
            "not-evaluated": min(unanswered, rules_asked),
        },
    )


def added(pod: PodResult) -> tuple[str, ...]:
    """Names of the ephemeral containers that the run put into the pod: none where the steps ran
    in a copy of it, or in a container that an earlier run had left there to be used again."""
    names = (
        each.container
        for each in pod.injections
        if each.strategy != "copy" and not (each.transport == "exec" and each.reused)
    )
    return tuple(dict.fromkeys(names))
