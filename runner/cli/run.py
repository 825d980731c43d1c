"""`podmedic run`: the whole way from playbooks to a report."""

import asyncio
import logging
import sys
from fractions import Fraction
from pathlib import Path

import click

from runner.cli import options
from runner.cli.execute import execute
from runner.cli.exit_codes import ExitCode
from runner.cli.request import DEFAULT_DIRECTORY, Request
from runner.debt import DebtLimits
from runner.examine import Limits
from runner.sweep import Budget


@click.command(short_help="Examine pods and write a report.")
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@options.selection_options
@options.connection_options
@options.debugger_options
@options.policy_options
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DIR|json|yaml|name|wide",
    help=f"Directory for report.json and report.html [default: {DEFAULT_DIRECTORY}]; "
    "json, yaml, name or wide also print the result.",
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
@click.option(
    "--start-timeout",
    "start_seconds",
    default=60.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds for an ephemeral container to start.",
)
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
    "least, and what its PodDisruptionBudgets allow); 0 lifts the limit.",
)
@click.option(
    "--canary/--no-canary",
    default=True,
    show_default=True,
    help="Let one container of each image start before the others follow.",
)
@click.option(
    "--max-failures",
    default=5,
    type=click.IntRange(min=0),
    show_default=True,
    help="Stop injecting after so many containers in a row that did not start; 0 lifts the limit.",
)
@click.option(
    "--cap",
    default=10,
    type=click.IntRange(min=0),
    show_default=True,
    help="Ephemeral containers that a pod may carry, whoever made them; 0 lifts the limit.",
)
@click.option(
    "--cool-down",
    "cool_down_seconds",
    default=0.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds in which a pod is not injected again after another run.",
)
@click.option(
    "--metrics-textfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write metrics for the node exporter's textfile collector.",
)
@click.option("--pushgateway", metavar="URL", help="Push metrics to a Pushgateway.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 even if something was found.")
@click.option("--allow-empty", is_flag=True, help="No error when nothing is selected.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def run(  # one argument per option
    playbooks: tuple[str, ...], namespaces: tuple[str, ...], all_namespaces: bool, selector: str,
    field_selector: str, context: str | None, kubeconfig: str | None, impersonate: str | None,
    qps: float, burst: int, debugger_image: str | None, policy_file: Path | None,
    outputs: tuple[str, ...], dry_run: str | None, timeout_seconds: float, start_seconds: float,
    max_in_flight: int,
    max_per_node: int, max_per_namespace: int, max_per_workload: int | Fraction, canary: bool,
    max_failures: int, cap: int, cool_down_seconds: float, metrics_textfile: Path | None,
    pushgateway: str | None, exit_zero: bool, allow_empty: bool, quiet: bool,
) -> int:  # fmt: skip
    """Examine pods with PLAYBOOKs: built-in names or files. Without one: crashloop and triage.

    Each pod gets one ephemeral container, which stays in its spec for ever. The report is
    written to a directory; run the same command again after a kill and it finishes the work.
    """
    directory, output = options.split_outputs(outputs)
    if metrics_textfile is not None:
        options.check_textfile(metrics_textfile)
    policy, loaded = options.allowed(policy_file, options.load_playbooks(playbooks, debugger_image))
    bounds = policy.spec.bounds

    def bounded(name: str, asked: float, most: int | None) -> float:
        return options.bounded(name, asked, most, policy)

    share = max_per_workload
    if bounds.max_per_workload is not None:
        asked = share if isinstance(share, int) else bounds.max_per_workload
        share = int(bounded("max_per_workload", asked, bounds.max_per_workload))
    request = Request(
        playbooks=loaded,
        selection=options.make_selection(
            namespaces, selector, field_selector, all_namespaces=all_namespaces
        ),
        connection=options.Connection(
            kubeconfig=kubeconfig,
            context=context,
            impersonate=impersonate,
            qps=bounded("qps", qps, bounds.qps),
            burst=burst,
        ),
        budget=Budget(
            at_once=options.at_once(
                in_flight=int(bounded("max_in_flight", max_in_flight, bounds.max_in_flight)),
                per_node=int(bounded("max_per_node", max_per_node, bounds.max_per_node)),
                per_namespace=int(
                    bounded("max_per_namespace", max_per_namespace, bounds.max_per_namespace)
                ),
                per_workload=share,
                canary=canary,
                max_failures=max_failures,
            ),
            debt=DebtLimits(
                max_containers=int(bounded("cap", cap, bounds.max_ephemeral_containers)),
                cool_down_seconds=cool_down_seconds,
            ),
            timeout_seconds=bounded("timeout_seconds", timeout_seconds, bounds.timeout_seconds),
            policy=policy,
            limits=Limits(start_seconds=start_seconds),
        ),
        directory=directory or DEFAULT_DIRECTORY,
        output=output,
        dry_run=dry_run,
        metrics_textfile=metrics_textfile,
        pushgateway=pushgateway,
        allow_empty=allow_empty,
        quiet=quiet,
    )
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    code = asyncio.run(execute(request))
    return ExitCode.OK if exit_zero and code is ExitCode.FINDINGS else code
