"""Whether a run saw a finding, looked and did not see it, or did not look."""

from collections import defaultdict
from enum import StrEnum
from functools import cached_property

from runner.model.report import Finding, PodOutcome, PodResult, Report
from runner.model.subject import Workload

_EXAMINED = frozenset({PodOutcome.PASSED, PodOutcome.WARNED, PodOutcome.FAILED})
# Replicas stand for a pod that was left out for this reason, ill ones first.
_STOOD_FOR = "NotSampled"


class Sight(StrEnum):
    FOUND = "found"
    CLEAR = "clear"
    NOT_EVALUATED = "not-evaluated"
    ABSENT = "absent"  # its workload is not in the run


class Looked:
    """A report, prepared for many questions."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @cached_property
    def findings(self) -> dict[str, Finding]:
        return {each.fingerprint: each for each in self.report.findings}

    @cached_property
    def pods(self) -> dict[Workload, list[PodResult]]:
        found = defaultdict[Workload, list[PodResult]](list)
        for pod in self.report.pods:
            found[pod.workload].append(pod)
        return found

    @cached_property
    def by_name(self) -> dict[tuple[str, str], PodResult]:
        return {(pod.namespace, pod.name): pod for pod in self.report.pods}

    @cached_property
    def workloads(self) -> frozenset[Workload]:
        return frozenset(self.pods) | {each.workload for each in self.report.findings}

    @cached_property
    def playbooks(self) -> frozenset[str]:
        return frozenset(each.name for each in self.report.run.playbooks)

    @cached_property
    def questions(self) -> dict[tuple[str, str], dict[tuple[str, str] | None, str]]:
        """Rules that were not evaluated: why, by pod (None: for no pod in particular), by playbook
        and rule."""
        found: dict[tuple[str, str], dict[tuple[str, str] | None, str]] = {}
        for each in self.report.not_evaluated:
            word, _, rule = each.subject.partition(" ")
            if word == "rule":
                why = f"{each.reason}: {each.message}"
                known = found.setdefault((each.playbook, rule), {})
                for pod in each.pods:
                    known.setdefault((pod.namespace, pod.name), why)
                if not each.pods:
                    known.setdefault(None, why)
        return found


def sight(run: Looked, finding: Finding, source: Looked) -> tuple[Sight, str]:
    """What `run` saw of a finding of `source`, and why it is not evaluated if it is not. It is
    clear only if somebody looked: at the pods that showed it, or at others in their place."""
    if finding.fingerprint in run.findings:
        return Sight.FOUND, ""
    if finding.playbook not in run.playbooks:
        return Sight.NOT_EVALUATED, f"playbook {finding.playbook} was not run"
    questions = run.questions.get((finding.playbook, finding.rule), {})
    if not finding.pods:
        if None in questions:
            return Sight.NOT_EVALUATED, f"rule {finding.rule} was not evaluated: {questions[None]}"
        if narrower := _narrower(run, finding, source):
            return Sight.NOT_EVALUATED, narrower
        reached = finding.workload.namespace in run.report.run.namespaces
        known = reached or finding.workload in run.workloads
        return (Sight.CLEAR if known else Sight.ABSENT), ""
    pods = _pods(run, finding, source)
    if not pods:
        if finding.workload in run.workloads:
            return Sight.CLEAR, ""
        narrower = _narrower(run, finding, source)
        return (Sight.NOT_EVALUATED if narrower else Sight.ABSENT), narrower
    examined = any(pod.outcome in _EXAMINED for pod in pods)
    for pod in _to_ask(pods, finding):
        if pod.outcome not in _EXAMINED and not (pod.reason == _STOOD_FOR and examined):
            why = ": ".join(filter(None, (pod.reason, pod.message))) or pod.outcome.value
            return Sight.NOT_EVALUATED, f"pod {pod.name} was not examined: {why}"
        if (asked := questions.get((pod.namespace, pod.name))) is not None:
            why = f"rule {finding.rule} was not evaluated for pod {pod.name}: {asked}"
            return Sight.NOT_EVALUATED, why
    return Sight.CLEAR, ""


def _narrower(run: Looked, finding: Finding, source: Looked) -> str:
    """Why `run` may not have looked at a workload or Service that none of its pods belongs to."""
    asked, selector = run.report.run, run.report.run.selector
    if not asked.objects_meant:
        return "only certain pods were looked at, no workloads and Services"
    if (
        selector
        and selector != source.report.run.selector
        and finding.workload not in run.workloads
    ):
        return f"only what has the labels {selector} was looked at"
    return ""


def _pods(run: Looked, finding: Finding, source: Looked) -> list[PodResult]:
    """Those of its workload, and of the workloads whose pods showed a finding about a Service."""
    owners = {finding.workload: None}
    for ref in finding.pods:
        if (pod := source.by_name.get((ref.namespace, ref.name))) is not None:
            owners[pod.workload] = None
    return [pod for owner in owners for pod in run.pods.get(owner, ())]


def _to_ask(pods: list[PodResult], finding: Finding) -> list[PodResult]:
    """Pods that showed it and are still there; where none is, all others."""
    shown = {(ref.namespace, ref.name) for ref in finding.pods}
    return [pod for pod in pods if (pod.namespace, pod.name) in shown] or pods
