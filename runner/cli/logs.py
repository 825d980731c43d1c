"""`--log-format json`: what podmedic says on stderr as one JSON object a line, with the ids of the
run and of the pod, for whoever collects the logs of a cluster."""

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from runner.cli.exit_codes import ExitCode
from runner.model.report import PodResult, Report
from runner.progress import LINE_INTERVAL_SECONDS
from runner.report.plain import one_line
from runner.report.view import headline, plural

log_format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="PODMEDIC_LOG_FORMAT",
    show_envvar=True,
    # A usage error of what follows is said in the same manner.
    is_eager=True,
    expose_value=False,
    callback=lambda _ctx, _param, value: use(value),
    help="json: one JSON object a line on stderr, no summary on stdout.",
)


class Log:
    """ASCII, whatever is in it."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now
        self._lock = threading.Lock()
        self.run = ""

    def write(self, level: str, message: str, **fields: Any) -> None:
        line = {
            "time": f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": level,
            "message": one_line(message),
            **({"run": self.run} if self.run else {}),
            **fields,
        }
        with self._lock:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()

    def pod(self, result: PodResult) -> None:
        """As it finishes, before the rules are asked."""
        self.write(
            "info",
            "pod examined",
            namespace=result.namespace,
            pod=result.name,
            podUid=result.uid,
            node=result.node,
            workload=f"{result.workload.kind}/{result.workload.name}",
            outcome=result.outcome.value,
            reason=result.reason,
            container=result.container,
        )

    def report(self, report: Report, code: ExitCode, page: Path | None) -> None:
        for finding in report.findings:
            workload = finding.workload
            self.write(
                "warning",
                finding.message or finding.title,
                finding=finding.fingerprint,
                rule=f"{finding.playbook}/{finding.rule}",
                severity=finding.severity.value,
                namespace=workload.namespace,
                workload=f"{workload.kind}/{workload.name}",
                pods=[pod.name for pod in finding.pods[:20]],
                podCount=len(finding.pods),
            )
        self.write(
            "info",
            headline(report.summary),
            exitCode=int(code),
            outcomes=report.summary.outcomes,
            aborted=report.run.aborted,
            interrupted=report.run.interrupted,
            redacted=report.run.redacted,
            # What was sent to an object store and lay in a temporary directory is gone.
            report=str(page) if page is not None and page.exists() else "",
        )


class _State:
    log: Log | None = None


def use(kind: str) -> None:
    if kind == "json":
        _State.log = Log(sys.stderr, lambda: datetime.now(UTC))


def current() -> Log | None:
    """None where people read."""
    return _State.log


class JsonProgress:
    """A line at the start, and now and then how many are done."""

    def __init__(self, log: Log, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._said_at = clock()

    def start(self, total: int) -> None:
        self._log.write("info", f"{plural(total, 'pod')} selected", selected=total)

    def update(self, *, selected: int, injected: int, running: int, done: int, failed: int) -> None:
        if self._clock() - self._said_at >= LINE_INTERVAL_SECONDS:
            self._said_at = self._clock()
            self._log.write(
                "info", f"{done} of {plural(selected, 'pod')} done", selected=selected,
                injected=injected, running=running, done=done, failed=failed,
            )  # fmt: skip

    def note(self, line: str) -> None:
        self._log.write("info", line)

    def close(self) -> None:
        pass
