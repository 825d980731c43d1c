"""Compares a run with those before it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from runner.compare.findings import Looked, Sight, sight
from runner.compare.model import (
    Comparison,
    FindingState,
    RuleChange,
    RunRef,
    StateOfFinding,
    WorkloadChange,
)
from runner.model.report import Finding, PodOutcome, PodResult, Report, Severity
from runner.model.subject import PodRef, Workload
from runner.report.summary import Verdict, verdicts
from runner.report.view import notices

_STATES = {state: position for position, state in enumerate(FindingState)}
_WORST = {verdict: position for position, verdict in enumerate(Verdict)}
_ILL = (Verdict.BROKEN, Verdict.SUSPICIOUS)
_UNEXAMINED = (PodOutcome.ERROR, PodOutcome.TIMEOUT, PodOutcome.UNKNOWN)
# Found, not found, found: two changes.
_FLAPPING = 2


def compare(earlier: Sequence[Report], new: Report, rejudged: Report | None = None) -> Comparison:
    """The last of `earlier` runs, oldest first, beside `new`; those before it tell since when and
    what comes and goes. `rejudged` is what the rules of `new` say of what that last one saw, if
    they are other rules and it can be had. Without any earlier run everything is new."""
    runs = [Looked(report) for report in (*earlier, new)]
    old = runs[-2] if earlier else None
    again = Looked(rejudged) if rejudged is not None else None
    states = list(_findings(runs, old, again))
    states.sort(key=lambda each: _STATES[each.state])
    come, gone = _pods(old, runs[-1])
    counts = Counter(each.state for each in states)
    refs = tuple(_ref(run.report) for run in runs)
    said = [
        f"{word} run: {each}"
        for word, ref in (("Old", refs[-2] if old else None), ("New", refs[-1]))
        for each in (ref.notices if ref else ())
    ]
    clusters = dict.fromkeys(ref.cluster for ref in refs if ref.cluster)
    if len(clusters) > 1:
        said.insert(0, f"The runs are of different clusters: {', '.join(clusters)}")
    return Comparison(
        old=refs[-2] if old else None,
        new=refs[-1],
        runs=refs,
        notices=tuple(said),
        summary={state.value: counts[state] for state in FindingState}
        | {"flapping": sum(each.flapping for each in states)},
        findings=tuple(states),
        workloads=tuple(_workloads(old, runs[-1])),
        pods_come=come,
        pods_gone=gone,
    )


def fails(found: Comparison) -> bool:
    """Whether there is something that the old run does not answer for: a finding that only informs
    is none, one that is told because a rule is new is none."""
    explained = {
        each.finding.workload for each in found.findings if each.state is FindingState.RULES
    }
    return any(is_news(each) for each in found.findings) or any(
        each.worse and each.workload not in explained for each in found.workloads
    )


def is_news(each: StateOfFinding) -> bool:
    """Worth waking somebody for: in the new run, and for all that is known not in the old one."""
    return (
        each.found
        and each.state in (FindingState.NEW, FindingState.NOT_COMPARED)
        and each.finding.severity is not Severity.INFO
    )


def _findings(
    runs: Sequence[Looked], old: Looked | None, again: Looked | None
) -> Iterator[StateOfFinding]:
    new = runs[-1]
    for finding in new.report.findings:
        state, why = _of_found(finding, old, new, again)
        yield _state(finding, state, why, runs, old)
    if old is None:
        return
    for finding in old.report.findings:
        if finding.fingerprint not in new.findings:
            state, why = _of_lost(finding, old, new, again)
            yield _state(finding, state, why, runs, old)


def _of_found(
    finding: Finding, old: Looked | None, new: Looked, again: Looked | None
) -> tuple[FindingState, str]:
    if old is None:
        return FindingState.NEW, ""
    seen, why = sight(old, finding, new)
    if seen is Sight.FOUND:
        return FindingState.PERSISTING, ""
    changed = _rule_change(finding, old, new)
    if again is not None and finding.fingerprint in again.findings:
        return FindingState.RULES, f"the rule is {_words(changed)}; the cause was there before"
    if seen is Sight.NOT_EVALUATED:
        return FindingState.NOT_COMPARED, f"in the old run {why}"
    if again is None and changed not in (RuleChange.SAME, RuleChange.UNKNOWN):
        return FindingState.NEW, f"the rule is {_words(changed)}: the cause may have been there"
    return FindingState.NEW, ""


def _of_lost(
    finding: Finding, old: Looked, new: Looked, again: Looked | None
) -> tuple[FindingState, str]:
    seen, why = sight(new, finding, old)
    if seen is Sight.NOT_EVALUATED:
        return FindingState.NOT_COMPARED, f"in the new run {why}"
    if seen is Sight.ABSENT:
        return FindingState.GONE, "its workload is not in the new run"
    if again is not None and finding.fingerprint not in again.findings:
        return FindingState.RULES, "the rules of the new run do not say it of the old one either"
    return FindingState.RESOLVED, ""


def _words(change: RuleChange) -> str:
    return {RuleChange.NEW: "new", RuleChange.REMOVED: "gone"}.get(change, "another one")


def _state(
    finding: Finding, state: FindingState, why: str, runs: Sequence[Looked], old: Looked | None
) -> StateOfFinding:
    source = runs[-1] if finding.fingerprint in runs[-1].findings else old or runs[-1]
    seen = [sight(run, finding, source)[0] for run in runs]
    # Of a workload that is not there nothing was seen.
    history = tuple(str(Sight.NOT_EVALUATED if s is Sight.ABSENT else s) for s in seen)
    known = [word for word in history if word != Sight.NOT_EVALUATED]
    changes = sum(one != other for one, other in pairwise(known))
    return StateOfFinding(
        state=state,
        found=seen[-1] is Sight.FOUND,
        why=why,
        rule=_rule_change(finding, old, runs[-1]) if old is not None else RuleChange.SAME,
        finding=finding,
        history=history,
        since=_since(seen, runs),
        flapping=changes >= _FLAPPING,
    )


def _since(seen: Sequence[Sight], runs: Sequence[Looked]) -> datetime | None:
    since = None
    for one, run in zip(reversed(seen), reversed(runs), strict=True):
        if one is Sight.CLEAR:
            break
        if one is Sight.FOUND:
            since = run.report.run.started_at
    return since


def _rule_change(finding: Finding, old: Looked, new: Looked) -> RuleChange:
    before = next((p for p in old.report.run.playbooks if p.name == finding.playbook), None)
    after = next((p for p in new.report.run.playbooks if p.name == finding.playbook), None)
    if before is None or after is None:
        return RuleChange.UNKNOWN
    if before.sha256 == after.sha256:
        return RuleChange.SAME
    if not before.rules or not after.rules:
        return RuleChange.UNKNOWN
    was, now = before.rules.get(finding.rule), after.rules.get(finding.rule)
    if was == now:
        return RuleChange.SAME
    if was is None:
        return RuleChange.NEW
    return RuleChange.REMOVED if now is None else RuleChange.CHANGED


def _workloads(old: Looked | None, new: Looked) -> Iterator[WorkloadChange]:
    before, after = _verdicts(old), _verdicts(new)
    for workload in dict.fromkeys((*after, *before)):
        was, now = before.get(workload), after.get(workload)
        if was is not now:
            bad = now in _ILL or (now is not None and _lost(new.pods.get(workload, ())))
            yield WorkloadChange(
                workload=workload,
                before=was.value if was else None,
                after=now.value if now else None,
                worse=bad and now is not None and (was is None or _WORST[now] < _WORST[was]),
            )


def _lost(pods: Sequence[PodResult]) -> bool:
    """Pods that should have been examined; those of a finished Job were skipped by decision."""
    return any(pod.outcome in _UNEXAMINED for pod in pods)


def _verdicts(run: Looked | None) -> dict[Workload, Verdict]:
    if run is None:
        return {}
    report = run.report
    return verdicts(report.pods, report.findings, report.not_evaluated)


def _pods(old: Looked | None, new: Looked) -> tuple[tuple[PodRef, ...], tuple[PodRef, ...]]:
    if old is None:
        return (), ()
    before = {pod.uid: pod for pod in old.report.pods}
    after = {pod.uid: pod for pod in new.report.pods}
    return (
        tuple(
            PodRef(namespace=pod.namespace, name=pod.name)
            for uid, pod in after.items()
            if uid not in before
        ),
        tuple(
            PodRef(namespace=pod.namespace, name=pod.name)
            for uid, pod in before.items()
            if uid not in after
        ),
    )


def _ref(report: Report) -> RunRef:
    run = report.run
    return RunRef(
        id=run.id,
        started_at=run.started_at,
        finished_at=run.finished_at,
        cluster=run.cluster,
        notices=notices(report),
    )
