"""The rules of today, or of another run, asked about what a run saw."""

from collections.abc import Sequence
from pathlib import Path

import click

from runner import record
from runner.model.report import PlaybookRef, Report
from runner.playbook import Playbook, load, load_file, resolve
from runner.record import Document, RecordError, RunRecord
from runner.report.evidence import read_evidence
from runner.sweep import report_of


def rejudged(directory: Path, playbooks: Sequence[Playbook]) -> Report:
    """What these playbooks say of what the run in `directory` saw. Raises RecordError."""
    return report_of(read_evidence(directory), playbooks)


def playbooks_of(
    found: RunRecord, ran: Sequence[PlaybookRef], given: Sequence[str] = ()
) -> tuple[Playbook, ...]:
    """Those of a run as they are now, in its order; `given` take the place of those of the same
    name. Raises PlaybookErrors, RecordError, UsageError."""
    others = {each.name: each for each in map(resolve, given)}
    names = [each.name for each in ran]
    if unasked := others.keys() - set(names):
        raise click.UsageError(
            f"the run did not ask playbook {', '.join(sorted(unasked))}: it asked "
            f"{', '.join(names)}"
        )
    if len(names) != len(found.playbooks):
        raise RecordError("report.json and run.json are not of the same run: other playbooks")
    documents = zip(names, found.playbooks, strict=True)
    return tuple(others.get(name) or _current(name, document) for name, document in documents)


def of_run(directory: Path, ran: Sequence[PlaybookRef]) -> tuple[Playbook, ...] | None:
    """The playbooks of a run exactly as they were, as far as they can still be had."""
    found = record.read(directory)
    if len(ran) != len(found.playbooks):
        return None
    playbooks = []
    for ref, document in zip(ran, found.playbooks, strict=True):
        playbook = load(document.text, document.source) if document.text else None
        playbook = playbook or _current(ref.name, document)
        if playbook.sha256 != ref.sha256:
            return None
        playbooks.append(playbook)
    return tuple(playbooks)


def _current(name: str, document: Document) -> Playbook:
    if "/" not in document.source:
        return resolve(document.source)
    path = Path(document.source)
    if path.is_file() and (playbook := load_file(path)).name == name:
        return playbook
    if document.text:
        return load(document.text, document.source)
    raise RecordError(
        f"{document.source} does not hold playbook {name} any more, and the run kept no copy of "
        "it because something in it looks like a secret; name the playbook's file after the run's "
        "directory"
    )
