"""What the container of a shell runs, and what ends it. Pure.

Every variable begins with `_`, and nothing here is anything that Kubernetes expands (`$(NAME)`,
two dollars).
"""

import re
from collections.abc import Sequence

# In the first line of the waiting program: the processes of a pod are told apart by it.
_MARK = "podmedic shell"
# `wait` is interrupted by a signal at once, a command in the foreground is not: without it the
# deletion of the pod would take its whole grace period (kubernetes-facts.md section 2.5). The
# sleep is waited for at the end, or it would be left to the app's first process as a zombie.
_HOLDER = """: {mark} {name}
trap 'kill $!; wait $!; exit 0' TERM INT HUP
sleep {seconds} & wait $!
"""
# Nothing but the shell and /proc is needed. The name comes in two words, or this program would
# find itself.
_ENDING = f"""for _p in /proc/[0-9]*; do
  _l=''; IFS= read -r _l <"$_p/cmdline" || :
  case $_l in *"{_MARK} $1$2"*) kill -TERM "${{_p#/proc/}}" ;; esac
done 2>/dev/null
"""
# The first process of a container is not ended by a signal for which it has no trap, an
# interactive shell ignores SIGTERM, and a shell runs its traps only between the commands in its
# foreground. So one shell waits (`wait` can be interrupted) and another one is interactive; but
# what is started with `&` ignores Ctrl-C for ever, and all its children do. Therefore it is
# started in the foreground by a shell between them, which is then killed: the first one goes on,
# and the interactive one has lost nothing by it. Its exit code comes back through a pipe, the one
# thing of its kind that a shell can make without a file system to write to.
#
# Where the container has entered the process namespace of the target the first process is the
# app. Nothing of this is needed there, since SIGTERM ends ours, and whatever were orphaned would
# be left to the app, as a zombie when it ends.
#
# The shell begins when the terminal has sent a line: what it said before would be lost to it.
_TERMINAL = r""": podmedic terminal @NAME
eval _me='$''$'
exec 2>/dev/null
echo 1000 >/proc/self/oom_score_adj
trap : INT QUIT
_sh=sh; command -v bash >/dev/null && _sh=bash
_say() { printf '\r\n[podmedic: %s]\r\n' "$1"; }
_timer() {
  trap 'kill $!; wait $!; exit' TERM
  read -r _own _b </proc/self/stat
  sleep @EARLY & wait $!
  [ @LATE = 0 ] || { _say 'this container ends in @LATE s'; sleep @LATE & wait $!; }
  trap '' TERM
  _say 'this container ends: its @TTL s have passed'
  [ "$_me" != 1 ] || kill -TERM 1
  for _n in HUP KILL; do
    for _p in /proc/[0-9]*/stat; do
      read -r _a _b _b _c _b <"$_p" || continue
      [ "$_c" != "$_me" ] || [ "$_a" = "$_own" ] || kill -$_n "$_a"
    done
    sleep 2
  done
}
if [ "$_me" != 1 ]; then
  _timer & _t=$!
  read -r _b
  "$_sh" -i 2>&1
  _c=$?; kill $_t; wait $_t; exit $_c
fi
trap 'exit 143' TERM
: | sleep 99999 & _w=$!
_i=0; until [ -p /proc/$_w/fd/0 ] || [ $_i = 9999 ]; do _i=$((_i + 1)); done
exec 5<>/proc/$_w/fd/0; kill $_w
{ read -r _c <&5; exit "$_c"; } & _r=$!
_timer &
( ( read -r _b _b _b _p _b </proc/self/stat; trap : INT QUIT; kill -9 "$_p"
    read -r _b; "$_sh" -i 2>&1 5>&-; echo $? >&5 ); : )
while wait $_r; _c=$?; kill -0 $_r; do :; done
exit $_c
"""
# Where the pod's memory is not enough the kernel takes the command, not the app (see
# runner.program.text). `$0` and `$1` are the shell and the command.
_FIRST_IN_LINE = 'echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec "$0" -c "$1"'
# How long before its end whoever sits there is told of it.
_NOTICE_SECONDS = 60
_TTL = re.compile(r"this container ends: its ([0-9]{1,7}) s have passed")


def called(text: str) -> tuple[str, ...]:
    """The command for exec that runs `text` in the POSIX shell."""
    return ("/bin/sh", "-c", _FIRST_IN_LINE, "/bin/sh", text)


def holder(name: str, ttl_seconds: int) -> str:
    """The text of `["/bin/sh", "-c", text]` that waits so long and ends at once when told to.

    `name` is the container's: letters, digits and dashes."""
    return _HOLDER.format(mark=_MARK, name=name, seconds=ttl_seconds)


def terminal(name: str, ttl_seconds: int) -> str:
    """The text of `["/bin/sh", "-c", text]` with a terminal that becomes an interactive shell when
    a first line is sent, and ends with its exit code."""
    late = _NOTICE_SECONDS if ttl_seconds >= 2 * _NOTICE_SECONDS else 0
    words = {"@NAME": name, "@TTL": ttl_seconds, "@LATE": late, "@EARLY": ttl_seconds - late}
    text = _TERMINAL
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


def terminal_ttl(command: Sequence[str], name: str) -> int | None:
    """The seconds of `terminal(name, ...)` when that is what a container runs."""
    if len(command) != 3 or not command[2].startswith(f": podmedic terminal {name}\n"):
        return None
    found = _TTL.search(command[2])
    return int(found[1]) if found is not None else None


def ending(name: str) -> tuple[str, ...]:
    """The command that ends `holder(name)`, and with it all that runs in its container."""
    half = len(name) // 2
    return ("/bin/sh", "-c", _ENDING, "sh", name[:half], name[half:])
