"""`podmedic attach`: back to a shell that was left."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from runner.cli import options
from runner.cli.connection import connected
from runner.cli.conversation import detach_keys_option, hold_conversation, how_to_leave
from runner.cli.main import complain
from runner.cli.pod_command import UNKNOWN, PodCommand, Said, interruptible, pod_name
from runner.cli.record import About, prepare_directory, record_option, recorded
from runner.cli.terminal import require_terminal
from runner.policy import Policy
from runner.shell.find import Sought, as_it_stands, find, last_lines


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """The command line, read and checked."""

    pod: str
    namespace: str
    container: str
    policy: Policy
    connection: options.Connection
    detach_keys: bytes
    record: Path | None


@click.command(cls=PodCommand, short_help="Come back to a shell that was left.")
@click.argument("pod")
@click.option("-n", "--namespace", default="", metavar="NAMESPACE", help="Namespace of the pod.")
@click.option(
    "-c",
    "--container",
    default="",
    metavar="NAME",
    help="Ephemeral container of the shell. Default: the only one that runs.",
)
@detach_keys_option
@record_option
@options.connection_options
@options.policy_options
def attach(  # one argument per option
    pod: str, namespace: str, container: str, detach_keys: bytes, record: Path | None,
    policy_file: Path | None, **connection: Any,
) -> int:  # fmt: skip
    """Come back to a shell in POD that `podmedic shell` began and that was left: by its detach
    keys, by a closed window, by a lost connection. Changes nothing in the pod.

    Exit codes as of `podmedic shell`.
    """
    require_terminal("a shell wants somebody who sits at one")
    options.check_container("-c", container)
    if namespace:
        options.make_selection((namespace,), "", "", all_namespaces=False)
    policy, _ = options.allowed(policy_file, ())
    options.exec_allowed(policy, "podmedic attach")
    request = _Request(
        pod=pod_name(pod),
        namespace=namespace,
        container=container,
        policy=policy,
        connection=options.bounded_connection(policy, connection),
        detach_keys=detach_keys,
        record=record,
    )
    if record is not None:
        prepare_directory(record)
    return asyncio.run(interruptible(partial(_run, request)))


async def _run(request: _Request, said: Said) -> int:
    # Imported here: a misspelt option needs none of it.
    from runner.cli.redaction import LazyRedactor  # noqa: PLC0415

    async with connected(request.connection) as cluster:
        sought = Sought(
            namespace=request.namespace or cluster.default_namespace,
            pod=request.pod,
            container=request.container,
            policy=request.policy,
        )
        async with find(cluster, sought, _now) as found:
            left = (found.ends_at - _now()).total_seconds()
            complain(
                f"container {found.place.container}; {how_to_leave(request.detach_keys)}; it ends "
                f"by itself in {max(left, 0):.0f} s. Without a prompt, press Enter."
            )
            for line in await last_lines(cluster, found.place):
                click.echo(f"| {line}", err=True)
            said.now = f"container {found.place.container} goes on"
            said.code = UNKNOWN
            container: dict[str, Any] = {}
            if request.record is not None:
                container = await as_it_stands(cluster, found.place)
            about = About(
                place=found.place, pod=found.pod, target=found.target, container=container, facts={}
            )
            with recorded(request.record, lambda: about, LazyRedactor(), tell=True) as kept:
                return await hold_conversation(
                    cluster,
                    found.place,
                    found.end,
                    detach_keys=request.detach_keys,
                    begin=False,
                    kept=kept,
                )


def _now() -> datetime:
    return datetime.now(UTC)
