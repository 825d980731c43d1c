"""One sitting at a terminal in a pod, from raw mode to the exit code."""

import contextlib
from collections.abc import Awaitable, Callable

import click

from runner.cli.main import complain
from runner.cli.pod_command import UNKNOWN
from runner.cli.record import Kept
from runner.cli.terminal import LocalTerminal
from runner.cluster import Cluster, Place
from runner.model.pod import StateTerminated
from runner.shell.keys import DEFAULT_DETACH_KEYS, parse_keys
from runner.shell.session import converse

# For the kubelet to tell how the container ended, after its terminal has closed.
_END_SECONDS = 15.0


class DetachKeysParam(click.ParamType[bytes]):
    name = "keys"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return parse_keys(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


detach_keys_option = click.option(
    "--detach-keys",
    default=DEFAULT_DETACH_KEYS,
    type=DetachKeysParam(),
    show_default=True,
    metavar="KEYS",
    help="Keys that leave the container running, as docker spells them; empty for none.",
)


def how_to_leave(detach_keys: bytes) -> str:
    if not detach_keys:
        return "`exit` ends it"
    words = [
        f"Ctrl-{chr(key + 64)}" if key < 32 else chr(key)  # as they are typed
        for key in detach_keys
    ]
    return f"`exit` ends it, {' then '.join(words)} leaves it running"


async def hold_conversation(
    cluster: Cluster,
    place: Place,
    end: Callable[[float], Awaitable[StateTerminated | None]],
    *,
    detach_keys: bytes,
    begin: bool,
    kept: Kept,
) -> int:
    """The exit code of the shell; 0 when it was left by the keys, UNKNOWN when it is not known."""
    terminal = LocalTerminal(kept.recorder)
    back = f"`podmedic attach {place.pod} -n {place.namespace}` comes back to it"
    with terminal.raw():
        left = await converse(cluster, place, terminal, detach_keys, begin=begin)
    if left.ended is None:
        with contextlib.suppress(OSError):  # a terminal that hung up
            complain(f"detached; container {place.container} goes on: {back}")
        return 0
    ended = await end(_END_SECONDS)
    if ended is not None:
        return kept.of(ended.exit_code)
    why = f": {left.ended.message}" if left.ended.message else ""
    complain(f"the connection was lost{why}; unless container {place.container} has ended, {back}")
    return UNKNOWN
