"""`podmedic resume`: what a killed or interrupted run left undone, and nothing else."""

import asyncio
import hashlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from msgspec.structs import replace

from runner import __version__, journal, record
from runner.cli import options
from runner.cli.execute import execute
from runner.cli.logs import log_format_option
from runner.cli.main import complain
from runner.cli.notify import notify_options, read_notify
from runner.cli.request import Request, request_of
from runner.cli.rundir import end_of
from runner.playbook import Playbook, load, resolve
from runner.playbook.load import read_text
from runner.policy import DEFAULT, Policy, read_policy
from runner.record import Document, RecordError, RunRecord

T = TypeVar("T")


@click.command(short_help="Finish a run that was killed or interrupted.")
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--kubeconfig",
    default=None,
    metavar="FILE",
    help="Instead of the run's own --kubeconfig.",
)
@click.option("--context", default=None, help="Instead of the run's own --context.")
@click.option(
    "--pushgateway", metavar="URL", help="Instead of the run's own, whose password is not kept."
)
@notify_options
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
@log_format_option
def resume(
    directory: Path, kubeconfig: str | None, context: str | None, pushgateway: str | None,
    notify_urls: tuple[str, ...], notify_file: Path | None, notify_on: str | None, link: str,
    quiet: bool,
) -> int:  # fmt: skip
    """Finish the run in the directory RUN with the playbooks, the selection and the options that
    it began with. Results that are there stay; a pod that has the run's container is not injected
    again. A run that has finished says so, with its own exit code.
    """
    found = record.read(directory)
    if found.runner_version != __version__:
        raise RecordError(
            f"the run in {directory} was made by podmedic {found.runner_version}, this is "
            f"{__version__}, which may name and fill containers in another way; finish it with "
            "that version, or start a new run"
        )
    path = directory / journal.FILE_NAME
    try:
        _, torn = journal.read_lines(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    for number in torn:
        complain(
            f"{path}:{number}: torn, as a kill in the middle of writing "
            "leaves it; what it was about to announce was not done"
        )
    end = end_of(directory, found.run)
    if end is not None:
        code, time = end
        complain(
            f"run {found.run} finished at {time} with exit code {code:d}; nothing is left to do; "
            f"its report is {directory / 'report.html'}"
        )
        return code
    changed = {"kubeconfig": kubeconfig, "context": context, "pushgateway": pushgateway}
    given = msgspec.structs.replace(
        found.options, **{name: value for name, value in changed.items() if value is not None}
    )
    given = msgspec.structs.replace(given, quiet=quiet or given.quiet)
    request = _request(msgspec.structs.replace(found, options=given), directory)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    notify = read_notify(
        notify_urls, notify_file, notify_on, link, baseline=request.baseline is not None
    )
    return asyncio.run(execute(replace(request, notify=notify), found))


def _request(found: RunRecord, directory: Path) -> Request:
    playbooks = tuple(_restored(document, _playbook) for document in found.playbooks)
    policy: Policy = DEFAULT
    if found.policy is not None:
        policy = _restored(found.policy, read_policy)
    image = found.options.debugger_image
    policy, playbooks = options.allowed_by(policy, options.prepared(playbooks, image))
    return request_of(found.options, playbooks, policy, directory=directory)


def _playbook(text: str, source: str) -> Playbook:
    return load(text, source) if text else resolve(source)


def _restored(document: Document, read: Callable[[str, str], T]) -> T:
    """As it was when the run began. Raises RecordError."""
    text = document.text
    if not text and "/" in document.source:
        # Something in it looked like a secret, which is not written down a second time.
        text = read_text(document.source)
        if hashlib.sha256(text.encode()).hexdigest() != document.sha256:
            raise RecordError(
                f"{document.source}: changed since the run began, and the run kept no copy of it "
                "because something in it looks like a secret; start a new run"
            )
    return read(text, document.source)
