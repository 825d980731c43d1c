"""What the exit code of `podmedic` says: docs/exit-codes.md."""

from enum import IntEnum

from runner.model.report import NAMESPACE_NOT_FOUND, PodOutcome, PodResult, Report, Severity


class ExitCode(IntEnum):
    OK = 0  # everything examined, nothing found
    FINDINGS = 1  # something found, or something could not be examined
    INTERRUPTED = 2  # SIGTERM or Ctrl-C; what was seen by then is in the report
    ABORTED = 3  # cluster unreachable or forbidden, deadline passed, bug
    USAGE = 4  # arguments, playbook, kubeconfig
    NOTHING_SELECTED = 5  # or every selected pod was skipped
    NOT_STORED = 6  # the report could not be written
    NOT_SEALED = 7  # what was to leave in a bundle holds what looks like secrets


def of_report(report: Report, *, allow_empty: bool = False) -> ExitCode:
    if report.run.interrupted:
        return ExitCode.INTERRUPTED
    if report.run.aborted:
        return ExitCode.ABORTED
    found = any(f.severity is not Severity.INFO for f in report.findings)
    if found or any(not _is_well(pod) for pod in report.pods):
        return ExitCode.FINDINGS
    if all_skipped(report) and not allow_empty:
        return ExitCode.NOTHING_SELECTED
    absent = any(q.reason == NAMESPACE_NOT_FOUND for q in report.not_evaluated)
    if absent and not allow_empty:
        return ExitCode.FINDINGS
    return ExitCode.OK


def all_skipped(report: Report) -> bool:
    """Pods were selected and none of them was looked into: nothing is known to be well."""
    return bool(report.pods) and all(_left_alone(pod) for pod in report.pods)


def _left_alone(pod: PodResult) -> bool:
    """One that was begun with, and then skipped at the cap, could not be examined."""
    return pod.outcome is PodOutcome.SKIPPED and not pod.injections


def _is_well(pod: PodResult) -> bool:
    return pod.outcome is PodOutcome.PASSED or _left_alone(pod)
