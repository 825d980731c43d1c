"""`podmedic preflight`: which pods would accept an injection, which not, and why."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from runner.cli import options
from runner.cli.connection import connected
from runner.cli.exit_codes import ExitCode
from runner.cli.planning import code_of, planned
from runner.cluster import Access
from runner.preflight import Verdict
from runner.report import one_line
from runner.report.output import table
from runner.report.view import plural
from runner.sweep.preflight import Preflight, Row, preflight

_COLUMNS = ("NAMESPACE", "NAME", "WORKLOAD", "STRATEGY", "PROFILE", "VERDICT", "REASON", "MESSAGE")


def _cells(row: Row) -> tuple[str, ...]:
    plan, prediction = row.plan, row.prediction
    inside = [injection for injection in plan.injections if injection.steps]
    values = (
        plan.pod.metadata.namespace,
        plan.pod.metadata.name,
        f"{plan.workload.kind}/{plan.workload.name}",
        ",".join(dict.fromkeys(i.choice.strategy for i in inside)),
        ",".join(dict.fromkeys(i.debugger.profile for i in inside)),
        prediction.verdict.value,
        prediction.reason,
        prediction.message or "; ".join(row.notes),
    )
    return tuple(one_line(value) or "<none>" for value in values)


def _value(row: Row) -> dict[str, Any]:
    pod, plan = row.plan.pod.metadata, row.plan
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "node": plan.pod.spec.node_name,
        "workload": {"kind": plan.workload.kind, "name": plan.workload.name},
        "container": plan.target,
        "injections": [
            {
                "strategy": i.choice.strategy,
                "image": i.debugger.image,
                "profile": i.debugger.profile,
            }
            for i in plan.injections
            if i.steps
        ],
        "verdict": row.prediction.verdict.value,
        "reason": row.prediction.reason,
        "message": row.prediction.message,
        "notes": list(row.notes),
    }


def _permission(missing: Access) -> dict[str, str]:
    resource = f"{missing.resource}.{missing.group}" if missing.group else missing.resource
    return {"verb": missing.verb, "resource": resource, "namespace": missing.namespace or ""}


def _summary(found: Preflight) -> str:
    counts = Counter(row.prediction.verdict for row in found.rows)
    words = ", ".join(
        f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]
    )
    asked = "once" if found.asked == 1 else f"{found.asked} times"
    lines = [f"{plural(len(found.rows), 'pod')}: {words}. The API server was asked {asked}."]
    for missing in found.missing:
        right = _permission(missing)
        lines.append(
            f"missing permission: {right['verb']} {right['resource']} in namespace "
            f"{right['namespace']}; `podmedic rbac` prints the Role to apply"
        )
    lines += [f"not looked at: {one_line(unknown)}" for unknown in found.unknown]
    return "\n".join(lines)


def _print(found: Preflight, output: str) -> None:
    if output == "table":
        click.echo(table([_COLUMNS, *map(_cells, found.rows)]))
        click.echo(_summary(found))
        return
    document = {
        "missingPermissions": [_permission(missing) for missing in found.missing],
        "notLookedAt": list(found.unknown),
        "dryRuns": found.asked,
        "pods": [_value(row) for row in found.rows],
    }
    if output == "json":
        click.echo(json.dumps(document, indent=2))
    else:
        import yaml  # noqa: PLC0415

        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


def _code(found: Preflight, rows: Sequence[Row]) -> ExitCode:
    fine = all(row.prediction.verdict is Verdict.ACCEPTED for row in rows)
    return ExitCode.OK if fine and not found.missing else ExitCode.FINDINGS


@click.command(
    name="preflight", short_help="Say which pods would accept an injection, and why not."
)
@click.argument("playbooks", nargs=-1, metavar="[PLAYBOOK]...")
@options.selection_options
@options.connection_options
@options.debugger_options
@options.policy_options
@options.cap_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option("--allow-empty", is_flag=True, help="No error when nothing is selected.")
def preflight_(  # one argument per option
    playbooks: tuple[str, ...], namespaces: tuple[str, ...], all_namespaces: bool, selector: str,
    field_selector: str, debugger_image: str | None, policy_file: Path | None, cap: int,
    output: str, allow_empty: bool, **connection: Any,
) -> int:  # fmt: skip
    """Say of each pod that PLAYBOOKs mean whether an injection would be accepted, refused, or
    accepted and never started, and why: permissions, the API server's own dry run, and what
    only the kubelet will know. Changes nothing. Exit code 1 unless all would be accepted."""
    policy, loaded = options.allowed(policy_file, options.load_playbooks(playbooks, debugger_image))
    selection = options.make_selection(
        namespaces, selector, field_selector, all_namespaces=all_namespaces
    )

    async def ask() -> ExitCode:
        async with connected(options.Connection(**connection)) as cluster:
            plans, absent = await planned(
                cluster, loaded, selection, policy, allow_empty=allow_empty, cap=cap
            )
            run_id = f"preflight-{secrets.token_hex(4)}"
            found = await preflight(cluster, loaded, plans, policy, datetime.now(UTC), run_id)
        if why := str(absent):
            found = replace(found, unknown=(*found.unknown, why))
        _print(found, output)
        return max(_code(found, found.rows), code_of(absent, allow_empty=allow_empty))

    return asyncio.run(ask())
