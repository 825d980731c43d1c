"""`podmedic containers`: which pods carry which ephemeral containers, and what ends that."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from runner.cli import options
from runner.cli.connection import connected
from runner.cli.exit_codes import ExitCode
from runner.cli.main import complain
from runner.cli.planning import code_of
from runner.cluster import Cluster, Resource
from runner.debt import DebtLimits, Entry, Rollout, entries, rollouts
from runner.model.base import Value
from runner.model.pod import ObjectMeta, Pod
from runner.report import one_line
from runner.report.output import table
from runner.report.view import plural
from runner.select import workload_of
from runner.sweep.existence import absent

_PODS = Resource(plural="pods")
_COLUMNS = ("NAMESPACE", "POD", "CONTAINER", "FROM", "STATE", "AGE", "BYTES")
_WIDE = ("WORKLOAD", "NODE", "IMAGE")


class _ManagedFields(Value, frozen=True, kw_only=True):
    manager: str = ""
    time: datetime | None = None
    subresource: str = ""
    fields: dict[str, Any] = msgspec.field(default={}, name="fieldsV1")


class _Meta(ObjectMeta, frozen=True, kw_only=True):
    managed_fields: tuple[_ManagedFields, ...] = ()


class _Pod(Pod, frozen=True, kw_only=True):
    """A pod with the names of those who wrote to it, which selecting pods has no use for."""

    metadata: _Meta


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pod: Pod
    entry: Entry
    by: str
    since: datetime | None


def _managers(pod: _Pod) -> dict[str, _ManagedFields]:
    """Who added each ephemeral container, by the container's name."""
    found: dict[str, _ManagedFields] = {}
    for managed in pod.metadata.managed_fields:
        spec = managed.fields.get("f:spec")
        added = spec.get("f:ephemeralContainers") if isinstance(spec, dict) else None
        for key in added if isinstance(added, dict) else ():
            try:
                name = json.loads(key.removeprefix("k:"))["name"]
            except (ValueError, TypeError, KeyError):
                continue
            found[name] = managed
    return found


def _rows(pods: Sequence[_Pod]) -> Iterator[_Row]:
    for pod in pods:
        managers = _managers(pod)
        for entry in entries(pod):
            managed = managers.get(entry.name)
            manager = managed.manager if managed is not None else ""
            yield _Row(
                pod=pod,
                entry=entry,
                by=f"podmedic run {entry.run}" if entry.run else manager or "unknown",
                since=entry.started_at or (managed.time if managed is not None else None),
            )


def _age(since: datetime | None, now: datetime) -> str:
    """As kubectl prints it: 45s, 12m, 3h, 9d."""
    if since is None:
        return "unknown"
    seconds = max(int((now - since).total_seconds()), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _state(entry: Entry) -> str:
    code = f" ({entry.exit_code})" if entry.exit_code is not None else ""
    reason = f": {entry.reason}" if entry.reason and entry.reason != "Completed" else ""
    stays = " (resident)" if entry.resident and entry.state == "running" else ""
    return f"{entry.state}{reason}{code}{stays}"


def _cells(row: _Row, now: datetime, *, wide: bool) -> tuple[str, ...]:
    workload = workload_of(row.pod)
    values: tuple[str, ...] = (
        row.pod.metadata.namespace, row.pod.metadata.name, row.entry.name, row.by,
        _state(row.entry), _age(row.since, now), str(row.entry.bytes),
    )  # fmt: skip
    if wide:
        values += (f"{workload.kind}/{workload.name}", row.pod.spec.node_name, row.entry.image)
    return tuple(one_line(value) or "<none>" for value in values)


def _value(row: _Row) -> dict[str, Any]:
    entry, workload = row.entry, workload_of(row.pod)
    return {
        "namespace": row.pod.metadata.namespace,
        "pod": row.pod.metadata.name,
        "workload": {"kind": workload.kind, "name": workload.name},
        "node": row.pod.spec.node_name,
        "container": entry.name,
        "image": entry.image,
        "from": row.by,
        "run": entry.run or None,
        "state": entry.state,
        "reason": entry.reason,
        "exitCode": entry.exit_code,
        "since": row.since.isoformat() if row.since else None,
        "finishedAt": entry.finished_at.isoformat() if entry.finished_at else None,
        "bytes": entry.bytes,
        "resident": entry.resident,
    }


def _rollout_value(rollout: Rollout) -> dict[str, Any]:
    workload = rollout.workload
    return {
        "workload": {
            "kind": workload.kind,
            "namespace": workload.namespace,
            "name": workload.name,
        },
        "pods": rollout.pods,
        "containers": rollout.containers,
        "bytes": rollout.bytes,
        "due": rollout.due,
        "command": rollout.command,
    }


def _advice(found: Sequence[Rollout], limits: DebtLimits) -> str:
    pods, containers = sum(r.pods for r in found), sum(r.containers for r in found)
    size = sum(r.bytes for r in found)
    words = f"{plural(containers, 'ephemeral container')} in {plural(pods, 'pod')}"
    carried = f"{words}, about {size} bytes."
    lines = [f"{carried} They leave a pod only with the pod."]
    due = [
        f"{r.command}   # {plural(r.pods, 'pod')}, {plural(r.containers, 'container')}, "
        f"{r.bytes} bytes"
        for r in found
        if r.due
    ]
    cap = f"{limits.max_containers} containers or {limits.max_bytes} bytes a pod"
    lines += due or [f"No workload needs a rollout for them yet (the cap is {cap})."]
    return "\n".join(lines)


def _print(pods: Sequence[_Pod], output: str | None) -> None:
    limits, now = DebtLimits(), datetime.now(UTC)
    rows, found = list(_rows(pods)), rollouts(pods, limits)
    if output in ("json", "yaml"):
        document = {
            "containers": [_value(row) for row in rows],
            "workloads": [_rollout_value(rollout) for rollout in found],
        }
        if output == "json":
            click.echo(json.dumps(document, indent=2))
            return
        import yaml  # noqa: PLC0415

        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
    elif output == "name":
        for pod in pods:
            click.echo(f"pod/{one_line(pod.metadata.name)}")
    elif not rows:
        click.echo("No ephemeral containers.")
    else:
        wide = output == "wide"
        head = _COLUMNS + _WIDE if wide else _COLUMNS
        click.echo(table([head, *(_cells(row, now, wide=wide) for row in rows)]))
        click.echo(_advice(found, limits))


async def _carriers(
    cluster: Cluster, namespaces: Sequence[str | None], selector: str, field_selector: str
) -> list[_Pod]:
    """The pods that have any, page by page: the others are dropped at once."""
    found: list[_Pod] = []
    for namespace in namespaces:
        async for page in cluster.objects.pages(
            _PODS, namespace, _Pod, label_selector=selector, field_selector=field_selector
        ):
            found += [pod for pod in page if pod.spec.ephemeral_containers]
    found.sort(key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
    return found


@click.command(short_help="List the ephemeral containers that pods carry.")
@options.selection_options
@options.connection_options
@click.option("-o", "--output", type=click.Choice(options.OUTPUTS), help="Output format.")
def containers(  # one argument per option
    namespaces: tuple[str, ...], all_namespaces: bool, selector: str, field_selector: str,
    output: str | None, **connection: Any,
) -> int:  # fmt: skip
    """List the ephemeral containers in pods, whoever put them there: from whom, how old, in
    which state, how many bytes of the pod, and which workloads to roll out to get rid of them.
    Reads pods, changes nothing."""
    selection = options.make_selection(
        namespaces, selector, field_selector, all_namespaces=all_namespaces
    )

    async def show() -> ExitCode:
        async with connected(options.Connection(**connection)) as cluster:
            where: Sequence[str | None] = [None]
            if selection.namespaces is not None:
                where = selection.namespaces or [cluster.default_namespace]
            found = await _carriers(cluster, where, selector, field_selector)
            carrying = {pod.metadata.namespace for pod in found}
            names = [name for name in where if name is not None and name not in carrying]
            gone = await absent(cluster, names)
        if why := str(gone):
            complain(why)
        _print(found, output)
        return code_of(gone, allow_empty=False)

    return asyncio.run(show())
