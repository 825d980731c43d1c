"""What a container runs that stays, for programs that come through exec. Pure."""

import re
from collections.abc import Sequence

# `wait` is interrupted by a signal at once, a command in the foreground is not: without it the
# deletion of the pod would take its whole grace period (kubernetes-facts.md section 2.5).
_HOLDER = """: podmedic resident
trap 'kill $!; exit 0' TERM INT HUP
sleep {seconds} & wait $!
"""
# The program comes through stdin: as an argument it would stand in URLs and audit logs, and
# proxies cut those. dd is what every program needs anyway. One that did not arrive whole does
# not begin: its last line is looked for.
_RECEIVER = """_p=$(dd bs="$1" count=1 iflag=fullblock 2>/dev/null)
case $_p in *"$2") eval "$_p";; esac
echo "podmedic: the program did not arrive whole" >&2; exit 97
"""
_LAST = ": whole"
_SLEEP = re.compile(r"^sleep ([0-9]{1,9}) & wait", re.MULTILINE)


def holder(ttl_seconds: int) -> str:
    """The text of `["/bin/sh", "-c", text]` that waits so long and ends at once when told to. It
    holds nothing that Kubernetes expands."""
    return _HOLDER.format(seconds=ttl_seconds)


def held_seconds(text: str) -> int | None:
    """How long `holder` made this text wait; None when it did not make it."""
    found = _SLEEP.search(text)
    seconds = int(found[1]) if found is not None else -1
    return seconds if text == holder(seconds) else None


def received(
    program: str, shell: Sequence[str] = ("/bin/sh", "-c")
) -> tuple[tuple[str, ...], bytes]:
    """The command for exec that runs the program, and what to send to its stdin. `shell` is how
    the container's own program was called; its word before the last becomes `$0`."""
    whole = f"{program}{_LAST}".encode()
    return (*shell, _RECEIVER, shell[-2], str(len(whole)), _LAST), whole
