"""`podmedic run`: the whole way from playbooks to a report."""

import asyncio
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import __version__, journal
from runner.cli import options
from runner.cli.exit_codes import ExitCode, of_report
from runner.cli.main import complain
from runner.examine import Limits
from runner.model.report import Report
from runner.playbook import Playbook
from runner.progress import Progress, progress
from runner.report.files import OutputError, write_atomically
from runner.sweep import Budget, Outside, Selection, prepare, sweep

if TYPE_CHECKING:
    from runner.redact import Redactor

DEFAULT_DIRECTORY = Path("podmedic-report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    playbooks: tuple[Playbook, ...]
    selection: Selection
    connection: options.Connection
    budget: Budget
    directory: Path
    output: str | None
    dry_run: str | None
    metrics_textfile: Path | None
    pushgateway: str | None
    allow_empty: bool
    quiet: bool


@click.command(short_help="Examine pods and write a report.")
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@options.selection_options
@options.connection_options
@options.debugger_options
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DIR|json|yaml|name|wide",
    help=f"Directory for report.json and report.html [default: {DEFAULT_DIRECTORY}]; "
    "json, yaml, name or wide also print the result.",
)
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="client: show what would be done. server: also ask the API server whether it "
    "would accept it. Nothing is changed.",
)
@click.option(
    "--timeout",
    "timeout_seconds",
    default=900.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds for the whole sweep; 0: none.",
)
@click.option(
    "--start-timeout",
    "start_seconds",
    default=60.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds for an ephemeral container to start.",
)
@click.option(
    "--max-in-flight",
    default=32,
    type=click.IntRange(min=0),
    show_default=True,
    help="Pods examined at a time; 0 lifts the limit.",
)
@click.option(
    "--max-per-node",
    default=10,
    type=click.IntRange(min=0),
    show_default=True,
    help="Pods examined at a time on one node; 0 lifts the limit.",
)
@click.option(
    "--metrics-textfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write metrics for the node exporter's textfile collector.",
)
@click.option("--pushgateway", metavar="URL", help="Push metrics to a Pushgateway.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 even if something was found.")
@click.option("--allow-empty", is_flag=True, help="No error when nothing is selected.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def run(  # one argument per option
    playbooks: tuple[str, ...], namespaces: tuple[str, ...], all_namespaces: bool, selector: str,
    field_selector: str, context: str | None, kubeconfig: str | None, impersonate: str | None,
    qps: float, burst: int, debugger_image: str | None, outputs: tuple[str, ...],
    dry_run: str | None, timeout_seconds: float, start_seconds: float, max_in_flight: int,
    max_per_node: int, metrics_textfile: Path | None, pushgateway: str | None, exit_zero: bool,
    allow_empty: bool, quiet: bool,
) -> int:  # fmt: skip
    """Examine pods with PLAYBOOKs: built-in names or files. Without one: crashloop and triage.

    Each pod gets one ephemeral container, which stays in its spec for ever. The report is
    written to a directory; run the same command again after a kill and it finishes the work.
    """
    directory, output = options.split_outputs(outputs)
    if metrics_textfile is not None:
        options.check_textfile(metrics_textfile)
    request = Request(
        playbooks=options.load_playbooks(playbooks, debugger_image),
        selection=options.make_selection(
            namespaces, selector, field_selector, all_namespaces=all_namespaces
        ),
        connection=options.Connection(
            kubeconfig=kubeconfig, context=context, impersonate=impersonate, qps=qps, burst=burst
        ),
        budget=Budget(
            max_in_flight=max_in_flight,
            max_per_node=max_per_node,
            timeout_seconds=timeout_seconds,
            limits=Limits(start_seconds=start_seconds),
        ),
        directory=directory or DEFAULT_DIRECTORY,
        output=output,
        dry_run=dry_run,
        metrics_textfile=metrics_textfile,
        pushgateway=pushgateway,
        allow_empty=allow_empty,
        quiet=quiet,
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    code = asyncio.run(_run(request))
    return ExitCode.OK if exit_zero and code is ExitCode.FINDINGS else code


def _now() -> datetime:
    return datetime.now(UTC)


def _identity(request: Request, cluster: str) -> str:
    """What makes two runs the same work."""
    parts = [__version__, cluster, request.selection]
    parts += [(p.sha256, p.spec.debugger.image) for p in request.playbooks]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _LazyRedactor:
    """Its rules are compiled while the first containers start, not before."""

    @cached_property
    def _redactor(self) -> "Redactor":
        from runner.redact import Redactor  # noqa: PLC0415

        return Redactor(secrets.token_bytes(32))

    def redact_bytes(self, data: bytes) -> tuple[bytes, Sequence[object]]:
        return self._redactor.redact_bytes(data)

    def redact_text(self, text: str) -> tuple[str, Sequence[object]]:
        return self._redactor.redact_text(text)

    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], Sequence[object]]:
        return self._redactor.redact_argv(words)


class _Blobs:
    """Outputs too long or too odd for report.json, kept under the name of their hash, so that
    equal ones are kept once. A full disk costs the blob, never the examination."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.failure: OutputError | None = None

    def store(self, data: bytes) -> str | None:
        name = f"blobs/{hashlib.sha256(data).hexdigest()}"
        path = self._directory / name
        try:
            if not path.exists():
                write_atomically(path, data)
        except OutputError as error:
            self.failure = error
            return None
        return name


def _open_journal(request: Request, cluster: str) -> tuple[journal.Journal, str, bool]:
    """The journal, the run's id, and whether an unfinished run of the same work goes on."""
    try:
        request.directory.mkdir(parents=True, exist_ok=True)
        path = request.directory / journal.FILE_NAME
        unfinished = journal.unfinished_run(journal.read(path), _identity(request, cluster), _now())
        run_id = unfinished or f"{_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        return journal.Journal(path, run_id, _now), run_id, unfinished is not None
    except journal.JournalInUseError as error:
        raise OutputError(f"{error}; give this one another directory with -o") from error
    except OSError as error:
        raise OutputError(f"cannot write to {request.directory}: {error.strerror}") from error


async def _run(request: Request) -> ExitCode:
    # Imported here: `run --help` and a misspelt playbook need neither.
    from runner.cli.plan import print_plans, server_dry_run  # noqa: PLC0415
    from runner.kube import connect  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, _on_signal, stop, number)
    async with AsyncExitStack() as stack:
        cluster = await connect(
            kubeconfig=request.connection.kubeconfig,
            context=request.connection.context,
            qps=request.connection.qps,
            burst=request.connection.burst,
            impersonate=request.connection.impersonate,
        )
        stack.push_async_callback(cluster.close)
        selection = options.with_default_namespace(request.selection, cluster.default_namespace)
        watcher = _progress(request)
        stack.callback(watcher.close)
        blobs = _Blobs(request.directory)
        outside = Outside(
            cluster=cluster,
            redact=_LazyRedactor(),
            record=_no_journal,
            store=blobs.store,
            now=_now,
            watcher=watcher,
            stop=stop,
        )
        started_at = _now()
        gathered, plans = await prepare(outside, request.playbooks, selection)
        if not plans and not request.allow_empty:
            raise options.NothingSelectedError(
                options.nothing_selected(request.playbooks, selection, gathered.looked_at)
            )
        if request.dry_run == "client":
            print_plans(plans, request.output)
            return ExitCode.OK
        if request.dry_run == "server":
            return await server_dry_run(cluster, plans, request.output)
        book, run_id, resumed = _open_journal(request, cluster.description)
        stack.callback(book.close)
        try:
            await book.record("run", identity=_identity(request, cluster.description))
        except OSError as error:
            raise OutputError(f"cannot write to {request.directory}: {error.strerror}") from error
        # What the report needs is loaded while the containers run.
        loop.call_later(1.0, loop.run_in_executor, None, _warm_up)
        report = await sweep(
            _with_record(outside, book),
            request.playbooks,
            gathered,
            plans,
            run_id=run_id,
            selection=selection,
            budget=request.budget,
            started_at=started_at,
            resumed=resumed,
        )
        watcher.close()
        code = _deliver(request, report, dict(cluster.requests_sent))
        if blobs.failure is not None:
            complain(f"{blobs.failure}; outputs are missing beside the report")
            code = ExitCode.NOT_STORED
        await _finish(book, code)
        return code


def _warm_up() -> None:
    from runner.report import html  # noqa: PLC0415

    html.load_templates()


async def _finish(book: journal.Journal, code: ExitCode) -> None:
    """The run has its report, interrupted or not: the same command again is new work."""
    try:
        await book.record("finished", exit_code=int(code))
    except OSError as error:
        complain(f"the journal could not be finished: {error.strerror}")


def _on_signal(stop: asyncio.Event, number: int) -> None:
    """The first signal ends the sweep in good order, the second one at once."""
    if stop.is_set():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    stop.set()


async def _no_journal(event: str, **fields: object) -> None:
    raise AssertionError(f"{event} before the journal was opened: {json.dumps(fields)}")


def _with_record(outside: Outside, book: journal.Journal) -> Outside:
    from dataclasses import replace  # noqa: PLC0415

    return replace(outside, record=book.record)


def _progress(request: Request) -> Progress:
    return progress(
        sys.stderr,
        clock=time.monotonic,
        environ=os.environ,
        quiet=request.quiet or request.dry_run is not None,
    )


def _deliver(request: Request, report: Report, requests: dict[tuple[str, str], int]) -> ExitCode:
    """Report first, then what may fail alone; what failed is said and never hides the result."""
    from runner.report import render, write  # noqa: PLC0415

    code = of_report(report)
    try:
        write(request.directory, report)
        stored = True
    except OutputError as error:
        complain(str(error))
        stored, code = False, ExitCode.NOT_STORED
    for failure in _export_metrics(request, report, requests):
        complain(failure)
    if request.output is not None:
        click.echo(render(report, request.output), nl=False)
    elif not request.quiet or not stored:
        click.echo(_summary(report), nl=False)
    if stored and not request.quiet:
        click.echo(f"Report: {request.directory / 'report.html'}", err=request.output is not None)
    return code


def _summary(report: Report) -> str:
    """One screen for a person; in a log there is room for all."""
    from runner.report.terminal import MAX_LINES, summary_text  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    return summary_text(
        report,
        width=shutil.get_terminal_size((100, 24)).columns,
        color=on_terminal and "NO_COLOR" not in os.environ,
        max_lines=MAX_LINES if on_terminal else 1000,
    )


def _export_metrics(
    request: Request, report: Report, requests: dict[tuple[str, str], int]
) -> list[str]:
    if request.metrics_textfile is None and request.pushgateway is None:
        return []
    from runner import metrics  # noqa: PLC0415

    failures = []
    registry = metrics.build_registry(report, api_requests=requests)
    # The Pushgateway first: the file takes over an old success that nobody else must hear of.
    if request.pushgateway is not None:
        try:
            metrics.push(request.pushgateway, registry, job="podmedic", timeout_seconds=10.0)
        except metrics.MetricsError as error:
            failures.append(str(error))
    if request.metrics_textfile is not None:
        try:
            metrics.write_textfile(request.metrics_textfile, registry)
        except OutputError as error:
            failures.append(str(error))
    return failures
