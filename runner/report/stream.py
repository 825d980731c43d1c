"""NDJSON: one JSON document on each line. While a run is under way a line for each pod as it
finishes; at its end what the rules made of all of them, and the run itself as the last line. A
stream without that line was cut short.

What is said of a pod as it finishes is what was seen in it: rules are asked once all pods are
there, because some compare them. Where that gives a pod another outcome, a `PodVerdict` says so.
"""

from collections.abc import Collection, Iterator, Mapping

from runner.model.base import Record
from runner.model.changes import ConfigurationChange, RevisionChange
from runner.model.report import (
    API_VERSION,
    Finding,
    NotEvaluated,
    PodOutcome,
    PodResult,
    Report,
    RuledOut,
    Run,
    Summary,
)
from runner.report.document import line_of


class _Line(Record, frozen=True, kw_only=True):
    api_version: str = API_VERSION
    kind: str
    run_id: str


class PodLine(_Line, frozen=True, kw_only=True):
    kind: str = "Pod"
    pod: PodResult


class PodVerdictLine(_Line, frozen=True, kw_only=True):
    """What the rules made of a pod whose line stands above."""

    kind: str = "PodVerdict"
    namespace: str
    name: str
    uid: str
    outcome: PodOutcome
    reason: str
    message: str


class FindingLine(_Line, frozen=True, kw_only=True):
    kind: str = "Finding"
    finding: Finding


class NotEvaluatedLine(_Line, frozen=True, kw_only=True):
    kind: str = "NotEvaluated"
    not_evaluated: NotEvaluated


class ChangeLine(_Line, frozen=True, kw_only=True):
    kind: str = "Change"
    change: RevisionChange


class ConfigurationChangeLine(_Line, frozen=True, kw_only=True):
    kind: str = "ConfigurationChange"
    configuration_change: ConfigurationChange


class RuledOutLine(_Line, frozen=True, kw_only=True):
    kind: str = "RuledOut"
    ruled_out: RuledOut


class RunLine(_Line, frozen=True, kw_only=True):
    kind: str = "Run"
    run: Run
    summary: Summary


def pod_line(run_id: str, pod: PodResult) -> bytes:
    return line_of(PodLine(run_id=run_id, pod=pod))


def to_ndjson(report: Report) -> str:
    return b"".join(rest_of_stream(report, {})).decode()


def rest_of_stream(report: Report, said: Mapping[str, PodOutcome]) -> Iterator[bytes]:
    """The lines after those of the pods that were `said` with these outcomes, by uid."""
    run = report.run.id
    yield from _pods(report.pods, said, run)
    for finding in report.findings:
        yield line_of(FindingLine(run_id=run, finding=finding))
    for question in report.not_evaluated:
        yield line_of(NotEvaluatedLine(run_id=run, not_evaluated=question))
    for change in report.changes:
        yield line_of(ChangeLine(run_id=run, change=change))
    for changed in report.configuration_changes:
        yield line_of(ConfigurationChangeLine(run_id=run, configuration_change=changed))
    for item in report.ruled_out:
        yield line_of(RuledOutLine(run_id=run, ruled_out=item))
    yield line_of(RunLine(run_id=run, run=report.run, summary=report.summary))


def _pods(pods: Collection[PodResult], said: Mapping[str, PodOutcome], run: str) -> Iterator[bytes]:
    for pod in pods:
        if pod.uid not in said:
            yield pod_line(run, pod)
    for pod in pods:
        if said.get(pod.uid, pod.outcome) is not pod.outcome:
            yield line_of(
                PodVerdictLine(
                    run_id=run, namespace=pod.namespace, name=pod.name, uid=pod.uid,
                    outcome=pod.outcome, reason=pod.reason, message=pod.message,
                )
            )  # fmt: skip
