"""What commands that run something in one pod share: exit codes, and how they are interrupted."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import click
import msgspec

from runner.cli import options
from runner.cli.main import complain, explain
from runner.shell import NotReachedError

NOTHING_RUN = 125
UNKNOWN = 255


def refuse(error: Exception) -> NoReturn:
    """In one line, with the exit code that no command of a user's is likely to have."""
    for line in explain(error)[0].splitlines() or [""]:
        complain(line)
    raise click.exceptions.Exit(NOTHING_RUN) from error


class PodCommand(click.Command):
    """Exit codes below 125 are those of what runs in the pod: whatever else goes wrong before has
    125, misspelt options too."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            refuse(error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except Exception as error:  # noqa: BLE001  (the boundary, as in runner.cli.main)
            refuse(error)


# As kubectl takes them.
_KINDS = {
    "Pod": ("pod", "pods", "po"),
    "Deployment": ("deployment", "deployments", "deploy"),
    "StatefulSet": ("statefulset", "statefulsets", "sts"),
    "DaemonSet": ("daemonset", "daemonsets", "ds"),
    "Job": ("job", "jobs"),
    "CronJob": ("cronjob", "cronjobs", "cj"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}


def pod_or_workload(text: str) -> tuple[str, str]:
    """Kind and name: `web` and `pod/web` are a Pod, `deploy/web` is a Deployment."""
    kind, slash, name = text.rpartition("/")
    if slash and kind.lower() not in _KIND_OF:
        raise click.UsageError(
            f"{text}: the name of a pod is expected, or pod/NAME, deploy/NAME, sts/NAME, ds/NAME, "
            "job/NAME, cronjob/NAME"
        )
    found = _KIND_OF[kind.lower()] if slash else "Pod"
    if not options.POD_NAME.fullmatch(name):
        raise click.UsageError(
            f"{name!r} is no name of a {found}: lower case letters, digits, '-' and '.'"
        )
    return found, name


def pod_name(text: str) -> str:
    """`web` or, as kubectl takes it too, `pod/web`."""
    kind, name = pod_or_workload(text)
    if kind != "Pod":
        raise click.UsageError(f"{text}: the name of a pod is expected, or pod/NAME")
    return name


class Said(msgspec.Struct):
    """What an interruption at this moment means."""

    now: str = "nothing was run"
    code: int = NOTHING_RUN


async def interruptible(main: Callable[[Said], Awaitable[int]]) -> int:
    """Signals end it in good order, and what it has said of itself by then is told."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    said = Said()
    try:
        return await main(said)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):  # the terminal that hung up has stderr, too
            complain(f"interrupted; {said.now}")
        return said.code
    except NotReachedError as error:
        complain(str(error))
        return NOTHING_RUN
