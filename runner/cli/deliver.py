"""What leaves a run: the report first, then what may fail alone."""

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from runner.cli import logs
from runner.cli.baseline import Compared, compared
from runner.cli.exit_codes import ExitCode, all_skipped, of_report
from runner.cli.main import complain, nobody_reads
from runner.cli.notify import notified
from runner.cli.request import Request
from runner.cli.streamed import Streamed
from runner.cluster import Objects
from runner.model.report import Report
from runner.model.seen import Seen
from runner.progress import NO_TERMINAL
from runner.report.files import OutputError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_PUSHGATEWAY = "pushgateway"
_TEXTFILE = "textfile"
# Of the summary, besides those of the workloads.
_OTHER_LINES = 10


class Delivered(msgspec.Struct, frozen=True):
    """`failed_sinks` are those that did not take the result. Without `page` it is not stored."""

    code: ExitCode
    failed_sinks: tuple[str, ...]
    page: Path | None


async def deliver(
    request: Request,
    seen: Seen,
    report: Report,
    requests: Mapping[tuple[str, str], int],
    redactions: Mapping[str, int],
    objects: Objects,
    stream: Streamed | None = None,
) -> Delivered:
    """Report first, then what may fail alone; what failed is said and never hides the result."""
    from runner.report import HTML_NAME, JSON_NAME, render, write  # noqa: PLC0415
    from runner.report.evidence import write_evidence  # noqa: PLC0415
    from runner.report.output import FILES, write_formats  # noqa: PLC0415

    code = of_report(report, allow_empty=request.allow_empty)
    comparison = compared(request, report)
    if comparison is not None:
        code = comparison.code(code)
    try:
        write_evidence(request.directory, seen)
        write(request.directory, report)
        stored = True
        also = [name for name in request.formats if FILES[name] not in (JSON_NAME, HTML_NAME)]
        for written in write_formats(request.directory, report, also):
            if isinstance(written, OutputError):
                raise written
        if comparison is not None:
            comparison.write(request.directory)
    except OutputError as error:
        complain(str(error))
        stored, code = False, ExitCode.NOT_STORED
    if all_skipped(report) and not report.run.aborted:
        reasons = Counter(pod.reason or "skipped" for pod in report.pods)
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(5))
        complain(f"no pod was examined, every selected one was skipped: {told}")
    if report.run.aborted and request.quiet:
        complain(f"the sweep was aborted: {report.run.aborted}")
    # People do not wait for a service that hangs, nor do services for a program that reads slowly.
    with _reader_may_leave():
        if request.output is None and logs.current() is None and (not request.quiet or not stored):
            click.echo(summary(report), nl=False)
        if comparison is not None and not request.quiet:
            comparison.say(stored=stored)
        if stored and not request.quiet and logs.current() is None:
            click.echo(f"Report: {request.directory / HTML_NAME}", err=request.output is not None)
    failed = await _tell(request, report, comparison, objects)
    failed += await asyncio.to_thread(export_metrics, request, report, requests, redactions, failed)
    if stream is not None:
        stream.finish(report)
    elif request.output is not None:
        with _reader_may_leave():
            click.echo(render(report, request.output), nl=False)
    return Delivered(code, tuple(failed), request.directory / HTML_NAME if stored else None)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """`podmedic run | head` ends no run before everybody is told."""
    try:
        yield
    except BrokenPipeError:
        nobody_reads()


async def _tell(
    request: Request, report: Report, comparison: Compared | None, objects: Objects
) -> list[str]:
    """Everybody who is to be told, at the same time; the sinks that did not take it. In threads: a
    service that hangs must not keep the Lease from being renewed."""
    asked: dict[str, Awaitable[bool]] = {}
    if request.events:
        asked["events"] = _owners_told(request, report, comparison, objects)
    if request.otel:
        asked["traces"] = asyncio.to_thread(_traced, report)
    asked["notify"] = asyncio.to_thread(notified, request.notify, report, comparison)
    told = await asyncio.gather(*asked.values())
    return [sink for sink, arrived in zip(asked, told, strict=True) if not arrived]


async def _owners_told(
    request: Request, report: Report, comparison: Compared | None, objects: Objects
) -> bool:
    from runner.sweep.owner_events import tell_owners  # noqa: PLC0415

    findings = report.findings if comparison is None else comparison.news
    link = request.notify.link if request.notify else ""
    said = await tell_owners(objects, report, findings, link, datetime.now(UTC))
    for line in said:
        complain(line)
    return not said


def _traced(report: Report) -> bool:
    from runner import traces  # noqa: PLC0415

    try:
        traces.send(report)
    except traces.TracesError as error:
        complain(str(error))
        return False
    return True


def summary(report: Report) -> str:
    """One screen for a person; in a log there is room for all."""
    from runner.report.terminal import MAX_LINES, summary_text  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size((100, 24))
    return summary_text(
        report,
        width=size.columns,
        color=on_terminal
        and "NO_COLOR" not in os.environ
        and os.environ.get("TERM", "dumb") not in NO_TERMINAL,
        max_lines=max(MAX_LINES, size.lines - _OTHER_LINES) if on_terminal else 1000,
    )


def export_metrics(
    request: Request,
    report: Report,
    requests: Mapping[tuple[str, str], int],
    redactions: Mapping[str, int],
    failed_sinks: Sequence[str],
) -> list[str]:
    """After the others, so that they say what else failed; what fails here is said, and what is
    among `failed_sinks` already is not tried again. It blocks: for a thread."""
    if request.metrics_textfile is None and request.pushgateway is None:
        return []
    from runner import metrics  # noqa: PLC0415

    def registry() -> "CollectorRegistry":
        return metrics.build_registry(
            report, api_requests=requests, redactions=redactions, failed_sinks=all_failed
        )

    failed: list[str] = []
    all_failed = list(failed_sinks)
    # The Pushgateway first: the file takes over an old success that nobody else must hear of.
    if request.pushgateway is not None and _PUSHGATEWAY not in failed_sinks:
        try:
            metrics.push(request.pushgateway, registry(), job="podmedic", timeout_seconds=10.0)
        except metrics.MetricsError as error:
            complain(str(error))
            failed.append(_PUSHGATEWAY)
            all_failed.append(_PUSHGATEWAY)
    if request.metrics_textfile is not None and _TEXTFILE not in failed_sinks:
        try:
            metrics.write_textfile(request.metrics_textfile, registry())
        except OutputError as error:
            complain(str(error))
            failed.append(_TEXTFILE)
    return failed
