"""`podmedic plan` and the dry runs: what would be done, and whether the API server would let us."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runner.cli import options
from runner.cli.connection import connected
from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.planning import code_of, planned
from runner.cluster import Cluster
from runner.plan import PodPlan
from runner.policy import Policy
from runner.preflight import Verdict
from runner.report import one_line
from runner.report.output import table
from runner.report.view import plural
from runner.sweep.preflight import ask_server

_COLUMNS = ("NAMESPACE", "NAME", "WORKLOAD", "CONTAINER", "CONDITIONS", "PLAYBOOKS", "STRATEGY",
            "STEPS", "REASON")  # fmt: skip


@click.command(short_help="Show what `run` would do.")
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@options.selection_options
@options.connection_options
@options.debugger_options
@options.policy_options
@options.cap_option
@click.option("-o", "--output", type=click.Choice(options.OUTPUTS), help="Output format.")
@click.option("--allow-empty", is_flag=True, help="No error when nothing is selected.")
def plan(  # one argument per option
    playbooks: tuple[str, ...], namespaces: tuple[str, ...], all_namespaces: bool, selector: str,
    field_selector: str, debugger_image: str | None, policy_file: Path | None, cap: int,
    output: str | None, allow_empty: bool, **connection: Any,
) -> int:  # fmt: skip
    """Show which pods PLAYBOOKs mean and what `run` would do to each. Reads pods, changes
    nothing."""
    policy, loaded = options.allowed(policy_file, options.load_playbooks(playbooks, debugger_image))
    selection = options.make_selection(
        namespaces, selector, field_selector, all_namespaces=all_namespaces
    )

    async def show() -> ExitCode:
        async with connected(options.Connection(**connection)) as cluster:
            plans, absent = await planned(
                cluster, loaded, selection, policy, allow_empty=allow_empty, cap=cap
            )
        print_plans(plans, output)
        if absent.missing:
            complain(str(absent))
        return code_of(absent, allow_empty=allow_empty)

    return asyncio.run(show())


def _strategy(pod_plan: PodPlan) -> str:
    strategies = dict.fromkeys(i.choice.strategy for i in pod_plan.injections)
    return ",".join(strategies) or ("skip" if pod_plan.skip else "none")


def _reason(pod_plan: PodPlan) -> str:
    if pod_plan.skip is not None:
        return pod_plan.skip.reason
    return ",".join(dict.fromkeys(i.choice.reason for i in pod_plan.injections if i.choice.reason))


def _as_value(pod_plan: PodPlan) -> dict[str, Any]:
    pod = pod_plan.pod.metadata
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "node": pod_plan.pod.spec.node_name,
        "workload": {"kind": pod_plan.workload.kind, "name": pod_plan.workload.name},
        "container": pod_plan.target,
        "conditions": [c.value for c in pod_plan.conditions],
        "playbooks": [p.metadata.name for p in pod_plan.playbooks],
        "skip": pod_plan.skip._asdict() if pod_plan.skip is not None else None,
        "injections": [
            {
                "strategy": i.choice.strategy,
                "reason": i.choice.reason,
                "message": i.choice.message,
                "image": i.debugger.image,
                "profile": i.debugger.profile,
                "profileReason": i.profile_reason,
                "steps": [f"{s.playbook}/{s.name}" for s in i.steps],
                "notRun": [f"{n.playbook}/{n.step}: {n.reason}" for n in i.not_run],
                "deadlineSeconds": i.deadline_seconds,
            }
            for i in pod_plan.injections
        ],
    }


def _cells(pod_plan: PodPlan) -> tuple[str, ...]:
    workload = pod_plan.workload
    values = (
        pod_plan.pod.metadata.namespace,
        pod_plan.pod.metadata.name,
        f"{workload.kind}/{workload.name}",
        pod_plan.target,
        ",".join(c.value for c in pod_plan.conditions),
        ",".join(p.metadata.name for p in pod_plan.playbooks),
        _strategy(pod_plan),
        str(sum(len(i.steps) for i in pod_plan.injections)),
        _reason(pod_plan),
    )
    return tuple(one_line(v) or "<none>" for v in values)


def print_plans(plans: Sequence[PodPlan], output: str | None) -> None:
    if output == "json":
        click.echo(json.dumps([_as_value(p) for p in plans], indent=2))
    elif output == "yaml":
        import yaml  # noqa: PLC0415

        click.echo(yaml.safe_dump([_as_value(p) for p in plans], sort_keys=False), nl=False)
    elif output == "name":
        for pod_plan in plans:
            click.echo(f"pod/{pod_plan.pod.metadata.name}")
    else:
        click.echo(table([_COLUMNS, *map(_cells, plans)]), nl=False)
        injected = sum(1 for p in plans if any(i.steps for i in p.injections))
        skipped = sum(1 for p in plans if p.skip is not None)
        click.echo(
            f"\n{plural(len(plans), 'pod')}: {injected} would get an ephemeral container, "
            f"{skipped} skipped, {len(plans) - injected - skipped} read from the API only."
        )


async def server_dry_run(
    cluster: Cluster, plans: Sequence[PodPlan], policy: Policy, output: str | None
) -> ExitCode:
    """Ask the API server once for each kind of injection whether it would accept the PATCH.
    Nothing is stored."""
    answers = await ask_server(cluster, plans, policy, f"dry-run-{secrets.token_hex(4)}")
    print_plans(plans, output)
    refused = [answer for answer in answers.values() if answer.verdict is not Verdict.ACCEPTED]
    for answer in refused:
        click.echo(one_line(f"refused: {answer.reason}: {answer.message}"), err=True)
    click.echo(
        f"The API server would accept {len(answers) - len(refused)} of {len(answers)} kinds of "
        "injection (one asked per workload); `podmedic preflight` says it for each pod.",
        err=True,
    )
    return ExitCode.FINDINGS if refused else ExitCode.OK
