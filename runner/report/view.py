"""What every page says about a report, as values: the same rows, sentences and order for the
terminal and for HTML. Text is as it came; whoever shows it makes it harmless."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from runner.late import late
from runner.model.base import Value
from runner.model.changes import NOT_SHOWN, ConfigurationChange, Difference, RevisionChange
from runner.model.report import (
    NAMESPACE_NOT_FOUND,
    Confidence,
    Evidence,
    Finding,
    NotEvaluated,
    PodOutcome,
    PodResult,
    Report,
    RuledOut,
    Severity,
    Summary,
)
from runner.model.subject import Workload
from runner.report.plain import listed
from runner.report.summary import Verdict, verdicts

_WORD = late(r"\w[\w.:/-]+\w")
_ORDER = {verdict: position for position, verdict in enumerate(Verdict)}
_SEVERITIES = {severity: position for position, severity in enumerate(Severity)}
# What differs from pod to pod, where the reason is the same.
_CARRIES = late(r"carries \d+ ephemeral containers? \(about \d+ bytes\)")
_ITS_COMMAND = late(r"only with the pod: kubectl .*")
_UNEXAMINED = {
    PodOutcome.ERROR: "could not be examined",
    PodOutcome.TIMEOUT: "did not answer before the deadline",
    PodOutcome.UNKNOWN: "was examined, but the result is lost or incomplete",
    PodOutcome.SKIPPED: "was skipped",
}


class Tone(StrEnum):
    """The mood of a whole report. GOOD only if everything was examined and answered."""

    BAD = "bad"
    WARN = "warn"
    UNSURE = "unsure"
    GOOD = "good"


class Row(Value, frozen=True, kw_only=True):
    """One workload, worst first. `cause` is a sentence, `pods` says `6 of 6 pods`, `decisive` is
    the line of `evidence` that says it, `findings` are those of this workload, the decisive one
    first, `change` what is different in its pod template since its pods were well,
    `configuration_changes` which ConfigMaps were changed under them, `ruled_out` what
    was looked for and is not there."""

    workload: Workload
    verdict: Verdict
    cause: str
    confidence: Confidence | None
    pods: str
    restarts: int
    evidence: Evidence | None
    decisive: str
    findings: tuple[Finding, ...]
    results: tuple[PodResult, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    change: RevisionChange | None = None
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()


class Unanswered(Value, frozen=True, kw_only=True):
    """Why some pods or questions got no answer, for all of them that share the reason."""

    what: str
    why: str
    pods: int
    example: str


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def headline(summary: Summary) -> str:
    """The verdict in words: `3 workloads broken, 1 suspicious, 12 healthy, 2 not examined`."""
    counts = (
        (summary.workloads_broken, "broken"),
        (summary.workloads_suspicious, "suspicious"),
        (summary.workloads_healthy, "healthy"),
        (summary.workloads_not_examined, "not examined"),
    )
    said = [(count, word) for count, word in counts if count]
    if not said:
        return "Nothing was examined: no pod was selected"
    (first, word), *rest = said
    words = [f"{plural(first, 'workload')} {word}", *(f"{count} {word}" for count, word in rest)]
    if not rest and word == "healthy" and summary.not_evaluated:
        words.append(f"{plural(summary.not_evaluated, 'question')} without an answer")
    return ", ".join(words)


NOT_REDACTED = "Not redacted: secrets may stand in this report and beside it (--no-redact)"


def notices(report: Report) -> tuple[str, ...]:
    """What must be said before anything else: why this report is not the whole story."""
    said = []
    if report.run.aborted:
        said.append(f"The sweep was aborted: {report.run.aborted}")
    if report.run.interrupted:
        said.append("The sweep was interrupted: pods that it had not reached are missing here")
    if report.run.resumed:
        said.append("The sweep was resumed: some results come from an earlier start of this run")
    said += [
        f"N{question.subject[1:]} does not exist: nothing was examined there"
        for question in report.not_evaluated
        if question.reason == NAMESPACE_NOT_FOUND
    ]
    if not report.run.redacted:
        said.append(NOT_REDACTED)
    return tuple(said)


def tone(report: Report) -> Tone:
    summary = report.summary
    if summary.workloads_broken:
        return Tone.BAD
    if summary.workloads_suspicious:
        return Tone.WARN
    cut_short = report.run.interrupted or bool(report.run.aborted)
    open_questions = summary.workloads_not_examined or summary.not_evaluated
    if cut_short or open_questions or not summary.workloads_healthy:
        return Tone.UNSURE
    return Tone.GOOD


def rows(report: Report) -> tuple[Row, ...]:
    """Every workload of the report; worst first, then in the report's own order of rank."""
    judged = verdicts(report.pods, report.findings, report.not_evaluated)
    results = defaultdict[Workload, list[PodResult]](list)
    owner: dict[tuple[str, str], Workload] = {}
    for pod in report.pods:
        results[pod.workload].append(pod)
        owner[pod.namespace, pod.name] = pod.workload
    findings = defaultdict[Workload, list[Finding]](list)
    rank: dict[Workload, int] = {}
    for position, finding in enumerate(report.findings):
        findings[finding.workload].append(finding)
        rank.setdefault(finding.workload, position)
    questions = defaultdict[Workload, dict[int, NotEvaluated]](dict)
    for position, question in enumerate(report.not_evaluated):
        for ref in question.pods:
            if workload := owner.get((ref.namespace, ref.name)):
                questions[workload][position] = question
    made = [
        _row(workload, verdict, findings[workload], results[workload], questions[workload])
        for workload, verdict in judged.items()
    ]
    changes = {change.workload: change for change in report.changes if change.differences}
    configuration = defaultdict[Workload, list[ConfigurationChange]](list)
    for changed in report.configuration_changes:
        configuration[changed.workload].append(changed)
    out = defaultdict[Workload, list[RuledOut]](list)
    for each in report.ruled_out:
        out[each.workload].append(each)
    made = [
        msgspec.structs.replace(
            row,
            change=changes.get(row.workload),
            configuration_changes=tuple(configuration[row.workload]),
            ruled_out=tuple(out[row.workload]),
        )
        for row in made
    ]
    made.sort(key=lambda row: (_ORDER[row.verdict], rank.get(row.workload, 0), _name(row)))
    return tuple(made)


def unanswered(report: Report) -> tuple[Unanswered, ...]:
    """What could not be examined and why; the reason with the most pods first, what only follows
    last. Containers are not told apart, and steps and rules of one playbook that share reason and
    pods are told together."""
    groups = defaultdict[tuple[str, str, str], list[str]](list)
    container = {(pod.namespace, pod.name): pod.target_container for pod in report.pods}
    for pod in report.pods:
        if pod.outcome in _UNEXAMINED:
            what = f"pod {_UNEXAMINED[pod.outcome]}"
            why = _why(pod.reason, pod.message, of_any=True)
            groups[what, "", why].append(f"{pod.namespace}/{pod.name}")
    for question in report.not_evaluated:
        if question.reason == NAMESPACE_NOT_FOUND:
            continue
        why = _why(question.reason, question.message, of_any=True)
        if not question.pods:
            groups[question.subject, question.playbook, why].extend(())
        for ref in question.pods:
            told, name = why, container.get((ref.namespace, ref.name))
            if name and question.reason != "BreakerOpen":  # which speaks of another pod
                told = why.replace(f"container {name} ", "the container ")
            groups[question.subject, question.playbook, told].append(f"{ref.namespace}/{ref.name}")
    together = defaultdict[tuple[str, str, str, tuple[str, ...]], list[str]](list)
    for (subject, playbook, why), pods in groups.items():
        kind, _, name = subject.partition(" ")
        if playbook and kind in ("step", "rule"):
            together[kind, playbook, why, tuple(pods)].append(name)
        else:
            what = f"{subject} of {playbook}" if playbook else subject
            together[what, "", why, tuple(pods)].append("")
    said = [
        Unanswered(
            what=f"{kind}{'' if len(names) == 1 else 's'} {listed(names)} of {playbook}"
            if playbook
            else kind,
            why=why,
            pods=len(pods),
            example=pods[0] if pods else "",
        )
        for (kind, playbook, why, pods), names in together.items()
    ]
    follows = "FactMissing: steps."
    return tuple(
        sorted(said, key=lambda it: (it.why.startswith(follows), -it.pods, it.what, it.why))
    )


def refutations(row: Row) -> tuple[str, ...]:
    """What was seen that rules a cause out, each sentence once."""
    return tuple(dict.fromkeys(check.message for one in row.ruled_out for check in one.checks))


def shown_by(finding: Finding) -> tuple[Evidence | None, str]:
    """What shows that it is so, and its line that says it: the line that has most words in common
    with the message; of those that have as many the last one, for that is where programs say why
    they end. Of several events it is in the one that speaks of the same."""
    shown = [each for each in finding.evidence if each.excerpt.strip()]
    if not shown:
        return None, ""
    kind = shown[0].source.partition(" ")[0]
    wanted = set(_WORD.findall(finding.message.casefold()))
    found = [(each, *_best_line(each.excerpt, wanted)) for each in shown]
    alike = [item for item in found if item[0].source.partition(" ")[0] == kind]
    evidence, line, _ = max(alike, key=lambda item: item[2])
    return evidence, line


def _best_line(excerpt: str, wanted: set[str]) -> tuple[str, int]:
    best, most = "", -1
    for line in excerpt.splitlines():
        common = len(wanted.intersection(_WORD.findall(line.casefold())))
        if line.strip() and common >= most:
            best, most = line.strip(), common
    return best, most


def change_sentences(row: Row) -> Iterator[str]:
    """What changed before the pods of a workload fell ill, a line each."""
    if row.change is not None:
        yield change_sentence(row.change)
    yield from map(configuration_sentence, row.configuration_changes[:_MAX_CONFIGURATION])


def configuration_sentence(changed: ConfigurationChange) -> str:
    """`ConfigMap shop was changed at 2026-11-28 20:31:05 UTC, after pod web-1 was made`."""
    at = f"{changed.changed_at:%Y-%m-%d %H:%M:%S} UTC"
    said = (
        f"ConfigMap {changed.name} was changed at {at}, after pod {changed.pods[0].name} was made"
    )
    if changed.stale:
        return f"{said}; container {changed.container} still runs with what it read before"
    return said


def change_sentence(change: RevisionChange, most: int = 2) -> str:
    """`Revision 4 differs from 3 (2 Ready pods): image was web:1, is web:2`. A container is named
    where not all of it is about the same one."""
    parts = [_CONTAINER.match(each.path) for each in change.differences]
    alone = len({part and part[1] for part in parts}) == 1
    told = [_difference(each, alone=alone) for each in change.differences[:most]]
    left = len(change.differences) + change.more - len(told)
    more = f", and {plural(left, 'other difference')}" if left else ""
    ready = f" ({plural(change.before.ready, 'Ready pod')})" if change.before.ready else ""
    return (
        f"Revision {change.after.number} differs from {change.before.number}{ready}: "
        f"{'; '.join(told)}{more}"
    )


_MAX_CONFIGURATION = 2
_CONTAINER = late(r"containers\[([^\]]*)\]\.")


def _difference(each: Difference, *, alone: bool) -> str:
    path = _CONTAINER.sub("", each.path, count=1) if alone else each.path
    before, after = (
        "" if text in (None, NOT_SHOWN) else text for text in (each.before, each.after)
    )
    if each.before is None:
        return f"{path} is new" + (f": {after}" if after else "")
    if each.after is None:
        return f"{path} is gone" + (f", was {before}" if before else "")
    if not (before or after):
        return f"{path} has another value"
    return f"{path} was {before or NOT_SHOWN}, is {after or NOT_SHOWN}"


def _name(row: Row) -> tuple[str, str, str]:
    return row.workload.namespace, row.workload.kind, row.workload.name


def _row(
    workload: Workload,
    verdict: Verdict,
    findings: Sequence[Finding],
    results: Sequence[PodResult],
    questions: dict[int, NotEvaluated],
) -> Row:
    # The order of rank is the report's; it only has to agree with the verdict.
    ordered = sorted(findings, key=lambda finding: _SEVERITIES[finding.severity])
    # What only informs is worth telling where there is nothing worse, not in place of it.
    told = verdict in _FOUND or verdict is Verdict.HEALTHY
    top = ordered[0] if ordered and told else None
    shown = {(pod.namespace, pod.name) for pod in top.pods} if top else set()
    evidence, decisive = shown_by(top) if top else (None, "")
    affected = [pod for pod in results if not top or (pod.namespace, pod.name) in shown]
    return Row(
        workload=workload,
        verdict=verdict,
        cause=(top.message or top.title) if top else _sentence(verdict, results),
        confidence=top.confidence if top else None,
        pods=_pods(verdict, len(shown) if top else sum(map(_is_ill, results)), results),
        restarts=sum(container.restart_count for pod in affected for container in pod.containers),
        evidence=evidence,
        decisive=decisive,
        findings=tuple(ordered),
        results=tuple(results),
        not_evaluated=tuple(questions.values()),
    )


_FOUND = frozenset({Verdict.BROKEN, Verdict.SUSPICIOUS})


def _sentence(verdict: Verdict, results: Sequence[PodResult]) -> str:
    if verdict is Verdict.HEALTHY:
        return "Nothing was found"
    if verdict in _FOUND:  # a pod says so, but no finding explains it
        return _most_common(filter(_is_ill, results)) or "No cause was found"
    errors = [pod for pod in results if pod.outcome in _UNEXAMINED]
    decided = [pod for pod in errors if pod.outcome is not PodOutcome.SKIPPED] or errors
    if not decided:
        return "Could not be examined"
    [(kind, count)] = Counter(pod.outcome for pod in decided).most_common(1)
    words = f"{_UNEXAMINED[kind][0].upper()}{_UNEXAMINED[kind][1:]}"
    why = _most_common(pod for pod in decided if pod.outcome is kind)
    of_them = f" ({count} of {len(errors)})" if count < len(errors) else ""
    return f"{words}{of_them}{': ' if why else ''}{why}"


def _most_common(results: Iterable[PodResult]) -> str:
    reasons = Counter(_why(pod.reason, pod.message) for pod in results).most_common()
    why, others = reasons[0][0] if reasons else "", len(reasons) - 1
    return f"{why} (and {plural(others, 'other reason')})" if others > 0 else why


def _why(reason: str, message: str, *, of_any: bool = False) -> str:
    if of_any:
        message = _ITS_COMMAND.sub("only with the pod (see `podmedic containers`)", message)
    message = _CARRIES.sub("carries too many ephemeral containers", message)
    if reason and message and reason.casefold() not in message.casefold():
        return f"{reason}: {message}"
    return message or reason


def _is_ill(pod: PodResult) -> bool:
    """Says so itself, where no finding names it."""
    return pod.outcome in (PodOutcome.FAILED, PodOutcome.WARNED)


def _pods(verdict: Verdict, shown: int, results: Sequence[PodResult]) -> str:
    total = len(results)
    open_ends = sum(pod.outcome in _UNEXAMINED for pod in results)
    if verdict is Verdict.HEALTHY:
        return (
            f"{total - open_ends} of {plural(total, 'pod')} examined"
            if open_ends
            else plural(total, "pod")
        )
    if verdict is Verdict.NOT_EXAMINED:
        return f"{open_ends} of {plural(total, 'pod')}" if total else "no pod"
    if not total and not shown:
        return "no pod"  # a Service, or a workload whose pods were never created
    words = f"{shown} of {plural(max(total, shown), 'pod')}"
    return f"{words}, {open_ends} not examined" if open_ends else words
