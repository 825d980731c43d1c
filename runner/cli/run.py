"""`podmedic run`: the whole way from playbooks to a report."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from runner.cli import options, redaction, sealing
from runner.cli.duration import Duration
from runner.cli.execute import execute
from runner.cli.keyless import sign_options
from runner.cli.logs import log_format_option
from runner.cli.notify import notify_options, otel_installed, read_notify
from runner.cli.outputs import FORMATS_HELP, METAVAR, read_outputs
from runner.cli.request import DEFAULT_DIRECTORY, request_of
from runner.cli.upload import upload_options
from runner.model.trigger import Trigger
from runner.record import Options


@click.command(short_help="Examine pods and write a report.")
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@click.option(
    "--alert",
    metavar="FILE",
    help="Examine what the alerts in FILE are about: what Alertmanager or Grafana posts; - is "
    "stdin. The routes say which playbooks, on which pods.",
)
@click.option("--trigger", metavar="FILE", hidden=True, help="What `podmedic serve` stored.")
@options.routes_option
@options.selection_options
@click.option(
    "--since",
    "since_seconds",
    default=0.0,
    type=Duration(),
    metavar="TIME",
    help="Only pods with a container that failed, or was restarted, within so long before now: "
    "90s, 30m, 2h, 1d.",
)
@options.connection_options
@options.debugger_options
@options.policy_options
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar=METAVAR,
    help=f"Directory for report.json and report.html [default: {DEFAULT_DIRECTORY}]; or "
    f"{FORMATS_HELP}",
)
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="client: show what would be done. server: also ask the API server whether it "
    "would accept it. Nothing is changed.",
)
@click.option(
    "--timeout",
    "timeout_seconds",
    default=900.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds for the whole sweep; 0: none.",
)
@options.start_timeout_option
@click.option(
    "--max-in-flight",
    default=32,
    type=click.IntRange(min=0),
    show_default=True,
    help="Pods examined at a time; 0 lifts the limit.",
)
@click.option(
    "--max-per-node",
    default=10,
    type=click.IntRange(min=0),
    show_default=True,
    help="Pods examined at a time on one node; 0 lifts the limit.",
)
@click.option(
    "--max-per-namespace",
    default=0,
    type=click.IntRange(min=0),
    show_default=True,
    help="Pods examined at a time in one namespace; 0: no limit of its own.",
)
@click.option(
    "--max-per-workload",
    default="25%",
    type=options.Share(),
    show_default=True,
    help="Ready pods of one workload examined at a time, a number or a part of them (one at "
    "least); 0 lifts this limit. PodDisruptionBudgets hold besides.",
)
@click.option(
    "--canary/--no-canary",
    default=True,
    show_default=True,
    help="Let one container of each image and node pool start before the others follow.",
)
@click.option(
    "--max-failures",
    default=5,
    type=click.IntRange(min=0),
    show_default=True,
    help="Stop injecting after so many containers in a row that did not start; 0 lifts the limit.",
)
@click.option(
    "--max-changed",
    default=1,
    type=click.IntRange(min=0),
    show_default=True,
    help="Stop injecting after so many apps that changed while they were examined; 0 lifts the "
    "limit.",
)
@options.cap_option
@click.option(
    "--cool-down",
    "cool_down_seconds",
    default=0.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds in which a pod is not injected again after another run.",
)
@click.option(
    "--lease/--no-lease",
    default=False,
    show_default=True,
    help="Hold a Lease for these playbooks and this selection: where another sweep holds it, do "
    "nothing and exit 0.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Compare with this earlier run, or with the last of a directory of runs; may be the "
    "directory that this run writes to.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["any", "new"]),
    default="any",
    show_default=True,
    help="new: exit 1 only for what the baseline does not have.",
)
@click.option(
    "--metrics-textfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write metrics for the node exporter's textfile collector.",
)
@click.option("--pushgateway", metavar="URL", help="Push metrics to a Pushgateway.")
@sealing.bundle_option
@sealing.key_option
@sign_options
@upload_options
@sealing.keep_option
@redaction.rules_option
@redaction.no_redact_option
@notify_options
@click.option(
    "--otel/--no-otel",
    default=False,
    show_default=True,
    callback=otel_installed,
    help="Send the run as an OpenTelemetry trace, as the OTEL_* variables say.",
)
@click.option(
    "--events/--no-events",
    default=False,
    show_default=True,
    help="Make an Event on the owner of each new critical finding, for `kubectl describe`.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 even if something was found.")
@click.option(
    "--allow-empty",
    is_flag=True,
    help="No error when no pod is selected, or all are skipped.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
@log_format_option
def run(
    playbooks: tuple[str, ...],
    policy_file: Path | None,
    outputs: tuple[str, ...],
    dry_run: str | None,
    alert: str | None,
    trigger: str | None,
    routes_file: Path | None,
    **given: Any,
) -> int:
    """Examine pods with PLAYBOOKs: built-in names or files. Without one: triage, which
    includes crashloop.

    Each pod gets one ephemeral container, which stays in its spec for ever. The report is
    written to a directory; after a kill `podmedic resume` finishes the work, and so does the same
    command again.
    """
    wanted = read_outputs(outputs)
    if dry_run and (wanted.files or wanted.printed not in (None, *options.OUTPUTS)):
        raise click.UsageError(f"--dry-run prints {', '.join(options.OUTPUTS)}; there is no report")
    textfile: Path | None = given["metrics_textfile"]
    if textfile is not None:
        options.check_textfile(textfile)
    baseline: Path | None = given["baseline"]
    if given["fail_on"] == "new" and baseline is None:
        raise click.UsageError(
            "--fail-on new: new compared with what? Name an earlier run by --baseline"
        )
    image: str | None = given["debugger_image"]
    why = None
    if alert is not None or trigger is not None:
        if playbooks:
            raise click.UsageError("--alert takes the playbooks from the routes: name none")
        playbooks, why = _triggered(alert, trigger, routes_file)
    policy, loaded = options.allowed(policy_file, options.load_playbooks(playbooks, image))
    notify = read_notify(
        given.pop("notify_urls"), given.pop("notify_file"), given.pop("notify_on"),
        given.pop("link"), baseline=baseline is not None,
    )  # fmt: skip
    if wanted.remote is not None:
        if given["upload"] is not None:
            raise click.UsageError("-o and --upload name two places in an object store: name one")
        given["upload"] = wanted.remote
    target = sealing.checked(given)
    # The names are those of the options above: Options says which there have to be.
    written = Options(
        **given
        | {
            "output": wanted.printed,
            "formats": wanted.files,
            "trigger": why,
            "baseline": None if baseline is None else str(baseline),
            "max_per_workload": options.share_text(given["max_per_workload"]),
            "metrics_textfile": None if textfile is None else str(textfile),
            "bundle": target,
            **{
                name: given[name] and str(given[name]) for name in ("identity_file", "trust_config")
            },
        }
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    with sealing.own_directory(wanted.directory, wanted.remote) as (directory, is_temporary):
        request = request_of(
            written,
            loaded,
            policy,
            directory=directory,
            is_temporary=is_temporary,
            dry_run=dry_run,
            policy_file=policy_file,
        )
        return asyncio.run(execute(replace(request, notify=notify)))


def _triggered(
    alert: str | None, stored: str | None, routes_file: Path | None
) -> tuple[tuple[str, ...], Trigger]:
    """The playbooks as the routes name them, and why they are run."""
    # Imported here: most sweeps have no alert.
    from runner.cli.alert import trigger_in, trigger_of_alerts, with_included  # noqa: PLC0415
    from runner.cli.routes import routes_of  # noqa: PLC0415

    if alert is not None and stored is not None:
        raise click.UsageError("--alert and --trigger exclude each other")
    if stored is not None:
        found = trigger_in(stored)
    else:
        found = trigger_of_alerts(alert or "", routes_of(routes_file))
    names = dict.fromkeys(name for aim in found.aims() for name in aim.playbooks)
    return tuple(names), with_included(found)
