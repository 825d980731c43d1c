"""The report as JUnit XML, as CI systems read it: a suite for each workload, with a case for each
finding, each pod and each step.

Failure, error and skipped stay apart: `failure` is an answer that is no good, `error` a question
that should have been answered and was not, `skipped` one that was not asked, with the reason.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

import msgspec

from runner.model.report import (
    Finding,
    PodOutcome,
    PodResult,
    Report,
    Severity,
    StepOutcome,
    StepResult,
)
from runner.model.subject import Workload
from runner.report.plain import one_line, plain
from runner.report.view import NOT_REDACTED, notices, rows

_MAX_TEXT = 4_000
# XML 1.0 has no place for these, however they are written; `plain` has taken care of the others.
_NO_XML = re.compile("[\ufffe\uffff]")
_ERRORS = frozenset({PodOutcome.ERROR, PodOutcome.TIMEOUT, PodOutcome.UNKNOWN})
_NO_ANSWER = frozenset({StepOutcome.ERROR, StepOutcome.TIMEOUT})


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """`how` is `failure`, `error`, `skipped`, or empty for a case that is well."""

    name: str
    how: str = ""
    kind: str = ""
    message: str = ""
    text: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


class _Suite(msgspec.Struct):
    name: str
    cases: list[_Case] = msgspec.field(default_factory=list)


def to_junit(report: Report) -> str:
    """XML that every reader of JUnit's format takes; nothing in it can end an element early."""
    suites = [suite for suite in _suites(report) if suite.cases]
    run = report.run
    seconds = (run.finished_at - run.started_at).total_seconds()
    counts = _counts(case for suite in suites for case in suite.cases)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="podmedic" {counts} time="{seconds:.3f}">',
    ]
    for suite in suites:
        when = run.started_at.strftime("%Y-%m-%dT%H:%M:%S")
        name = _attribute(suite.name)
        spent = sum(case.seconds for case in suite.cases)
        # Jenkins' schema knows it of a suite only.
        skipped = sum(case.how == "skipped" for case in suite.cases)
        counted = f'{_counts(suite.cases)} skipped="{skipped}"'
        lines.append(f'<testsuite name={name} {counted} time="{spent:.3f}" timestamp="{when}">')
        lines += [line for case in suite.cases for line in _case(case, name)]
        lines.append("</testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _suites(report: Report) -> Iterator[_Suite]:
    yield _Suite("podmedic", [_run(report)])
    explained = {
        (pod.namespace, pod.name)
        for finding in report.findings
        if finding.severity is not Severity.INFO
        for pod in finding.pods
    }
    for row in rows(report):
        cases = [_finding(finding) for finding in row.findings]
        for pod in row.results:
            cases.append(_pod(pod, explained))
            cases += [_step(pod, step) for step in pod.steps]
        yield _Suite(_name(row.workload), cases)
    yield _Suite("not evaluated", list(_questions(report)))


def _run(report: Report) -> _Case:
    """So that a run that was cut short is never green, whatever it saw before."""
    run = report.run
    if run.aborted:
        return _Case(name="run", how="error", kind="Aborted", message=run.aborted)
    if run.interrupted:
        return _Case(name="run", how="error", kind="Interrupted", message=notices(report)[0])
    if not run.redacted:
        return _Case(name="run", how="skipped", message=NOT_REDACTED)
    if not report.pods and not report.findings:
        return _Case(name="run", how="skipped", message="no pod was selected")
    return _Case(name="run")


def _finding(finding: Finding) -> _Case:
    where = f", container {finding.container}" if finding.container else ""
    text = [finding.message]
    text += [f"{each.source}:\n{each.excerpt}" for each in finding.evidence]
    if finding.remediation:
        text.append(f"What to do: {finding.remediation}")
    if finding.pods:
        text.append("Pods: " + ", ".join(pod.name for pod in finding.pods[:20]))
    name = f"{finding.playbook}/{finding.rule}{where}"
    if finding.severity is Severity.INFO:
        return _Case(name=name, stdout="\n\n".join(text))
    return _Case(
        name=name,
        how="failure",
        kind=finding.severity.value,
        message=finding.message or finding.title,
        text="\n\n".join(text),
    )


def _pod(pod: PodResult, explained: set[tuple[str, str]]) -> _Case:
    name = f"pod {pod.name}"
    said = f"{pod.reason}: {pod.message}" if pod.reason and pod.message else pod.message
    if pod.outcome in _ERRORS:
        kind = pod.reason or pod.outcome.value
        return _Case(name=name, how="error", kind=kind, message=said or kind)
    if pod.outcome is PodOutcome.SKIPPED:
        return _Case(name=name, how="skipped", message=said or pod.reason or "skipped")
    # A finding that names the pod is a case of its own, and is counted once.
    if pod.outcome is PodOutcome.PASSED or (pod.namespace, pod.name) in explained:
        return _Case(name=name)
    kind = pod.reason or pod.outcome.value
    return _Case(name=name, how="failure", kind=kind, message=said or kind)


def _step(pod: PodResult, step: StepResult) -> _Case:
    name = f"pod {pod.name}, step {step.playbook}/{step.name}"
    said = ": ".join(filter(None, (step.reason, step.message)))
    code = "" if step.exit_code is None else f"exit code {step.exit_code}"
    if step.outcome is StepOutcome.NOT_EVALUATED:
        return _Case(name=name, how="skipped", message=said or "not evaluated")
    if step.outcome is StepOutcome.PASSED:
        return _Case(name=name, seconds=step.duration_seconds)
    how = "error" if step.outcome in _NO_ANSWER else "failure"
    return _Case(
        name=name,
        how=how,
        kind=step.reason or step.outcome.value,
        message=said or code or step.outcome.value,
        stdout=step.stdout,
        stderr=step.stderr,
        seconds=step.duration_seconds,
    )


def _questions(report: Report) -> Iterator[_Case]:
    """What was asked in vain; pods and steps have cases of their own."""
    for item in report.not_evaluated:
        if item.subject == "pod" or item.subject.startswith("step "):
            continue
        where = f" of {item.playbook}" if item.playbook else ""
        pods = ", ".join(f"{pod.namespace}/{pod.name}" for pod in item.pods[:3])
        more = f" and {len(item.pods) - 3} more" if len(item.pods) > 3 else ""
        said = f"{item.reason}: {item.message}" + (f" ({pods}{more})" if pods else "")
        yield _Case(name=f"{item.subject}{where}", how="skipped", message=said)


def _counts(cases: Iterable[_Case]) -> str:
    found = Counter(case.how for case in cases)
    total = sum(found.values())
    return f'tests="{total}" failures="{found["failure"]}" errors="{found["error"]}"'


def _case(case: _Case, suite: str) -> Iterator[str]:
    head = f'<testcase classname={suite} name={_attribute(case.name)} time="{case.seconds:.3f}"'
    inside = list(_inside(case))
    if not inside:
        yield f"{head}/>"
        return
    yield f"{head}>"
    yield from inside
    yield "</testcase>"


def _inside(case: _Case) -> Iterator[str]:
    message = _attribute(case.message[:_MAX_TEXT])
    if case.how == "skipped":
        yield f"<skipped message={message}/>"
    elif case.how:
        kind = _attribute(case.kind)
        yield f"<{case.how} type={kind} message={message}>{_text(case.text)}</{case.how}>"
    for name, text in (("system-out", case.stdout), ("system-err", case.stderr)):
        if text:
            yield f"<{name}>{_text(text)}</{name}>"


def _name(workload: Workload) -> str:
    return f"{workload.namespace}/{workload.kind}/{workload.name}"


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", one_line(text)))


def _text(text: str) -> str:
    """The end of a long one: that is where programs say why they end."""
    clean = _NO_XML.sub("\ufffd", plain(text))
    if len(clean) > _MAX_TEXT:
        left_out = len(clean) - _MAX_TEXT
        clean = f"({left_out} characters are left out; report.json has them)\n{clean[-_MAX_TEXT:]}"
    return escape(clean)
