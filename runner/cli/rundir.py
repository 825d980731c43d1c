"""The directory of a run while it is under way: record, journal, results that are done."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from runner import __version__, journal, record
from runner.bundle.manifest import OWN_NAMES
from runner.cli.exit_codes import ExitCode
from runner.cli.request import Request
from runner.examine.context import Redact
from runner.examine.kept import FILE_NAME as KEPT_NAME
from runner.examine.kept import KeptResults
from runner.killpoints import reach
from runner.model.report import Report
from runner.playbook import Playbook
from runner.policy import Policy
from runner.record import Actor, ClusterRef, Document, Options, PodRecord, RunRecord
from runner.report.files import OutputError, write_atomically
from runner.sweep import clean_trigger
from runner.sweep.pool import UNDONE


def identity_of(request: Request, cluster: str) -> str:
    """What makes two runs the same work: another alert about the same pod is another one."""
    trigger = request.written.trigger
    why = trigger and (
        trigger.id,
        sorted((each.fingerprint, each.starts_at) for each in trigger.alerts),
    )
    parts = [__version__, cluster, request.selection, why]
    parts += [(p.sha256, p.spec.debugger.image) for p in request.playbooks]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def unfinished(directory: Path, identity: str, now: datetime) -> RunRecord | None:
    """The run in the directory that was killed a short while ago, if it was the same work."""
    try:
        lines = journal.read(directory / journal.FILE_NAME)
        run_id = journal.unfinished_run(lines, identity, now)
        if run_id is None:
            return None
        found = record.read(directory)
    except (OSError, record.RecordError):
        # That nothing can be written there either will be said when it is tried.
        return None
    return found if found.run == run_id else None


def placed(request: Request, identity: str, now: datetime) -> tuple[Request, RunRecord | None]:
    """The run that is to go on, and where; with --keep each has a directory of its own."""
    if not request.sealing.keep:
        return request, unfinished(request.directory, identity, now)
    with suppress(OSError):
        for path in sorted(request.directory.iterdir(), reverse=True):
            found = unfinished(path, identity, now) if path.is_dir() else None
            if found is not None:
                return replace(request, directory=path), found
    return request, None


def end_of(directory: Path, run_id: str) -> tuple[ExitCode, str] | None:
    """Exit code and time of a run's end; None where something is left to do: it was killed, or
    stopped with pods undone, or its report could not be written."""
    end = journal.finished(journal.read(directory / journal.FILE_NAME), run_id)
    if end is None or end.get("left"):
        return None
    try:
        code = ExitCode(int(end.get("exit_code", "")))
    except (TypeError, ValueError):
        return None
    return None if code is ExitCode.NOT_STORED else (code, str(end.get("time")))


def left_undone(report: Report) -> int:
    """Pods that another process can still examine in this run's name."""
    return sum(pod.reason in UNDONE for pod in report.pods)


def new_record(
    request: Request,
    redact: Redact,
    *,
    run_id: str,
    started_at: datetime,
    identity: str,
    cluster: ClusterRef,
    default_namespace: str,
    pods: tuple[PodRecord, ...],
    actor: Actor,
) -> RunRecord:
    policy = request.budget.policy
    return RunRecord(
        api_version=record.API_VERSION,
        run=run_id,
        started_at=started_at,
        runner_version=__version__,
        identity=identity,
        cluster=cluster,
        default_namespace=default_namespace,
        options=_to_keep(request.written, redact),
        playbooks=tuple(_document(playbook, redact) for playbook in request.playbooks),
        policy=_policy_document(policy, request.policy_file, redact) if policy.text else None,
        pods=pods,
        actor=actor,
    )


def _to_keep(options: Options, redact: Redact) -> Options:
    """Whoever finishes the run may stand in another directory; no password is written down."""
    kubeconfig, textfile, url = options.kubeconfig, options.metrics_textfile, options.pushgateway
    bundle, key = options.bundle, options.key
    return msgspec.structs.replace(
        options,
        kubeconfig=None if kubeconfig is None else str(Path(kubeconfig).expanduser().absolute()),
        metrics_textfile=None if textfile is None else str(Path(textfile).absolute()),
        baseline=None if options.baseline is None else str(Path(options.baseline).absolute()),
        pushgateway=None if url is None else record.without_password(url),
        trigger=clean_trigger(options.trigger, redact),
        bundle=bundle and str(Path(bundle).absolute()),
        key=None if key is None else str(Path(key).absolute()),
        redact_rules=tuple(str(Path(path).absolute()) for path in options.redact_rules),
    )


def _document(playbook: Playbook, redact: Redact) -> Document:
    if playbook.source == "built-in":
        return Document(source=playbook.metadata.name, sha256=playbook.sha256, text="")
    source = str(Path(playbook.source).absolute())
    return Document(source=source, sha256=playbook.sha256, text=_clean(playbook.text, redact))


def _policy_document(policy: Policy, file: Path | None, redact: Redact) -> Document:
    source = "" if file is None else str(file.absolute())
    return Document(source=source, sha256=policy.sha256, text=_clean(policy.text, redact))


def _clean(text: str, redact: Redact) -> str:
    """As it is, or not at all."""
    return text if redact.redact_text(text)[0] == text else ""


class RunDirectory:
    """Ours alone from here on; raises OutputError."""

    def __init__(
        self, directory: Path, run_id: str, now: Callable[[], datetime], *, afresh: bool
    ) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.journal = journal.Journal(directory / journal.FILE_NAME, run_id, now)
            self.results = KeptResults(directory / KEPT_NAME, run_id, afresh=afresh)
        except journal.JournalInUseError as error:
            mend = "give this one another directory with -o" if afresh else "it is still under way"
            raise OutputError(f"{error}; {mend}") from error
        except OSError as error:
            raise OutputError(f"cannot write to {directory}: {error.strerror}") from error
        reach("directory-locked")

    def close(self) -> None:
        self.journal.close()
        self.results.close()

    async def begin(self, identity: str, new: RunRecord | None) -> None:
        """On disk before anything is changed in the cluster."""
        self._remove_manifest()
        if new is not None:
            write_atomically(self.directory / record.FILE_NAME, record.encode(new))
        reach("record-written")
        try:
            await self.journal.record("run", identity=identity)
        except OSError as error:
            raise OutputError(f"cannot write to {self.directory}: {error.strerror}") from error

    def _remove_manifest(self) -> None:
        """It tells of what was here before. Raises OutputError."""
        for name in OWN_NAMES:
            try:
                (self.directory / name).unlink(missing_ok=True)
            except OSError as error:
                path = self.directory / name
                raise OutputError(f"cannot remove {path}: {error.strerror}") from error

    async def finish(self, code: ExitCode, left: int) -> None:
        """The run has its report, interrupted or not: the same command again is new work. Raises
        OSError."""
        await self.journal.record("finished", exit_code=int(code), left=left)
        if not left and code is not ExitCode.NOT_STORED:
            self.results.remove()
