"""`podmedic routes test`: what an alert would start, and why."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import msgspec

from runner.cli import options
from runner.cli.alert import webhook_in
from runner.cli.connection import connected
from runner.cli.exit_codes import ExitCode
from runner.cli.planning import planned
from runner.model.trigger import Aim
from runner.plan import PodPlan
from runner.policy import DEFAULT as DEFAULT_POLICY
from runner.policy import Policy, load_policy, of_namespace
from runner.report import one_line
from runner.sweep import Selection
from runner.triggers import DEFAULT, Decision, Routes, decide, load_routes
from runner.triggers.body import RawAlert


def routes_of(file: Path | None) -> Routes:
    """Raises PlaybookErrors."""
    return DEFAULT if file is None else load_routes(file)


@click.group(short_help="Say which alerts start which playbooks.")
def routes() -> None:
    """From alerts to playbooks and pods: docs/triggers.md."""


@routes.command(short_help="Say what an alert would start, and why.")
@click.argument("alert", metavar="ALERT.json")
@options.routes_option
@options.policy_options
@click.option("--pods", is_flag=True, help="Ask the cluster which pods that would be.")
@options.connection_options
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print the decisions as JSON.")
def test(
    alert: str, routes_file: Path | None, policy_file: Path | None, pods: bool,
    output: str | None, **connection: Any,
) -> int:  # fmt: skip
    """Say which route takes each alert of ALERT.json (what Alertmanager or Grafana posts; - is
    stdin), which playbooks it starts on which pods, and why the routes before it did not. Nothing
    is started. Exits 1 if an alert that fires starts nothing."""
    chosen = routes_of(routes_file)
    policy = DEFAULT_POLICY if policy_file is None else load_policy(policy_file)
    body = webhook_in(alert, "")
    decisions = [(each, decide(chosen, each.labels)) for each in body.alerts]
    # A file that is missing would keep the run from beginning.
    for aim in {decision.aim for _, decision in decisions if decision.aim is not None}:
        options.load_playbooks(aim.playbooks, None)
    found: list[Sequence[PodPlan] | None] = [None] * len(decisions)
    if pods:
        found = asyncio.run(_pods(decisions, policy, options.Connection(**connection)))
    told = [
        (each, decision, _refused(decision, policy), plans)
        for (each, decision), plans in zip(decisions, found, strict=True)
    ]
    if output == "json":
        click.echo(json.dumps([_value(*each) for each in told], indent=2))
    else:
        click.echo("\n\n".join("\n".join(map(_shown, _lines(*each))) for each in told))
    idle = any(
        each.firing and (decision.aim is None or refused) for each, decision, refused, _ in told
    )
    return ExitCode.FINDINGS if idle or not told else ExitCode.OK


def _shown(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return line[:indent] + one_line(line)


def _refused(decision: Decision, policy: Policy) -> str:
    if decision.aim is None:
        return ""
    return str(of_namespace(policy, decision.aim.target.namespace) or "")


def _lines(
    alert: RawAlert, decision: Decision, refused: str, plans: Sequence[PodPlan] | None
) -> Iterator[str]:
    state = "firing" if alert.firing else "resolved"
    name = alert.labels.get("alertname") or "(no alertname)"
    yield f"alert {name}, {state}, since {alert.starts_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    for route, matcher in decision.passed:
        found = alert.labels.get(matcher.label)
        has = "the alert has no such label" if found is None else f"it is {json.dumps(found)}"
        yield f"  route {route.name}: no, {matcher} does not hold: {has}"
    if decision.route is None:
        yield "  starts nothing: no route takes it"
        return
    yield f"  route {decision.route.name}: takes it"
    if not alert.firing:
        yield "  starts nothing: it is resolved"
    elif decision.aim is None:
        yield f"  starts nothing: {decision.reason}"
    elif refused:
        yield f"  starts nothing: {refused}"
    else:
        yield from _aim_lines(decision.aim, plans)


def _aim_lines(aim: Aim, plans: Sequence[PodPlan] | None) -> Iterator[str]:
    yield f"  playbooks: {', '.join(aim.playbooks)}"
    container = f", container {aim.target.container}" if aim.target.container else ""
    yield f"  pods: {options.aim_text(aim)}{container}"
    if plans is None:
        return
    for plan in plans:
        workload = f"{plan.workload.kind}/{plan.workload.name}"
        why = plan.skip.message if plan.skip is not None else f"container {plan.target}"
        yield f"    {plan.pod.metadata.name} ({workload}): {why}"
    if not plans:
        yield "    none: no such pod is there now that the playbooks mean"


def _value(
    alert: RawAlert, decision: Decision, refused: str, plans: Sequence[PodPlan] | None
) -> dict[str, Any]:
    aim = None if refused or not alert.firing else decision.aim
    reason = refused or decision.reason or ("" if alert.firing else "it is resolved")
    value: dict[str, Any] = {
        "fingerprint": alert.id,
        "firing": alert.firing,
        "labels": dict(alert.labels),
        "route": None if decision.route is None else decision.route.name,
        "passed": [{"route": route.name, "matcher": str(m)} for route, m in decision.passed],
        "playbooks": [] if aim is None else list(aim.playbooks),
        "target": None if aim is None else msgspec.to_builtins(aim.target),
        "reason": reason,
    }
    if plans is not None:
        value["pods"] = [plan.pod.metadata.name for plan in plans]
    return value


async def _pods(
    decisions: Sequence[tuple[RawAlert, Decision]], policy: Policy, connection: options.Connection
) -> list[Sequence[PodPlan] | None]:
    """Raises ClusterError, and what loading playbooks raises."""
    found: list[Sequence[PodPlan] | None] = []
    async with connected(connection) as cluster:
        for alert, decision in decisions:
            aim = decision.aim
            if aim is None or not alert.firing or _refused(decision, policy):
                found.append(None)
                continue
            playbooks = options.load_playbooks(aim.playbooks, None)
            names = tuple(playbook.name for playbook in playbooks)
            selection = Selection(aims=(msgspec.structs.replace(aim, playbooks=names),))
            plans, _ = await planned(cluster, playbooks, selection, policy, allow_empty=True)
            found.append(plans)
    return found
