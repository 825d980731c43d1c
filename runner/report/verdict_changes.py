"""What two judgements of the same pods disagree about."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from runner.model.report import Finding, PodResult, Report
from runner.report.plain import one_line


class Kind(StrEnum):
    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


class VerdictChange(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that only one of the two has (`before` or `after` is None), or that says
    something else now; for a pod whose outcome is another, `pod` is set instead."""

    kind: Kind
    before: Finding | None = None
    after: Finding | None = None
    pod: tuple[PodResult, PodResult] | None = None


def verdict_changes(before: Report, after: Report) -> tuple[VerdictChange, ...]:
    """Findings in the order of their rank, then pods."""
    return (*_findings(before.findings, after.findings), *_pods(before.pods, after.pods))


def _key(finding: Finding) -> tuple[str, ...]:
    workload = finding.workload
    return (workload.namespace, workload.kind, workload.name, finding.container, finding.rule)


def _findings(before: Sequence[Finding], after: Sequence[Finding]) -> Iterator[VerdictChange]:
    old = {each.fingerprint: each for each in before}
    new = {each.fingerprint: each for each in after}
    gone = [each for each in before if each.fingerprint not in new]
    for finding in after:
        known = old.get(finding.fingerprint)
        if known is None:
            # The same rule about the same container in other words has another fingerprint.
            known = next((each for each in gone if _key(each) == _key(finding)), None)
            if known is not None:
                gone.remove(known)
        if known is None:
            yield VerdictChange(kind=Kind.NEW, after=finding)
        elif _judgement(known) != _judgement(finding):
            yield VerdictChange(kind=Kind.CHANGED, before=known, after=finding)
    for finding in gone:
        yield VerdictChange(kind=Kind.GONE, before=finding)


def _judgement(finding: Finding) -> tuple[object, ...]:
    return (finding.severity, finding.confidence, finding.message, finding.pods)


def _pods(before: Sequence[PodResult], after: Sequence[PodResult]) -> Iterator[VerdictChange]:
    old: Mapping[str, PodResult] = {pod.uid: pod for pod in before}
    for pod in after:
        known = old.get(pod.uid)
        if known is not None and known.outcome is not pod.outcome:
            yield VerdictChange(kind=Kind.CHANGED, pod=(known, pod))


def line_of(change: VerdictChange) -> str:
    """One line, safe whatever is in it."""
    return change.kind.value.ljust(8) + one_line(_sentence(change))


def _sentence(change: VerdictChange) -> str:
    if change.pod is not None:
        was, now = change.pod
        return f"pod {now.namespace}/{now.name}: {was.outcome} -> {now.outcome}"
    finding = change.after or change.before
    assert finding is not None
    workload = finding.workload
    where = f"{workload.kind}/{workload.name} ({workload.namespace})"
    return f"{where}: {finding.rule}: {_what(change, finding)}"


def _what(change: VerdictChange, finding: Finding) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return f"{finding.message} ({finding.severity}, {finding.confidence})"
    words = []
    if before.severity is not after.severity:
        words.append(f"severity {before.severity} -> {after.severity}")
    if before.confidence is not after.confidence:
        words.append(f"confidence {before.confidence} -> {after.confidence}")
    if before.message != after.message:
        words.append(f"was {before.message!r}, is {after.message!r}")
    if len(before.pods) != len(after.pods):
        words.append(f"{len(before.pods)} -> {len(after.pods)} pods")
    return "; ".join(words) or "other pods"
