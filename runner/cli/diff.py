"""`podmedic diff`: two runs side by side, without a cluster."""

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from runner.cli.exit_codes import ExitCode
from runner.cli.rejudge import of_run, rejudged
from runner.compare import Comparison, compare, fails
from runner.compare.page import to_html
from runner.compare.text import to_markdown, to_text
from runner.model.report import Report
from runner.playbook import Playbook, PlaybookErrors, UnknownPlaybookError
from runner.record import RecordError
from runner.report import JSON_NAME
from runner.report.document import line_of
from runner.report.reading import read_report

LAST = 10


class Kept(msgspec.Struct, frozen=True):
    """A report and the directory that it lies in, if that is known to be a run's."""

    report: Report
    directory: Path | None


@click.command(short_help="Compare a run with earlier ones.")
@click.argument(
    "earlier", nargs=-1, required=True, metavar="OLD...", type=click.Path(path_type=Path)
)
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "markdown", "html"]),
    help="Print the comparison in this format.",
)
@click.option(
    "--last",
    default=LAST,
    type=click.IntRange(min=1),
    show_default=True,
    help="Earlier runs that are looked at for since when, and for what comes and goes.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 even if something is new.")
def diff(
    earlier: tuple[Path, ...], new: Path, output: str | None, last: int, exit_zero: bool
) -> int:
    """Compare the run NEW with OLD, the last one before it: what is new, resolved, persisting, and
    what cannot be told because one of them did not look. Runs are directories or report.json
    files; an OLD may also be a directory of runs. With several, what comes and goes is marked.

    Exit code 1: something is new, or worse, or could not be compared although it is there.
    """
    found = comparison(earlier, Kept(read_report(new), new if new.is_dir() else None), last=last)
    click.echo(rendered(found, output), nl=False)
    return ExitCode.FINDINGS if fails(found) and not exit_zero else ExitCode.OK


def rendered(found: Comparison, output: str | None) -> str:
    if output is None:
        wide = 1000 if not sys.stdout.isatty() else shutil.get_terminal_size((100, 24)).columns
        return to_text(found, width=wide)
    formats: dict[str, Callable[[Comparison], str]] = {
        "json": lambda one: line_of(one).decode(),
        "markdown": to_markdown,
        "html": to_html,
    }
    return formats[output](found)


def comparison(
    earlier: Sequence[Path], new: Kept, *, last: int = LAST,
    playbooks: Sequence[Playbook] | None = None,
) -> Comparison:  # fmt: skip
    """`playbooks` are those of `new`, where they are at hand. Raises RecordError."""
    found = before(earlier, new.report, last)
    again = _again(found[-1], new, playbooks) if found else None
    return compare([kept.report for kept in found], new.report, again)


def before(paths: Sequence[Path], new: Report, last: int = LAST) -> list[Kept]:
    """The runs that are meant, oldest first, without `new` itself. Raises RecordError."""
    runs = {}
    for path in paths:
        for each in _expanded(path):
            kept = Kept(read_report(each), each if each.is_dir() else None)
            runs[kept.report.run.id] = kept
    runs.pop(new.run.id, None)
    ordered = sorted(runs.values(), key=lambda kept: kept.report.run.started_at)
    return [kept for kept in ordered if kept.report.run.started_at <= new.run.started_at][-last:]


def _expanded(path: Path) -> list[Path]:
    """A directory of runs stands for those in it."""
    if not path.is_dir() or (path / JSON_NAME).exists():
        return [path]
    found = sorted(each.parent for each in path.glob(f"*/{JSON_NAME}"))
    return found or [path]


def _again(old: Kept, new: Kept, playbooks: Sequence[Playbook] | None) -> Report | None:
    """What the rules of `new` say of what `old` saw, where they are others and both can be had."""
    rules = [{each.name: each.sha256 for each in kept.report.run.playbooks} for kept in (old, new)]
    if rules[0] == rules[1] or old.directory is None:
        return None
    with suppress(RecordError, PlaybookErrors, UnknownPlaybookError):
        if playbooks is None and new.directory is not None:
            playbooks = of_run(new.directory, new.report.run.playbooks)
        if playbooks is not None:
            return rejudged(old.directory, playbooks)
    return None
