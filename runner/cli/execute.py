"""One run from its request to its exit code: connect, prepare, journal, sweep, deliver."""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner import __version__, journal
from runner.cli import options
from runner.cli.deliver import deliver
from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.meant import connected
from runner.cli.request import Request
from runner.model.objects import Objects
from runner.progress import Progress, progress
from runner.report.files import OutputError, write_atomically
from runner.sweep import Outside, judged, list_objects, prepare, sweep
from runner.sweep.run import with_debt, with_policy

if TYPE_CHECKING:
    from runner.redact import Redactor


def _now() -> datetime:
    return datetime.now(UTC)


def _identity(request: Request, cluster: str) -> str:
    """What makes two runs the same work."""
    parts = [__version__, cluster, request.selection]
    parts += [(p.sha256, p.spec.debugger.image) for p in request.playbooks]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class LazyRedactor:
    """Its rules are compiled while the first containers start, not before; what replicas have in
    common is looked at once."""

    def __init__(self) -> None:
        self.redact_text = lru_cache(maxsize=4096)(self._redact_text)
        self._redact_argv = lru_cache(maxsize=1024)(self._redact_words)

    @cached_property
    def _redactor(self) -> "Redactor":
        from runner.redact import Redactor  # noqa: PLC0415

        return Redactor(secrets.token_bytes(32))

    def redact_bytes(self, data: bytes) -> tuple[bytes, Sequence[object]]:
        return self._redactor.redact_bytes(data)

    def redact_argv(self, words: Sequence[str]) -> tuple[tuple[str, ...], Sequence[object]]:
        return self._redact_argv(tuple(words)) if words else ((), ())

    def _redact_text(self, text: str) -> tuple[str, Sequence[object]]:
        return self._redactor.redact_text(text)

    def _redact_words(self, words: tuple[str, ...]) -> tuple[tuple[str, ...], Sequence[object]]:
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


async def execute(request: Request) -> ExitCode:
    # Imported here: `run --help` and a misspelt playbook need neither.
    from runner.cli.plan import print_plans, server_dry_run  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, _on_signal, stop, number)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(connected(request.connection))
        selection = options.with_default_namespace(request.selection, cluster.default_namespace)
        watcher = _progress(request)
        stack.callback(watcher.close)
        blobs = _Blobs(request.directory)
        outside = Outside(
            cluster=cluster,
            redact=LazyRedactor(),
            record=_no_journal,
            store=blobs.store,
            now=_now,
            watcher=watcher,
            stop=stop,
        )
        started_at = _now()
        gathered, plans = await prepare(outside, request.playbooks, selection)
        # What a workload says that has no pod yet; plans are about pods alone.
        objects = Objects()
        if request.dry_run is None:
            objects = await list_objects(cluster, request.playbooks, selection)
        said = plans or judged(request.playbooks, objects, plans, (), selection, outside)[0]
        if not said and not request.allow_empty:
            raise options.NothingSelectedError(
                options.nothing_selected(request.playbooks, selection, gathered.looked_at)
            )
        if request.dry_run is not None:
            budget = request.budget
            plans = with_debt(with_policy(plans, budget.policy), budget.debt, started_at)
            if request.dry_run == "server":
                return await server_dry_run(cluster, plans, request.output)
            print_plans(plans, request.output)
            return ExitCode.OK
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
            objects,
            run_id=run_id,
            selection=selection,
            budget=request.budget,
            started_at=started_at,
            resumed=resumed,
        )
        watcher.close()
        code = deliver(request, report, dict(cluster.requests_sent))
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
    return replace(outside, record=book.record)


def _progress(request: Request) -> Progress:
    return progress(
        sys.stderr,
        clock=time.monotonic,
        environ=os.environ,
        quiet=request.quiet or request.dry_run is not None,
    )
