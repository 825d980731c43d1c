"""`podmedic validate`, `list` and `schema`: nothing here needs a cluster."""

import json
from pathlib import Path

import click

from runner.cli.exit_codes import ExitCode
from runner.plan import program_problems
from runner.playbook import PlaybookErrors, builtin, json_schema, load_file
from runner.report import one_line
from runner.report.output import table


@click.command(short_help="Check playbook files.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def validate(files: tuple[str, ...]) -> int:
    """Check playbook FILEs; every error is FILE:LINE:COLUMN: FIELD: what is wrong."""
    wrong = False
    for file in files:
        try:
            playbook = load_file(Path(file))
        except PlaybookErrors as errors:
            wrong = True
            click.echo(str(errors), err=True)
        else:
            problems = program_problems([playbook])
            for problem in problems:
                wrong = True
                click.echo(f"{file}: spec.steps: {problem}", err=True)
            if problems:
                continue
            steps, findings = len(playbook.spec.steps), len(playbook.spec.findings)
            click.echo(
                f"{file}: valid: playbook {playbook.metadata.name}, "
                f"{steps} steps, {findings} findings"
            )
    return ExitCode.USAGE if wrong else ExitCode.OK


@click.command(name="list", short_help="List the built-in playbooks.")
def list_() -> None:
    """List the built-in playbooks with what each is for."""
    lines = [("NAME", "STEPS", "FINDINGS", "DESCRIPTION")]
    for path in builtin():
        playbook = load_file(path)
        lines.append(
            (
                playbook.metadata.name,
                str(len(playbook.spec.steps)),
                str(len(playbook.spec.findings)),
                one_line(playbook.metadata.description),
            )
        )
    click.echo(table(lines), nl=False)


@click.command(short_help="Print the JSON Schema of a document.")
@click.argument("document", type=click.Choice(["playbook", "report"]), default="playbook")
def schema(document: str) -> None:
    """Print the JSON Schema of a playbook (draft-07, for editors) or of report.json."""
    if document == "report":
        from runner.report import json_schema as report_schema  # noqa: PLC0415

        click.echo(json.dumps(report_schema(), indent=2))
    else:
        click.echo(json.dumps(json_schema(), indent=2))
