"""What the exit code of `podmedic` says: docs/exit-codes.md."""

from enum import IntEnum

from runner.model.report import PodOutcome, Report, Severity


class ExitCode(IntEnum):
    OK = 0  # everything examined, nothing found
    FINDINGS = 1  # something found, or something could not be examined
    INTERRUPTED = 2  # SIGTERM or Ctrl-C; what was seen by then is in the report
    ABORTED = 3  # cluster unreachable or forbidden, deadline passed, bug
    USAGE = 4  # arguments, playbook, kubeconfig
    NOTHING_SELECTED = 5
    NOT_STORED = 6  # the report could not be written


_EXAMINED = frozenset({PodOutcome.PASSED, PodOutcome.SKIPPED})


def of_report(report: Report) -> ExitCode:
    if report.run.interrupted:
        return ExitCode.INTERRUPTED
    if report.run.aborted:
        return ExitCode.ABORTED
    found = any(f.severity is not Severity.INFO for f in report.findings)
    if found or any(pod.outcome not in _EXAMINED for pod in report.pods):
        return ExitCode.FINDINGS
    return ExitCode.OK
