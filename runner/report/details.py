"""What the page shows of a workload once it is opened, as plain JSON values for its script.

Pods that said the same are told once; of long outputs the run directory has the middle, too.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from runner.late import late
from runner.model.harm import Harm, HarmVerdict
from runner.model.report import (
    Attempt,
    ContainerSummary,
    Evidence,
    Finding,
    Injection,
    NotEvaluated,
    OutputInfo,
    PodResult,
    StepOutcome,
    StepResult,
)
from runner.report.plain import listed, one_line, plain, squeezed
from runner.report.story import Json, change, configuration, timeline
from runner.report.summary import added
from runner.report.view import Row, plural, refutations

MAX_OUTPUT_CHARACTERS = 64_000
_BUDGET_CHARACTERS = 32_000_000  # of all outputs of one page, before compression
_SMALLEST_OUTPUT = 2_000
_MAX_LINE_CHARACTERS = 300
_COMMAND = late(r"(?:\$ |kubectl |helm |podmedic )")
_INLINE_COMMAND = late(r"`((?:kubectl|helm|podmedic) [^`]+)`")


def output_limit(results: Iterable[PodResult]) -> int:
    """How many characters of one output a page keeps, so that the page stays within bounds."""
    sizes = [
        len(text)
        for pod in results
        for step in pod.steps
        for attempt in attempts(step)
        for text in (attempt.stdout, attempt.stderr)
    ]
    limit = MAX_OUTPUT_CHARACTERS
    while limit > _SMALLEST_OUTPUT and sum(min(size, limit) for size in sizes) > _BUDGET_CHARACTERS:
        limit //= 2
    return limit


def attempts(step: StepResult) -> tuple[Attempt, ...]:
    """The attempts of a step; what came without any is its own only attempt."""
    if step.attempts or step.outcome is StepOutcome.NOT_EVALUATED:
        return step.attempts
    only = Attempt(
        number=1,
        outcome=step.outcome,
        exit_code=step.exit_code,
        duration_seconds=step.duration_seconds,
        stdout=step.stdout,
        stderr=step.stderr,
    )
    return (only,)


def index_entry(row: Row) -> Json:
    """What the list of workloads needs of one of them, and the words that the search looks at."""
    workload = row.workload
    return {
        "kind": one_line(workload.kind),
        "namespace": one_line(workload.namespace),
        "name": one_line(workload.name),
        "verdict": row.verdict.value,
        "cause": one_line(row.cause),
        "confidence": row.confidence.value if row.confidence else "",
        "pods": row.pods,
        "restarts": row.restarts,
        "evidence": squeezed(one_line(row.decisive), _MAX_LINE_CHARACTERS),
        "source": one_line(row.evidence.source) if row.evidence else "",
        "rules": sorted({one_line(finding.rule) for finding in row.findings}),
        "outcomes": sorted({pod.outcome.value for pod in row.results}),
        "names": [one_line(pod.name) for pod in row.results],
        "more": "\n".join(sorted(_words(row))),
    }


def detail(row: Row, limit: int) -> Json:
    """Everything else about one workload."""
    total = len(row.results)
    return {
        "change": change(row.change),
        "configuration": configuration(row.configuration_changes),
        "findings": [_finding(finding, total) for finding in row.findings],
        "ruledOut": _ruled_out(row),
        "questions": _questions(row.not_evaluated),
        "groups": [_group(group, limit) for group in grouped(row.results)],
    }


def grouped(results: Sequence[PodResult]) -> list[list[PodResult]]:
    """Pods that said the same but for their own names, times and counts; largest group first."""
    groups: dict[Any, list[PodResult]] = {}
    for pod in results:
        groups.setdefault(_said(pod), []).append(pod)
    return sorted(groups.values(), key=lambda group: -len(group))


def fix_parts(remediation: str) -> list[Json]:
    """Remediation text in paragraphs: `{"text": …}`, and commands: `{"command": …}`, which are
    what can be copied. Commands in backquotes inside a sentence are repeated below it."""
    parts: list[Json] = []
    for line in plain(remediation).splitlines():
        stripped = line.strip()
        if _COMMAND.match(stripped) or (line.startswith("    ") and stripped):
            parts.append({"command": stripped.removeprefix("$ ")})
        elif stripped and not stripped.startswith("```"):
            parts.append({"text": stripped})
            parts += [{"command": found} for found in _INLINE_COMMAND.findall(stripped)]
    return parts


def shortened(text: str, limit: int) -> Json:
    """`text` as `{"text"}`, or as `{"text", "hidden", "tail"}` when its middle was left out."""
    if len(text) <= limit:
        return {"text": plain(text)}
    head, tail = text[: limit * 3 // 4], text[len(text) - limit // 4 :]
    return {"text": plain(head), "hidden": len(text) - len(head) - len(tail), "tail": plain(tail)}


def _words(row: Row) -> set[str]:
    """What is worth finding a workload by, beside what its row shows."""
    words = {pod.node for pod in row.results} | {pod.reason for pod in row.results}
    words |= {pod.message for pod in row.results}
    for finding in row.findings:
        words |= {finding.rule, finding.title, finding.message[:500], finding.container}
        words |= {item.excerpt[:500] for item in finding.evidence}
    for pod in row.results:
        words |= {f"{step.name} {step.reason}".strip() for step in pod.steps}
        words |= {container.reason for container in pod.containers}
    return {one_line(word) for word in words if word}


def _finding(finding: Finding, total: int) -> Json:
    return {
        "rule": one_line(finding.rule),
        "version": one_line(finding.rule_version),
        "playbook": one_line(finding.playbook),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "title": one_line(finding.title),
        "message": plain(finding.message),
        "container": one_line(finding.container),
        "pods": f"{len(finding.pods)} of {plural(max(total, len(finding.pods)), 'pod')}",
        "names": [one_line(pod.name) for pod in finding.pods],
        "evidence": [_evidence(item) for item in _folded(finding.evidence)],
        "fix": fix_parts(finding.remediation),
        "fingerprint": one_line(finding.fingerprint),
    }


def _folded(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Evidence that says the same of the same pod is told once, with all its sources."""
    sources: dict[tuple[str, str], list[str]] = {}
    for item in evidence:
        sources.setdefault((item.pod, item.excerpt), []).append(item.source)
    return [
        Evidence(source=", ".join(dict.fromkeys(names)), excerpt=excerpt, pod=pod)
        for (pod, excerpt), names in sources.items()
    ]


def _evidence(item: Evidence) -> Json:
    found = re.match(r"step ([^,\s]+)", item.source)
    return {
        "source": one_line(item.source),
        "pod": one_line(item.pod),
        "step": one_line(found.group(1)) if found else "",
        **shortened(item.excerpt, 4_000),
    }


def _ruled_out(row: Row) -> Json:
    """`checks` are sentences, `rules` the ids of what was asked and does not hold, by playbook."""
    rules: dict[str, set[str]] = {}
    for one in row.ruled_out:
        rules.setdefault(one.playbook, set()).update(one.rules)
    held = {finding.rule for finding in row.findings}
    return {
        "checks": [one_line(message) for message in refutations(row)],
        "rules": [
            {"playbook": one_line(name), "ids": sorted(map(one_line, ids - held))}
            for name, ids in rules.items()
        ],
    }


def _questions(asked: Sequence[NotEvaluated]) -> list[Json]:
    """Those of one playbook that share the reason are told together."""
    together = defaultdict[tuple[str, str, str, str], dict[str, None]](dict)
    for each in asked:
        kind, _, name = each.subject.partition(" ")
        together[kind, each.playbook, each.reason, each.message][name] = None
    return [
        {
            "subject": one_line(f"{kind}{'' if len(names) == 1 else 's'} {listed([*names])}"),
            "playbook": one_line(playbook),
            "reason": one_line(reason),
            "message": one_line(message),
        }
        for (kind, playbook, reason, message), names in together.items()
    ]


def _said(pod: PodResult) -> Any:
    """What two pods must have in common to be told as one."""

    def own(text: str) -> str:
        return text.replace(pod.name, "\0") if pod.name else text

    return (
        pod.outcome,
        pod.reason,
        own(pod.message),
        pod.strategy,
        pod.control,
        tuple((item.name, item.state, item.reason, item.exit_code) for item in pod.containers),
        tuple(
            (
                step.playbook,
                step.name,
                step.outcome,
                step.reason,
                own(step.message),
                tuple(
                    (item.outcome, item.exit_code, own(item.stdout), own(item.stderr))
                    for item in attempts(step)
                ),
            )
            for step in pod.steps
        ),
        tuple((item.image, item.profile, item.warnings) for item in pod.injections),
        # Replicas of a crash loop restart when they restart.
        pod.harm.verdict if pod.harm is not None else None,
    )


def _group(group: Sequence[PodResult], limit: int) -> Json:
    first = group[0]
    return {
        "outcome": first.outcome.value,
        "reason": one_line(first.reason),
        "message": plain(first.message),
        "pods": [_pod(pod) for pod in group],
        "steps": [_step(step, limit) for step in first.steps],
        "injections": [_injection(item, first) for item in first.injections],
        "strategy": one_line(first.strategy),
        "timeline": timeline(first.timeline),
    }


def _pod(pod: PodResult) -> Json:
    return {
        "name": one_line(pod.name),
        "namespace": one_line(pod.namespace),
        "node": one_line(pod.node),
        "uid": one_line(pod.uid),
        "phase": one_line(pod.phase),
        "containers": [_container(item) for item in pod.containers],
        "added": _added(pod),
        "control": pod.control,
    }


def _added(pod: PodResult) -> str:
    """What the run put into the pod, how many first where there are several."""
    names = added(pod)
    if names:
        return one_line(f"{len(names)}: {', '.join(names)}" if len(names) > 1 else names[0])
    if not pod.injections:
        return "none"
    last = pod.injections[-1]
    there = "in a copy of the pod" if last.strategy == "copy" else f"{last.container} was there"
    return one_line(f"none: {there}")


def _container(item: ContainerSummary) -> Json:
    state = item.reason or item.state
    if item.exit_code is not None:
        state += f", exit code {item.exit_code}"
    ready = "" if item.ready or item.init else ", not ready"
    word, time = ("ended", item.finished_at) if item.finished_at else ("since", item.started_at)
    return {
        "name": one_line(item.name) + (" (init)" if item.init else ""),
        "state": one_line(state) + ready,
        "restarts": item.restart_count,
        "word": word,
        "time": time.isoformat() if time else "",
    }


def _step(step: StepResult, limit: int) -> Json:
    return {
        "playbook": one_line(step.playbook),
        "name": one_line(step.name),
        "outcome": step.outcome.value,
        "reason": one_line(step.reason),
        "message": "; ".join(filter(None, (plain(step.message), artifact_words(step)))),
        "attempts": [
            {
                "number": item.number,
                "outcome": item.outcome.value,
                "exitCode": item.exit_code,
                "seconds": round(item.duration_seconds, 3),
                "stdout": _output(item.stdout, item.stdout_info, limit),
                "stderr": _output(item.stderr, item.stderr_info, limit),
            }
            for item in attempts(step)
        ],
    }


def artifact_words(step: StepResult) -> str:
    """What became of the files it collects, or the empty string."""
    artifact = step.artifact
    if artifact is None:
        return ""
    why = one_line(": ".join(filter(None, (artifact.reason, artifact.message))))
    if not artifact.path:
        return f"nothing was collected: {why}"
    kept = one_line(
        f"collected {artifact.path} ({artifact.bytes} bytes, sha256 {artifact.sha256}), as it came "
        "and not redacted"
    )
    return f"{kept}; {why}" if why else kept


def _output(text: str, info: OutputInfo, limit: int) -> Json:
    shown = shortened(text, limit)
    if info.truncated or info.bytes > info.kept_bytes:
        shown["lost"] = max(info.bytes - info.kept_bytes, 0)
    if info.redactions:
        shown["redactions"] = info.redactions
    if info.blob:
        shown["blob"] = one_line(info.blob)
    return shown


def proof(harm: Harm | None) -> str:
    """Is the pod what it was before, in a sentence."""
    if harm is None or harm.verdict is HarmVerdict.UNKNOWN:
        return "unknown: the pod went away before it could be compared"
    told = [
        one_line(f"{change.what}: {change.before}, then {change.after}")
        + (" (expected)" if change.expected else "")
        for change in harm.changes
    ]
    same = "the same containers, restart counts, readiness and QoS class as before"
    ours = "".join(
        one_line(f"; event by us: {event.reason} x{event.count}: {event.message}")
        for event in harm.events
    )
    return f"{harm.verdict.value}: {'; '.join(told) or same}{ours}"


def _before(item: Injection, pod: PodResult) -> str:
    """The ways of reaching the pod that were considered before this one."""
    told = []
    for attempt in pod.strategies:
        if attempt.container == item.container:
            break
        told.append(one_line(f"{attempt.strategy} {attempt.outcome.value}: {attempt.message}"))
    return "; ".join(told)


def _injection(item: Injection, pod: PodResult) -> Json:
    return {
        "container": one_line(item.container),
        "image": one_line(item.image),
        "imageID": one_line(item.image_id),
        "profile": one_line(
            f"{item.profile}: {item.profile_reason}" if item.profile_reason else item.profile
        ),
        "strategy": one_line(item.strategy),
        "target": one_line(item.target_container_name),
        "reused": item.reused,
        "proof": proof(pod.harm),
        "before": _before(item, pod),
        "times": [
            [word, time.isoformat()]
            for word, time in (
                ("injected", item.injected_at),
                ("started", item.started_at),
                ("finished", item.finished_at),
            )
            if time
        ],
        "warnings": [one_line(warning) for warning in item.warnings],
    }
