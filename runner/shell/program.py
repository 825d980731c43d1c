"""What the container of a shell runs, and what ends it. Pure."""

# In the first line of the waiting program: the processes of a pod are told apart by it.
_MARK = "podmedic shell"
# `wait` is interrupted by a signal at once, a command in the foreground is not: without it the
# deletion of the pod would take its whole grace period (kubernetes-facts.md section 2.5).
_HOLDER = """: {mark} {name}
trap 'kill $!; exit 0' TERM INT HUP
sleep {seconds} & wait $!
"""
# Nothing but the shell and /proc is needed. The name comes in two words, or this program would
# find itself.
_ENDING = f"""for _p in /proc/[0-9]*; do
  _l=''; IFS= read -r _l <"$_p/cmdline" || :
  case $_l in *"{_MARK} $1$2"*) kill -TERM "${{_p#/proc/}}" ;; esac
done 2>/dev/null
"""


def holder(name: str, ttl_seconds: int) -> str:
    """The text of `["/bin/sh", "-c", text]` that waits so long and ends at once when told to.

    `name` is the container's: letters, digits and dashes. It holds nothing that Kubernetes
    expands."""
    return _HOLDER.format(mark=_MARK, name=name, seconds=ttl_seconds)


def ending(name: str) -> tuple[str, ...]:
    """The command that ends `holder(name)`, and with it all that runs in its container."""
    half = len(name) // 2
    return ("/bin/sh", "-c", _ENDING, "sh", name[:half], name[half:])
