"""What the container of a shell runs, and what ends it. Pure.

Every variable begins with `_`, and nothing here is anything that Kubernetes expands (`$(NAME)`,
two dollars).
"""

import re
from collections.abc import Sequence

# In the first line of the waiting program: the processes of a pod are told apart by it.
_MARK = "podmedic shell"
_COMMAND_MARK = "podmedic command"
# `wait` is interrupted by a signal at once, a command in the foreground is not: without it the
# deletion of the pod would take its whole grace period (kubernetes-facts.md section 2.5). The
# sleep is waited for at the end, or it would be left to the app's first process as a zombie.
#
# Whoever started the container may be gone before it runs, and a command that nobody waits for may
# end long before the container's time: where no command of ours runs, it ends soon.
_HOLDER = """: {mark} {name}
trap 'kill $!; wait $!; exit 0' TERM INT HUP
_t={seconds}
while :; do
  _n={unattended}; [ $_t -gt $_n ] || _n=$_t
  sleep $_n & wait $!
  _t=$((_t - _n)); [ $_t -gt 0 ] || exit 0
  _on=''
  for _p in /proc/[0-9]*; do
    _l=''; IFS= read -r _l <"$_p/cmdline" || :
    case $_l in *"{command} {name}"*) _on=1 ;; esac
  done 2>/dev/null
  [ "$_on" ] || exit 0
done
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
# The shell begins when the terminal has sent a line: what it said before would be lost to it. The
# line is read in the background, for `read` cannot be given a time everywhere; where none comes
# the container ends, because whoever started it is gone.
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
trap 'kill $_t $_s $_r; wait; exit 143' TERM
_timer & _t=$!
sleep @UNATTENDED & _s=$!
exec 3<&0
{ read -r _b <&3 && while kill $_s; do :; done; } & _r=$!
exec 3<&-
while wait $_s; _c=$?; kill -0 $_s; do :; done
[ $_c != 0 ] || kill $_r
wait $_r || { kill $_t; wait; exit 0; }
if [ "$_me" != 1 ]; then
  trap - TERM
  "$_sh" -i 2>&1
  _c=$?; kill $_t; wait $_t; exit $_c
fi
trap 'exit 143' TERM
: | sleep 99999 & _w=$!
_i=0; until [ -p /proc/$_w/fd/0 ] || [ $_i = 9999 ]; do _i=$((_i + 1)); done
exec 5<>/proc/$_w/fd/0; kill $_w
{ read -r _c <&5; exit "$_c"; } & _r=$!
( ( read -r _b _b _b _p _b </proc/self/stat; trap : INT QUIT; kill -9 "$_p"
    "$_sh" -i 2>&1 5>&-; echo $? >&5 ); : )
while wait $_r; _c=$?; kill -0 $_r; do :; done
exit $_c
"""
# Where the pod's memory is not enough the kernel takes the command, not the app (see
# runner.program.text). `$0` and `$1` are the shell and the command. The shell that starts it stays
# for as long as it runs: by its first line it is known that somebody is there. What a shell says of
# a command that was killed is not the command's word.
_CALLER = """: {mark} {name}
exec 3>&2 2>/dev/null
echo 1000 >/proc/self/oom_score_adj
{before}( exec "$0" -c "$1" 2>&3 3>&- )
{afterwards}exit $?
"""
# In a container that stays nothing of the command may, nor may it outlast its time when nobody is
# there to end it. The runtime gives each exec a process group of its own; where it did not, the
# group is somebody else's.
_TIMED = """read -r _p _b _b _b _g _b </proc/self/stat
[ "$_p" != "$_g" ] || {{
  sleep {seconds}; trap '' TERM; kill -TERM 0; sleep 2; kill -KILL 0
}} </dev/null >/dev/null 3>&- &
"""
_ALONE = """_c=$?
[ "$_p" != "$_g" ] || { trap '' TERM; kill -TERM 0; }
(exit $_c)
"""
_ENDING_ALONE = f"""_n=''
for _p in /proc/[0-9]*; do
  _l=''; IFS= read -r _l <"$_p/cmdline" || :
  case $_l in *"{_COMMAND_MARK} $1$2"*) _n="$_n ${{_p#/proc/}}" ;; esac
done 2>/dev/null
[ "$_n" ] || exit 0
for _s in TERM KILL; do
  for _p in $_n; do kill -$_s "-$_p" || kill -$_s "$_p"; done 2>/dev/null
  [ $_s = KILL ] || sleep 1
done
"""
# So long a container waits for the first command or the first line of a terminal, and so often it
# looks whether a command still runs.
UNATTENDED_SECONDS = 30
# How long before its end whoever sits there is told of it.
_NOTICE_SECONDS = 60
_TTL = re.compile(r"this container ends: its ([0-9]{1,7}) s have passed")


def called(text: str, name: str, *, alone_seconds: int | None = None) -> tuple[str, ...]:
    """The command for exec that runs `text` in the POSIX shell, and that `holder(name)` sees. With
    `alone_seconds` it and what it leaves running end by themselves, for the container does not:
    after that time, or with the command."""
    alone = alone_seconds is not None
    script = _CALLER.format(
        mark=_COMMAND_MARK, name=name,
        before=_TIMED.format(seconds=alone_seconds) if alone else "",
        afterwards=_ALONE if alone else "",
    )  # fmt: skip
    return ("/bin/sh", "-c", script, "/bin/sh", text)


def holder(name: str, ttl_seconds: int, unattended_seconds: int = UNATTENDED_SECONDS) -> str:
    """The text of `["/bin/sh", "-c", text]` that waits so long, or until no command of ours runs
    in the container, and ends at once when told to.

    `name` is the container's: letters, digits and dashes."""
    return _HOLDER.format(
        mark=_MARK, command=_COMMAND_MARK, name=name, seconds=ttl_seconds,
        unattended=unattended_seconds,
    )  # fmt: skip


def terminal(name: str, ttl_seconds: int, unattended_seconds: int = UNATTENDED_SECONDS) -> str:
    """The text of `["/bin/sh", "-c", text]` with a terminal that becomes an interactive shell when
    a first line is sent, and ends with its exit code; without that line it ends soon."""
    late = _NOTICE_SECONDS if ttl_seconds >= 2 * _NOTICE_SECONDS else 0
    words = {
        "@NAME": name, "@TTL": ttl_seconds, "@LATE": late, "@EARLY": ttl_seconds - late,
        "@UNATTENDED": unattended_seconds,
    }  # fmt: skip
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
    return _looking_for(_ENDING, name)


def ending_alone(name: str) -> tuple[str, ...]:
    """The command that ends `called(..., name, alone_seconds=...)` and what that has started."""
    return _looking_for(_ENDING_ALONE, name)


def _looking_for(script: str, name: str) -> tuple[str, ...]:
    half = len(name) // 2
    return ("/bin/sh", "-c", script, "sh", name[:half], name[half:])
