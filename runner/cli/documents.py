"""`podmedic validate`, `list` and `schema`: nothing here needs a cluster."""

import json
from pathlib import Path

import click

from runner.cli import options
from runner.cli.exit_codes import ExitCode
from runner.plan import program_problems
from runner.playbook import Playbook, PlaybookErrors, builtin, load, load_file, thorough
from runner.playbook.checks import Problem
from runner.playbook.load import kind_of, places, read_text
from runner.policy import json_schema as policy_schema
from runner.policy import read_policy
from runner.report import one_line
from runner.report.output import table
from runner.report.view import plural
from runner.triggers import json_schema as routes_schema
from runner.triggers import read_routes

_DOCUMENTS = ["playbook", "policy", "routes", "report"]


@click.command(short_help="Check playbook, policy and routes files.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options.policy_options
def validate(files: tuple[str, ...], policy_file: Path | None) -> int:
    """Check FILEs, playbooks, policies or routes (- is stdin); every error is FILE:LINE:COLUMN:
    FIELD: what is wrong. With --policy, playbooks are held against it too."""
    wrong = False
    for file in files:
        try:
            click.echo(f"{file}: valid: {_checked(file, policy_file)}")
        except PlaybookErrors as errors:
            wrong = True
            click.echo(str(errors), err=True)
    return ExitCode.USAGE if wrong else ExitCode.OK


def _checked(file: str, policy_file: Path | None) -> str:
    """What the file is, in a few words. Raises PlaybookErrors."""
    # Once: it may be a pipe.
    text = read_text("/dev/stdin" if file == "-" else file)
    kind = kind_of(text, file)
    if kind == "Policy":
        return f"policy {read_policy(text, file).metadata.name}"
    if kind == "Routes":
        routes = read_routes(text, file)
        # Files among its playbooks are no better than what is in them.
        options.allowed(policy_file, options.load_playbooks(routes.playbooks(), None))
        return f"routes {routes.metadata.name}, {plural(len(routes.spec.routes), 'route')}"
    playbook = load(text, file, also=thorough.check)
    problems = [Problem(("spec", "steps"), each) for each in program_problems([playbook])]
    if not options.is_image(playbook.spec.debugger.image):
        words = "is no reference of an image, such as ghcr.io/podmedic/tools:1"
        problems.append(Problem(("spec", "debugger", "image"), words))
    if problems:
        raise places(playbook, problems)
    options.allowed(policy_file, [playbook])
    steps, findings = len(playbook.spec.steps), _rules(playbook)
    counts = f"{plural(steps, 'step')}, {plural(findings, 'finding')}"
    return f"playbook {playbook.metadata.name}, {counts}"


def _rules(playbook: Playbook) -> int:
    return len(playbook.spec.findings) + len(playbook.spec.workloads)


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
                str(_rules(playbook)),
                one_line(playbook.metadata.description),
            )
        )
    click.echo(table(lines), nl=False)


@click.command(short_help="Print the JSON Schema of a document.")
@click.argument("document", type=click.Choice(_DOCUMENTS), default="playbook")
def schema(document: str) -> None:
    """Print the JSON Schema of a playbook, a policy or routes (draft-07, for editors) or of
    report.json."""
    if document == "report":
        from runner.report import json_schema as report_schema  # noqa: PLC0415

        click.echo(json.dumps(report_schema(), indent=2))
    elif document == "policy":
        click.echo(json.dumps(policy_schema(), indent=2))
    elif document == "routes":
        click.echo(json.dumps(routes_schema(), indent=2))
    else:
        from runner.playbook.schema import json_schema  # noqa: PLC0415

        click.echo(json.dumps(json_schema(), indent=2))
