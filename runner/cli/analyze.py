"""`podmedic analyze`: the rules once more, on what a run saw, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from runner import record
from runner.cli.deliver import summary
from runner.cli.exit_codes import ExitCode, of_report
from runner.cli.outputs import FORMATS_HELP, METAVAR, read_outputs
from runner.cli.rejudge import playbooks_of
from runner.model.report import PlaybookRef, Report
from runner.record import RecordError
from runner.report import OutputError, render, write
from runner.report.evidence import read_evidence
from runner.report.output import write_formats
from runner.report.reading import read_report
from runner.report.verdict_changes import line_of, verdict_changes
from runner.sweep import report_of


@click.command(short_help="Judge again what a run saw, without a cluster.")
@click.argument("directory", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar=METAVAR,
    help="Directory for the new report.json and report.html, which are not written otherwise; "
    f"or {FORMATS_HELP}",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 even if something was found.")
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def analyze(
    directory: Path, playbooks: tuple[str, ...], outputs: tuple[str, ...],
    exit_zero: bool, quiet: bool,
) -> int:  # fmt: skip
    """Ask the rules again about what the run in the directory RUN saw, and say which verdicts
    changed because the rules did. The run's own files stay as they are.

    Rules are those of the run's playbooks as they are now: built-in ones of this podmedic, files
    where they are still there, else the run's copy. A PLAYBOOK takes the place of the run's
    playbook of that name.
    """
    wanted = read_outputs(outputs)
    into, output = wanted.directory, wanted.printed
    if wanted.files and into is None:
        raise click.UsageError("several formats need a directory: add -o DIR")
    if into is not None and into.resolve() == directory.resolve():
        raise click.UsageError(f"-o {into}: that is the run itself; name another directory")
    found = record.read(directory)
    seen = read_evidence(directory)
    if seen.run.id != found.run:
        raise RecordError(f"{directory} holds what run {seen.run.id} saw and the record of another")
    before = read_report(directory)
    asked = playbooks_of(found, before.run.playbooks, playbooks)
    report = report_of(seen, asked)
    said = tuple(_said(before, report))
    code = of_report(report, allow_empty=found.options.allow_empty)
    if into is not None:
        write(into, report)
        for failed in write_formats(into, report, wanted.files):
            if isinstance(failed, OutputError):
                raise failed
    if output is not None:
        click.echo(render(report, output), nl=False)
    elif not quiet:
        click.echo(summary(report), nl=False)
    if not quiet:
        for line in said:
            click.echo(line, err=output is not None)
        if into is not None:
            click.echo(f"Report: {into / 'report.html'}", err=output is not None)
    return ExitCode.OK if exit_zero and code is ExitCode.FINDINGS else code


def _said(before: Report, after: Report) -> Iterator[str]:
    """What is different, and why."""
    rules = tuple(_rules(before.run.playbooks, after.run.playbooks))
    yield from rules
    changes = verdict_changes(before, after)
    if changes:
        yield "Verdicts that changed:"
        yield from (f"  {line_of(change)}" for change in changes)
    elif rules:
        yield "No verdict changed."
    else:
        yield "The rules are those of the run; no verdict changed."


def _rules(before: Sequence[PlaybookRef], after: Sequence[PlaybookRef]) -> Iterator[str]:
    old = {each.name: each.sha256 for each in before}
    rules = {each.name: each.rules for each in before}
    for each in after:
        if old.get(each.name) != each.sha256:
            was = old.get(each.name, "")[:12] or "none"
            yield f"Playbook {each.name} changed: sha256 {was} -> {each.sha256[:12]}"
            yield from _changed_rules(rules.get(each.name, {}), each.rules)


def _changed_rules(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Runs of older versions did not note those of their rules."""
    if not old:
        return
    named = (
        ("changed", [rule for rule in new if rule in old and old[rule] != new[rule]]),
        ("new", [rule for rule in new if rule not in old]),
        ("gone", [rule for rule in old if rule not in new]),
    )
    for what, found in named:
        if found:
            yield f"  Rules {what}: {', '.join(found)}"
    if not any(found for _, found in named):
        yield "  Its rules are the same."
