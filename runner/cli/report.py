"""`podmedic report`: what a run saw in another format, without a cluster."""

from pathlib import Path

import click

from runner.cli.deliver import summary
from runner.cli.exit_codes import ExitCode
from runner.cli.outputs import FORMATS_HELP, METAVAR, read_outputs
from runner.report import render
from runner.report.files import OutputError
from runner.report.output import FILES, write_formats
from runner.report.reading import read_report


@click.command(short_help="Print a run's report in another format.")
@click.argument("source", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "--output", "outputs", multiple=True, metavar=METAVAR, help=FORMATS_HELP)
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Print what a Jinja template makes of the report.",
)
@click.option(
    "--resolved",
    metavar="FILE",
    help="Say which of the alerts that started the run have ended since: a later webhook about "
    "them, or what serve's GET /v1/runs/NAME says; - is stdin. RUN stays as it is.",
)
def report(
    source: Path, outputs: tuple[str, ...], template: Path | None, resolved: str | None
) -> int:
    """Print the report of the run in the directory RUN, or of a report.json, in other formats.
    Needs no cluster and asks no rule again (that is `podmedic analyze`).

        podmedic report RUN -o junit > junit.xml

        podmedic report RUN -o html,junit,sarif -o DIR
    """
    wanted = read_outputs(outputs)
    if template is not None and wanted != read_outputs(()):
        raise click.UsageError("--template prints; it goes without -o")
    if wanted.directory is not None and not wanted.files:
        raise click.UsageError(
            f"-o {wanted.directory}: which formats? Several go into a directory as files: "
            f"-o {','.join(FILES)}"
        )
    found = read_report(source)
    if resolved is not None:
        from runner.cli.alert import with_ends  # noqa: PLC0415

        found = with_ends(found, resolved)
    if template is not None:
        from runner.report.template import render_template  # noqa: PLC0415

        click.echo(render_template(found, template), nl=False)
        return ExitCode.OK
    # Not beside the report: a run's directory is sealed, and `podmedic verify` knows each file.
    into = wanted.directory or Path()
    failed = False
    for path in write_formats(into, found, wanted.files):
        if isinstance(path, OutputError):
            failed = True
            click.echo(f"podmedic: {path}", err=True)
        else:
            click.echo(f"Written: {path}", err=wanted.printed is not None)
    if wanted.printed is not None:
        click.echo(render(found, wanted.printed), nl=False)
    elif not wanted.files:
        click.echo(summary(found), nl=False)
    return ExitCode.NOT_STORED if failed else ExitCode.OK
