"""From examinations to findings: one for each cause, however many pods show it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from runner.analyze.facts import facts
from runner.analyze.ruled_out import Doubts
from runner.analyze.rules import Hit, Judge, PodSubject, Unanswered, fingerprint
from runner.model.examination import Examination
from runner.model.report import (
    Confidence,
    Evidence,
    Finding,
    NotEvaluated,
    RuledOut,
    Severity,
    StepOutcome,
)
from runner.model.subject import PodRef, Workload
from runner.playbook.spec import Playbook

_SEVERITIES = list(Severity)
_CONFIDENCES = list(Confidence)
_REASON = re.compile(r"([A-Z][A-Za-z]+): (.+)", re.DOTALL)
_NO_ANSWER = (StepOutcome.ERROR, StepOutcome.NOT_EVALUATED, StepOutcome.TIMEOUT)


class Judgement(NamedTuple):
    findings: tuple[Finding, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    ruled_out: tuple[RuledOut, ...]


def judge(
    playbooks: Sequence[Playbook],
    examinations: Sequence[Examination],
    applies: Mapping[str, Sequence[str]],
    now: datetime | None = None,
    controls: Mapping[str, Sequence[str]] | None = None,
) -> Judgement:
    """Findings by rank, questions without an answer, and what was ruled out, in an order that does
    not depend on the order of the examinations. `applies` maps the uid of a pod to the names of
    the playbooks that selected it; a pod that is not in it is not judged. `controls` maps it to
    the names of those for which it is a healthy one to compare with."""
    causes: dict[tuple[str, ...], _Cause] = {}
    questions: dict[tuple[str, str, str, str], set[tuple[str, str]]] = {}
    doubts = Doubts()
    ordered = sorted(examinations, key=_pod_key)
    for playbook in playbooks:
        name = playbook.metadata.name
        healthy = {
            one.workload: one
            for one in reversed(ordered)
            if name in (controls or {}).get(one.pod.metadata.uid, ())
        }
        compared_with = {w: facts(one, playbook, now) for w, one in healthy.items()}
        for examination in ordered:
            if name not in applies.get(examination.pod.metadata.uid, ()):
                continue
            pod = _pod_key(examination)
            for question in _questions(examination, name):
                questions.setdefault(question, set()).add(pod)
            if not playbook.spec.findings:
                continue
            workload = examination.workload
            control = compared_with.get(workload)
            if healthy.get(workload) is examination:
                control = None
            known = facts(examination, playbook, now, control)
            subject = PodSubject(examination, name)
            asked = Judge(name, playbook.spec.findings, subject, known)
            results = tuple(asked.results())
            for result in results:
                if isinstance(result, Unanswered):
                    question = (f"rule {result.rule}", name, result.reason, result.message)
                    questions.setdefault(question, set()).add(pod)
                else:
                    _add(causes, examination, result)
            doubts.add(examination, name, asked, results)
    findings = [cause.finding() for cause in causes.values()]
    return Judgement(ranked(findings), tuple(_not_evaluated(questions)), doubts.ruled_out())


class _Cause(msgspec.Struct):
    hit: Hit
    workload: Workload
    container: str
    fingerprint: str
    evidence: tuple[Evidence, ...]
    borrowed: bool
    pods: set[tuple[str, str]] = msgspec.field(default_factory=set)

    def _confidence(self) -> Confidence:
        """One level less when no pod of the finding said it in a log of its own."""
        level = _CONFIDENCES.index(self.hit.rule.confidence)
        return _CONFIDENCES[min(level + self.borrowed, len(_CONFIDENCES) - 1)]

    def finding(self) -> Finding:
        rule = self.hit.rule
        return Finding(
            rule=rule.id,
            playbook=self.hit.playbook,
            severity=rule.severity,
            confidence=self._confidence(),
            title=self.hit.title,
            message=self.hit.message,
            remediation=self.hit.remediation,
            workload=self.workload,
            container=self.container,
            pods=_refs(self.pods),
            evidence=self.evidence,
            fingerprint=self.fingerprint,
            rule_version=rule.version,
        )


def _add(causes: dict[tuple[str, ...], _Cause], examination: Examination, hit: Hit) -> None:
    """Two playbooks that find the same by a rule of the same name found it once."""
    workload, container = examination.workload, examination.target_container
    if hit.about:
        kind, _, name = hit.about.partition("/")
        workload = Workload(kind=kind, namespace=workload.namespace, name=name)
        container = ""
    words = (workload.kind, workload.namespace, workload.name)
    key = (*words, container, hit.rule.id, hit.cause)
    cause = causes.get(key)
    if cause is None:
        mark = fingerprint(words, container, hit.rule.id, hit.cause)
        cause = _Cause(hit, workload, container, mark, hit.evidence, hit.borrowed)
        causes[key] = cause
    elif _borrowed(cause.evidence, cause.pods) and len(hit.evidence) >= len(cause.evidence):
        # Better shown from a pod whose own log was read.
        cause.evidence = hit.evidence
    cause.borrowed = cause.borrowed and hit.borrowed
    cause.pods.add(_pod_key(examination))


def _borrowed(evidence: Sequence[Evidence], pods: set[tuple[str, str]]) -> bool:
    names = {name for _, name in pods}
    return any(each.pod not in names for each in evidence)


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; of equal ones the surest, then the one that most pods show."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, int, str, str, str, str, str, str]:
    return (
        _SEVERITIES.index(finding.severity),
        _CONFIDENCES.index(finding.confidence),
        -len(finding.pods),
        finding.workload.namespace,
        finding.workload.name,
        finding.workload.kind,
        finding.container,
        finding.rule,
        finding.message,
    )


def _questions(examination: Examination, playbook: str) -> Iterator[tuple[str, str, str, str]]:
    """What the examination itself did not find out."""
    for fact, why in examination.unknown.items():
        reason = "Forbidden" if why.startswith("forbidden") else "Unavailable"
        if named := _REASON.match(why):
            reason, why = named[1], named[2]  # noqa: PLW2901
        yield ("pod" if fact == "pod" else f"fact {fact}", playbook, reason, why)
    for step in examination.steps:
        if step.playbook == playbook and step.outcome in _NO_ANSWER:
            reason = step.reason or {StepOutcome.TIMEOUT: "Timeout"}.get(step.outcome, "Error")
            yield f"step {step.name}", playbook, reason, step.message


def _not_evaluated(
    questions: Mapping[tuple[str, str, str, str], set[tuple[str, str]]],
) -> Iterator[NotEvaluated]:
    for (subject, playbook, reason, message), pods in sorted(questions.items()):
        yield NotEvaluated(
            subject=subject, playbook=playbook, reason=reason, message=message, pods=_refs(pods)
        )


def _refs(pods: set[tuple[str, str]]) -> tuple[PodRef, ...]:
    return tuple(PodRef(namespace=namespace, name=name) for namespace, name in sorted(pods))


def _pod_key(examination: Examination) -> tuple[str, str]:
    return examination.pod.metadata.namespace, examination.pod.metadata.name
