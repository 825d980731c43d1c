"""`podmedic shell`: an ephemeral container now, and a command in it."""

import asyncio
import secrets
import shlex
from collections.abc import Sequence
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
from runner.cli.pod_command import (
    NOTHING_RUN,
    UNKNOWN,
    PodCommand,
    Said,
    interruptible,
    pod_or_workload,
)
from runner.cli.record import About, Kept, as_shown, prepare_directory, record_option, recorded
from runner.cli.stdio import Output, read_stdin
from runner.cli.terminal import require_terminal
from runner.cluster import Cluster, ClusterError, Ended, ErrorReason, StreamOutcome
from runner.debt import DebtLimits
from runner.permissions import command_needs, terminal_needs
from runner.playbook import Playbook
from runner.policy import Policy
from runner.shell import Asked, Command, Reached, document, reach, run_command
from runner.shell.cast import Recorder
from runner.shell.command import ended_afterwards, seconds_left
from runner.shell.program import UNATTENDED_SECONDS

# After these the command may have been started.
_MAYBE_RUN = frozenset({ErrorReason.UNREACHABLE, ErrorReason.SERVER})
_PROFILES = ("auto", "restricted", "general", "baseline", "netadmin", "sysadmin")
_STRATEGIES = ("auto", "target", "own-image", "shared")
_NO_STRATEGIES = {
    "catch": "it lasts no longer than a crash-looping container runs; auto stays beside it",
    "copy": "a copy is deleted when podmedic ends, a shell may be left and come back to",
    "none": "it injects nothing, and a shell is in a container",
}


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """The command line, read and checked. `command` None: a terminal."""

    kind: str
    name: str
    namespace: str
    container: str
    playbook: Playbook
    policy: Policy
    cap: int
    connection: options.Connection
    start_seconds: float
    ttl_seconds: int
    timeout_seconds: float | None
    new: bool
    command: str | None
    stdin: bool
    detach_keys: bytes
    record: Path | None
    verbose: bool


class _Shell(PodCommand):
    """Who comes from kubectl writes the command behind `--`, and `-it` for a terminal."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        how = "--command takes the whole command as one text"
        try:
            left = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in ("-t", "--tty"):
                raise click.UsageError(
                    f"there is no {error.option_name}: without --command it is a terminal, and -i "
                    "passes stdin to the command",
                    ctx,
                ) from None
            if error.possibilities:
                raise
            words = error.format_message().rstrip(".")
            raise click.UsageError(f"{words}; if it is the command's: {how}", ctx) from None
        if left:
            text = shlex.join(left)
            if ctx.params.get("command") is None:
                how = f"a command in the pod is given as --command {shlex.quote(text)}"
            raise click.UsageError(f"unexpected: {text}; {how}", ctx)
        return left


@click.command(
    cls=_Shell,
    context_settings={"allow_extra_args": True},
    short_help="A terminal or a command in a pod, from an ephemeral container.",
)
@click.argument("pod")
@click.option(
    "--command",
    default=None,
    metavar="TEXT",
    help="Script for the POSIX shell there. Without it, a terminal.",
)
@click.option("-n", "--namespace", default="", metavar="NAMESPACE", help="Namespace of the pod.")
@click.option(
    "-c",
    "--target",
    "container",
    default="",
    metavar="CONTAINER",
    help="Target container. Default: the sick one, else the pod's default container.",
)
@click.option(
    "--image",
    default=None,
    metavar="IMAGE",
    help="Image of the ephemeral container; any with a POSIX shell. Default: podmedic's tools.",
)
@click.option(
    "--profile",
    type=click.Choice(_PROFILES),
    default="restricted",
    show_default=True,
    help="Security context, as of `kubectl debug`; auto: the least that sees the target.",
)
@click.option(
    "--strategy",
    type=click.Choice((*_STRATEGIES, *_NO_STRATEGIES)),
    metavar=f"[{'|'.join(_STRATEGIES)}]",
    default="auto",
    show_default=True,
    help="How to reach the pod: docs/strategies.md.",
)
@click.option(
    "--run-as-user",
    type=options.UserAndGroup(),
    default=None,
    metavar="UID[:GID]",
    help="Default: the user and group of the target container, as far as they are known.",
)
@click.option("-i", "--stdin", is_flag=True, help="Pass stdin to the command.")
@click.option(
    "--timeout",
    "timeout_seconds",
    default=300.0,
    type=options.Seconds(),
    show_default=True,
    help="Seconds after which the command is ended; 0: none, it may take as long as --ttl.",
)
@click.option(
    "--ttl",
    "ttl_seconds",
    default=3600,
    type=click.IntRange(5, 7 * 86400),
    show_default=True,
    help="Seconds after which the container ends by itself, whatever becomes of podmedic.",
)
@click.option(
    "--new",
    is_flag=True,
    help="Inject a container for --command although one of ours that stays would do.",
)
@options.start_timeout_option
@options.cap_option
@detach_keys_option
@record_option
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what was injected, and how.")
@options.connection_options
@options.policy_options
def shell(  # one argument per option
    pod: str, command: str | None, namespace: str, container: str, image: str | None, profile: str,
    strategy: str, run_as_user: tuple[int, int | None] | None, stdin: bool,
    timeout_seconds: float, ttl_seconds: int, new: bool, start_seconds: float, cap: int,
    detach_keys: bytes, record: Path | None,
    verbose: bool, policy_file: Path | None, **connection: Any,
) -> int:  # fmt: skip
    """A terminal in POD, or one command, in an ephemeral container beside its own; exits with the
    exit code of the shell or the command. POD may be deploy/NAME and the like: one of its pods,
    then, an ill one first.

    The container is injected by the rules of a sweep and ends with what runs in it. A command's
    stdout and stderr come as they are. Exit code 125: nothing was run; 255: the exit code is not
    known.
    """
    if strategy in _NO_STRATEGIES:
        raise click.UsageError(f"--strategy {strategy}: {_NO_STRATEGIES[strategy]}")
    if command is None:
        if stdin:
            raise click.UsageError("-i is for --command; a terminal has stdin always")
        require_terminal("--command TEXT runs one command, -i --command sh a script from stdin")
    if image is not None:
        options.check_image("--image", image)
    options.check_container("-c", container)
    if namespace:
        options.make_selection((namespace,), "", "", all_namespaces=False)
    if run_as_user is not None and run_as_user[0] == 0 and profile == "restricted":
        raise click.UsageError(
            "--run-as-user 0: profile restricted runs as no root; --profile baseline would"
        )
    if command is not None and not command.strip():
        raise click.UsageError("--command: there is nothing to run; without it, a terminal")
    if command is not None and "\0" in command:
        raise click.UsageError("--command: a NUL byte cannot be passed to a command")
    kind, name = pod_or_workload(pod)
    made = document(
        kind=kind,
        name=name,
        image=image,
        profile=profile,
        strategy=strategy,
        run_as_user=run_as_user,
        container=container,
    )
    policy, (playbook,) = options.allowed(policy_file, [made])
    options.exec_allowed(policy, "podmedic shell")
    request = _Request(
        kind=kind,
        name=name,
        namespace=namespace,
        container=container,
        playbook=playbook,
        policy=policy,
        cap=int(options.bounded("cap", cap, policy.spec.bounds.max_ephemeral_containers, policy)),
        connection=options.bounded_connection(policy, connection),
        start_seconds=start_seconds,
        ttl_seconds=ttl_seconds,
        # As with kubectl's --request-timeout, 0 is no limit.
        timeout_seconds=timeout_seconds or None,
        new=new,
        command=command,
        stdin=stdin,
        detach_keys=detach_keys,
        record=record,
        verbose=verbose,
    )
    if record is not None:
        prepare_directory(record)
    return asyncio.run(interruptible(partial(_run, request)))


async def _run(request: _Request, said: Said) -> int:
    # Imported here: a misspelt option needs none of it.
    from runner.cli.redaction import LazyRedactor  # noqa: PLC0415

    async with connected(request.connection) as cluster:
        asked = Asked(
            namespace=request.namespace or cluster.default_namespace,
            kind=request.kind,
            name=request.name,
            container=request.container,
            playbook=request.playbook,
            policy=request.policy,
            debt=DebtLimits.of_cap(request.cap),
            run_id=f"shell-{_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            start_seconds=request.start_seconds,
            ttl_seconds=request.ttl_seconds,
            again_seconds=_again_seconds(request),
            terminal=request.command is None,
            needs=terminal_needs() if request.command is None else command_needs(),
        )
        said.now = (
            "a container that was injected by then ends by itself within "
            f"{UNATTENDED_SECONDS} s of its start; no command was run"
        )
        redact = LazyRedactor()
        async with reach(cluster, redact, _now, asked) as reached:
            if reached.pod_note:
                complain(reached.pod_note)
            if request.verbose:
                _tell(reached)
            tell = request.verbose or request.command is None
            with recorded(request.record, partial(_about, reached), redact, tell=tell) as kept:
                if request.command is None:
                    return await _sit(cluster, request, reached, said, kept)
                stays = reached.injection.reused
                what = "the command was" if stays else "the command and its container were"
                said.now, said.code = f"{what} ended", UNKNOWN
                mark = asked.run_id if stays else reached.place.container
                async with ended_afterwards(cluster, reached.place, mark=mark, alone=stays):
                    code = await _exec(cluster, request, reached, mark, kept.recorder)
                    return kept.of(code)


def _again_seconds(request: _Request) -> float | None:
    """A terminal is left and come back to, which what is begun by an exec cannot be."""
    if request.new or request.command is None:
        return None
    return request.timeout_seconds or request.ttl_seconds


def _about(reached: Reached) -> About:
    return About(
        place=reached.place,
        pod=reached.latest(),
        target=reached.target,
        container=reached.body,
        facts={
            "strategy": reached.injection.strategy,
            "strategyNote": reached.strategy_note,
            "profile": reached.injection.profile,
        },
    )


async def _sit(
    cluster: Cluster, request: _Request, reached: Reached, said: Said, kept: Kept
) -> int:
    place, note = reached.place, reached.strategy_note
    if not request.verbose:
        complain(f"container {place.container} beside {reached.target}{note and f': {note}'}")
    complain(
        f"{how_to_leave(request.detach_keys)}; it ends by itself {request.ttl_seconds} s after "
        "its start"
    )
    said.now = f"container {place.container} goes on until then, `podmedic attach` comes back to it"
    said.code = UNKNOWN
    return await hold_conversation(
        cluster,
        place,
        reached.end,
        detach_keys=request.detach_keys,
        begin=True,
        kept=kept,
    )


async def _exec(
    cluster: Cluster, request: _Request, reached: Reached, mark: str, recorder: Recorder | None
) -> int:
    output = Output()

    async def write(is_error: bool, data: bytes) -> None:
        if recorder is not None:
            recorder.output(as_shown(data))
        await output.write(is_error, data)

    command = Command(
        text=request.command or "",
        mark=mark,
        alone_seconds=request.ttl_seconds if reached.injection.reused else None,
        timeout_seconds=request.timeout_seconds,
        seconds_left=seconds_left(reached.ends_at, _now()),
        stdin=read_stdin() if request.stdin else None,
    )
    try:
        ended = await run_command(cluster, reached.place, command, write)
    except ClusterError as error:
        complain(error.message)
        return UNKNOWN if error.reason in _MAYBE_RUN else NOTHING_RUN
    except BrokenPipeError:
        return UNKNOWN  # as much as its reader wanted
    except OSError as error:
        complain(f"the command's output cannot be written: {error.strerror}; it was ended")
        return UNKNOWN
    return _code(ended, reached)


def _code(ended: Ended, reached: Reached) -> int:
    if ended.outcome is StreamOutcome.EXITED and ended.exit_code is not None:
        pod = reached.latest()
        if ended.exit_code == 137 and pod.metadata.deletion_timestamp is not None:
            complain(f"the command was killed: pod {pod.metadata.name} is being deleted")
        return ended.exit_code
    complain(f"the command's exit code is not known: {ended.message} ({ended.reason})")
    return UNKNOWN


def _tell(reached: Reached) -> None:
    injection, place = reached.injection, reached.place
    note = f": {reached.strategy_note}" if reached.strategy_note else ""
    why = f" ({injection.profile_reason})" if injection.profile_reason else ""
    again = " (it was there and is used again)" if injection.reused else ""
    complain(
        f"container {place.container}{again} in pod {place.namespace}/{place.pod}, image "
        f"{injection.image}, profile {injection.profile}{why}, target {reached.target}, strategy "
        f"{injection.strategy}{note}"
    )
    _warn(injection.warnings)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        complain(f"warning: {warning}")


def _now() -> datetime:
    return datetime.now(UTC)
