"""One run from its request to its exit code: connect, prepare, journal, sweep, deliver."""

import asyncio
import hashlib
import json
import os
import secrets
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from runner import journal
from runner.cli import logs, options
from runner.cli.connection import actor_of, cluster_ref, connected
from runner.cli.deliver import deliver, export_metrics
from runner.cli.exit_codes import ExitCode
from runner.cli.interruption import Signals, end
from runner.cli.key import SecretKey, signer_from_secret
from runner.cli.lease import held
from runner.cli.main import complain
from runner.cli.planning import code_of, nothing_selected
from runner.cli.redaction import FILE_NAME as REDACTIONS_NAME
from runner.cli.redaction import LazyRedactor, NoRedactor, unredacted
from runner.cli.request import Request
from runner.cli.rundir import (
    RunDirectory,
    end_of,
    identity_of,
    left_undone,
    new_record,
    placed,
)
from runner.cli.sealing import sealed
from runner.cli.streamed import Streamed
from runner.cluster import Cluster
from runner.examine import Examined
from runner.examine.kept import FILE_NAME as KEPT_NAME
from runner.examine.kept import read_kept
from runner.killpoints import reach
from runner.model.objects import Objects
from runner.model.seen import Seen
from runner.plan import PodPlan
from runner.progress import Progress, progress
from runner.record import Actor, RecordError, RunRecord, difference
from runner.report.files import Growing, OutputError, growing_file, write_atomically
from runner.report.view import plural
from runner.sweep import (
    Asked,
    Earlier,
    EventLists,
    Listed,
    Outside,
    Stop,
    claim_of,
    clean_trigger,
    judged,
    list_objects,
    pod_records,
    prepare,
    report_of,
    sweep,
    with_ends,
)
from runner.sweep.gather import Gathered
from runner.sweep.plans import with_debt, with_policy

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


def _now() -> datetime:
    return datetime.now(UTC)


class _Outputs:
    """What is kept beside report.json: files that playbooks collect, and outputs too long or too
    odd for it, under the name of their hash, so that equal ones are kept once. A full disk costs
    the output, never the examination."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.failure: OutputError | None = None

    @contextmanager
    def artifact(self, name: str) -> Iterator[Growing]:
        """Raises OSError."""
        try:
            with growing_file(self._directory / name) as file:
                yield file
        except OSError as error:
            path = self._directory / name
            self.failure = OutputError(f"cannot write {path}: {error.strerror or error}")
            raise

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


async def execute(request: Request, going_on: RunRecord | None = None) -> ExitCode:
    """`going_on` is the run that is to be finished; without one it is the killed run in the same
    directory, if that was the same work, else a new one."""
    stop = Stop()
    loop = asyncio.get_running_loop()
    signals = Signals(stop, time.monotonic, end)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.came, number)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(connected(request.connection))
        if going_on is not None and (
            other := difference(going_on.cluster, await cluster_ref(cluster))
        ):
            raise RecordError(other)
        identity = identity_of(request, cluster.description)
        run = going_on
        if run is None:
            request, run = placed(request, identity, _now())
        default_namespace = cluster.default_namespace if run is None else run.default_namespace
        selection = options.with_default_namespace(request.selection, default_namespace)
        run_id = f"{_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}" if run is None else run.run
        if run is None and request.sealing.keep:
            request = replace(request, directory=request.directory / run_id)
        if (log := logs.current()) is not None:
            log.run = run_id
        if request.lease and request.dry_run is None:
            claim = claim_of(request.playbooks, selection, host=socket.gethostname(), run_id=run_id)
            if not await held(cluster, claim, stop, stack, _now):
                return ExitCode.INTERRUPTED if stop.is_set() else ExitCode.OK
        watcher = _progress(request)
        stack.callback(watcher.close)
        outputs = _Outputs(request.directory)
        redact = LazyRedactor(request.redaction.rules)
        outside = Outside(
            cluster=cluster,
            redact=redact if request.redaction.is_on else NoRedactor(),
            record=_no_journal,
            store=outputs.store,
            artifact=outputs.artifact,
            keep=lambda _: None,
            now=_now,
            watcher=watcher,
            stop=stop,
        )
        started_at = _now()
        meant = None if run is None else run.meant()
        gathered, plans = await prepare(outside, request.playbooks, selection, meant=meant)
        actor = Actor()
        if run is None and request.dry_run is None:
            # Early: who may do everything is asked no more about that.
            actor = await actor_of(cluster)
        # What a workload says that has no pod yet; plans are about pods alone.
        objects, events = Objects(), EventLists()
        if request.dry_run is None:
            objects, events = await list_objects(cluster, request.playbooks, selection, plans)
        said = plans or judged(request.playbooks, objects, plans, (), selection, outside)[0]
        if not said and run is None:
            why = nothing_selected(request.playbooks, selection, gathered)
            if not request.allow_empty:
                raise why
            complain(str(why))
        if request.dry_run is not None:
            return await _dry_run(request, cluster, gathered, plans, started_at)
        signer = None
        if isinstance(key := request.sealing.key, SecretKey):
            signer = await signer_from_secret(cluster.objects, key)
        files = RunDirectory(request.directory, run_id, _now, afresh=run is None)
        stack.callback(files.close)
        redact.account.open(request.directory / REDACTIONS_NAME, afresh=run is None)
        new, earlier = None, None
        if run is None:
            new = new_record(
                request,
                redact,
                run_id=run_id,
                started_at=started_at,
                identity=identity,
                cluster=await cluster_ref(cluster),
                default_namespace=default_namespace,
                pods=pod_records(plans),
                actor=actor,
            )
        else:
            earlier = _earlier(request, run, plans)
        await files.begin(identity, new)
        stream = Streamed(run_id, complain) if request.output == "ndjson" else None
        if stream is not None:
            stack.callback(stream.close)
        # What the report needs is loaded while the containers run.
        warm_up = loop.call_later(1.0, loop.run_in_executor, None, _warm_up)
        # A run that ends before has no use for it, and a loop that is closing has no threads.
        stack.callback(warm_up.cancel)
        written = _Written(request.directory, files, outputs, redact, stream, signer)
        asked = Asked(
            run_id=run_id,
            playbooks=request.playbooks,
            selection=selection,
            budget=request.budget,
            started_at=started_at,
            trigger=clean_trigger(request.written.trigger, outside.redact),
        )
        listed = Listed(gathered=gathered, plans=plans, objects=objects, events=events)
        outside = replace(outside, record=files.journal.record, keep=written.keep)
        seen = await sweep(outside, asked, listed, earlier)
        seen = await with_ends(seen, cluster.objects, cluster.default_namespace)
        watcher.close()
        redact.account.finish()
        if not request.redaction.is_on:
            seen = unredacted(seen)
        return await _conclude(request, run_id, seen, cluster, written)


async def _dry_run(
    request: Request, cluster: Cluster, gathered: Gathered, plans: Sequence[PodPlan], now: datetime
) -> ExitCode:
    """What would be done; with `server`, also what the API server would say to it."""
    # Imported here: a sweep needs neither.
    from runner.cli.plan import print_plans, server_dry_run  # noqa: PLC0415

    budget = request.budget
    plans = with_debt(with_policy(plans, budget.policy), budget.debt, now)
    code = code_of(gathered.absent, allow_empty=request.allow_empty)
    if plans and gathered.absent.missing:
        complain(str(gathered.absent))
    if request.dry_run == "client":
        print_plans(plans, request.output)
        return code
    return max(await server_dry_run(cluster, plans, budget.policy, request.output), code)


class _Written(msgspec.Struct, frozen=True):
    """Where the run was written to while it went on, and who signs it if that is a Secret's key."""

    directory: Path
    files: RunDirectory
    outputs: _Outputs
    redact: LazyRedactor
    stream: Streamed | None
    signer: "CryptoSigner | None"

    def keep(self, one: Examined) -> None:
        # A run that goes on asks again a pod of which something may be missing here.
        if not any(self.failures()):
            self.files.results.keep(one)
        if self.stream is not None:
            self.stream.pod(one.result)
        if (log := logs.current()) is not None:
            log.pod(one.result)

    def failures(self) -> Iterator[str]:
        if self.outputs.failure is not None:
            yield f"{self.outputs.failure}; outputs are missing beside the report"
        if (failure := self.redact.account.failure) is not None:
            yield f"cannot write {self.directory / REDACTIONS_NAME}: {failure.strerror}"


async def _conclude(
    request: Request, run_id: str, seen: Seen, cluster: Cluster, written: _Written
) -> ExitCode:
    """From what was seen to the exit code: report, journal, seal; what fails hides no other."""
    report = report_of(seen, request.playbooks)
    requests, redactions = dict(cluster.requests_sent), written.redact.counts
    delivered = await deliver(
        request, seen, report, requests, redactions, cluster.objects, written.stream
    )
    code = delivered.code
    reach("report-written")
    for failure in written.failures():
        complain(failure)
        code = ExitCode.NOT_STORED
    if request.exit_zero and code is ExitCode.FINDINGS:
        code = ExitCode.OK
    left = left_undone(report)
    try:
        await written.files.finish(code, left)
    except OSError as error:
        complain(f"cannot write {request.directory / journal.FILE_NAME}: {error.strerror}")
        code = ExitCode.NOT_STORED
    if (code is ExitCode.NOT_STORED or left) and not request.sealing.is_temporary:
        complain(_how_to_finish(request.directory, code, left))
    code, missing = await asyncio.to_thread(sealed, request, run_id, code, _now(), written.signer)
    if missing:
        failed = (*delivered.failed_sinks, *missing)
        await asyncio.to_thread(export_metrics, request, report, requests, redactions, failed)
    if (log := logs.current()) is not None:
        log.report(report, code, delivered.page)
    return code


def _how_to_finish(directory: Path, code: ExitCode, left: int) -> str:
    stored = code is not ExitCode.NOT_STORED
    what = [] if stored else ["writes the report"]
    if left:
        what.append(
            f"examines the {left} pods that are missing"
            if left > 1
            else "examines the pod that is missing"
        )
    when = "" if stored else ", once there is room,"
    return f"`podmedic resume {shlex.quote(str(directory))}`{when} {' and '.join(what)}"


def _earlier(request: Request, run: RunRecord, plans: Sequence[PodPlan]) -> Earlier:
    """What is there of the run, and one line about it."""
    if end_of(request.directory, run.run) is not None:
        raise RecordError(f"run {run.run} was finished meanwhile by another podmedic")
    kept = read_kept(request.directory / KEPT_NAME, run.run)
    left = {plan.pod.metadata.uid for plan in plans}
    meant = run.meant().values()
    gone = [pod for pod in meant if pod.uid not in left and pod.uid not in kept]
    line = f"run {run.run} goes on: {len(kept)} of {plural(len(meant), 'pod')} done"
    if gone:
        names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in gone[:5])
        more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
        line += f"; gone meanwhile: {names}{more}"
    if gone or not request.quiet:
        complain(line)
    return Earlier(started_at=run.started_at, pods=run.pods, kept=kept)


def _warm_up() -> None:
    from runner.report import html  # noqa: PLC0415

    html.load_templates()


async def _no_journal(event: str, **fields: object) -> None:
    raise AssertionError(f"{event} before the journal was opened: {json.dumps(fields)}")


def _progress(request: Request) -> Progress:
    if (log := logs.current()) is not None:
        return logs.JsonProgress(log, time.monotonic)
    return progress(
        sys.stderr,
        clock=time.monotonic,
        environ=os.environ,
        quiet=request.quiet or request.dry_run is not None,
    )
