"""The report of what a run saw: a pure function, which `podmedic analyze` applies again, offline,
to what an earlier run wrote down."""

from collections.abc import Iterator, Sequence
from itertools import starmap

import msgspec

from runner import __version__
from runner.analyze import (
    Judgement,
    Policies,
    judge,
    judge_objects,
    ranked,
    timeline,
)
from runner.model.examination import Examination
from runner.model.report import (
    API_VERSION,
    NAMESPACE_NOT_FOUND,
    Confidence,
    Finding,
    NotEvaluated,
    PlaybookRef,
    PodOutcome,
    PodResult,
    Report,
    Severity,
)
from runner.model.seen import Seen, SeenPod
from runner.playbook import Playbook
from runner.report import summarize
from runner.select import is_healthy
from runner.sweep.completeness import completeness
from runner.sweep.evidence import share_logs
from runner.sweep.objects import services_of, with_services
from runner.sweep.outcomes import with_outcomes


def report_of(seen: Seen, playbooks: Sequence[Playbook]) -> Report:
    """The same for the same playbooks, byte for byte. Of the playbooks of the run those that are
    not given are not asked."""
    findings, not_evaluated, ruled_out = _judge_pods(seen, playbooks)
    more: tuple[Finding, ...] = ()
    if seen.objects_meant:
        more, unanswered = judge_objects(
            playbooks,
            seen.objects,
            [pod.examination.pod for pod in seen.pods],
            frozenset(
                each.workload
                for each in findings
                if each.severity is Severity.CRITICAL and each.confidence is not Confidence.POSSIBLE
            ),
            seen.at,
            seen.label_selector,
            seen.aims,
        )
        findings, not_evaluated = ranked((*findings, *more)), (*not_evaluated, *unanswered)
    not_evaluated = (*_absent(seen), *not_evaluated)
    findings = _placed(findings, playbooks)
    outcomes = with_outcomes(seen.pods, findings, playbooks)
    pods = tuple(starmap(_told, zip(seen.pods, outcomes, strict=True)))
    namespaces = {pod.namespace for pod in pods} | {each.workload.namespace for each in more}
    run = msgspec.structs.replace(
        seen.run,
        namespaces=tuple(sorted(namespaces)),
        playbooks=tuple(
            PlaybookRef(
                name=p.metadata.name, source=p.source, sha256=p.sha256, rules=p.rule_versions
            )
            for p in playbooks
        ),
        runner_version=__version__,
    )
    summary = summarize(pods, findings, not_evaluated, _rules_asked(seen, playbooks))
    return Report(
        api_version=API_VERSION,
        kind="Report",
        run=run,
        summary=msgspec.structs.replace(
            summary,
            evidence=completeness(seen, playbooks),
            not_needed=seen.objects.not_needed,
        ),
        pods=pods,
        findings=findings,
        not_evaluated=not_evaluated,
        changes=seen.changes,
        configuration_changes=seen.configuration_changes,
        ruled_out=ruled_out,
    )


def _absent(seen: Seen) -> Iterator[NotEvaluated]:
    for name in seen.namespaces_missing:
        yield NotEvaluated(
            subject=f"namespace {name}", playbook="", reason=NAMESPACE_NOT_FOUND,
            message="it does not exist", pods=(),
        )  # fmt: skip
    why = "no pod was found in it; whether it exists is not known without `get` on namespaces"
    for name in seen.namespaces_unknown:
        yield NotEvaluated(
            subject=f"namespace {name}", playbook="", reason="Forbidden", message=why, pods=()
        )


def _placed(findings: Sequence[Finding], playbooks: Sequence[Playbook]) -> tuple[Finding, ...]:
    by_name = {playbook.name: playbook for playbook in playbooks}
    return tuple(
        msgspec.structs.replace(each, rule_place=by_name[each.playbook].place(each.rule))
        for each in findings
    )


def _rules_asked(seen: Seen, playbooks: Sequence[Playbook]) -> int:
    rules = {playbook.name: len(playbook.spec.findings) for playbook in playbooks}
    return sum(rules.get(name, 0) for pod in seen.pods if not pod.skipped for name in pod.playbooks)


def _told(pod: SeenPod, result: PodResult) -> PodResult:
    if result.outcome is PodOutcome.PASSED and not pod.control_of:
        return result
    moments = () if result.outcome is PodOutcome.PASSED else timeline(pod.examination, result)
    return msgspec.structs.replace(result, control=bool(pod.control_of), timeline=moments)


def _judge_pods(seen: Seen, playbooks: Sequence[Playbook]) -> Judgement:
    services = services_of(seen.objects)
    judged = [pod for pod in seen.pods if not pod.skipped]
    policies = Policies(seen.objects, (pod.examination.pod for pod in seen.pods))
    examinations = []
    unknown_objects = dict(seen.objects.unknown)
    why = seen.objects.not_needed.get("NetworkPolicy")
    # Other playbooks than those of the run may want to know more.
    if why and any(playbook.reads_all_policies for playbook in playbooks):
        unknown_objects.setdefault("policies", f"the run did not ask for them: {why}")
    shared = share_logs([pod.examination for pod in judged])
    for pod, known in zip(judged, shared, strict=True):
        examination = with_services(known, services, unknown_objects)
        examination = policies.known_to(examination)
        if seen.events_unknown and "events" not in examination.unknown:
            unknown = {**examination.unknown, "events": seen.events_unknown}
            examination = msgspec.structs.replace(examination, unknown=unknown)
        examinations.append(_with_changes(examination, pod.playbooks, playbooks, seen))
    applies = {pod.examination.pod.metadata.uid: pod.playbooks for pod in judged}
    controls = {pod.examination.pod.metadata.uid: pod.control_of for pod in judged}
    return judge(playbooks, examinations, applies, seen.at, controls)


def _with_changes(
    examination: Examination, names: Sequence[str], playbooks: Sequence[Playbook], seen: Seen
) -> Examination:
    if is_healthy(examination.conditions) or not any(
        playbook.spec.evidence.changes for playbook in playbooks if playbook.name in names
    ):
        return examination
    unknown = dict(examination.unknown)
    if seen.changes_unknown:
        unknown["changes"] = seen.changes_unknown
    if seen.configuration_unknown:
        unknown["configurationChanges"] = seen.configuration_unknown
    found = (e.differences for e in seen.changes if e.workload == examination.workload)
    configuration = (
        each
        for each in seen.configuration_changes
        if each.workload == examination.workload and each.container == examination.target_container
    )
    return msgspec.structs.replace(
        examination,
        changes=next(found, ()),
        configuration_changes=tuple(configuration),
        unknown=unknown,
    )
