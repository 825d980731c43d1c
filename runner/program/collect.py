"""Files of a pod as one tar, with the hash that the pod itself made of it. Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# tar's own words go to a file: on one stream they could not be told from the sum.
_SCRIPT = """id=$1 limit=$2; shift 2
for tool in tar tee head sha256sum mkfifo; do
  command -v "$tool" >/dev/null || { echo "missing $tool" >&2; exit 97; }
done
p=
for dir in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
  mkfifo -m 600 "$dir/$id" 2>/dev/null && { p=$dir/$id; break; }
done
[ -n "$p" ] || { echo "nowhere to make a pipe" >&2; exit 96; }
trap 'rm -f "$p" "$p.rc" "$p.err" "$p.sum"' EXIT
trap 'exit 95' TERM INT HUP
n=0 missing=
for path; do
  shift
  case $path in '$PODMEDIC_ROOT'/*) path=$PODMEDIC_ROOT${path#*ROOT} ;; esac
  # In a folder that may not be entered nothing is known to be missing: tar says so.
  up=$path
  until [ -e "$up" ] || [ -L "$up" ] || [ -z "$up" ]; do up=${up%/*}; done
  if [ "$up" = "$path" ] || { [ -d "${up:-/}" ] && ! [ -x "${up:-/}" ]; }; then
    set -- "$@" "$path"
  else
    missing="$missing $n"
  fi
  n=$((n + 1))
done
[ $# != 0 ] || { echo "podmedic nothing$missing" >&2; exit 98; }
sha256sum <"$p" >"$p.sum" &
{ tar -cf - "$@" 2>"$p.err"; echo "$?" >"$p.rc"; } | head -c "$limit" | tee "$p"
wait "$!"
read -r sum _ <"$p.sum"
read -r code <"$p.rc"
echo "podmedic $sum $code$missing" >&2
head -c 2000 "$p.err" | head -n 5 >&2
"""
_SUM = re.compile(rb"podmedic ([0-9a-f]{64}) (\d+)((?: \d+)*)\n(.*)\Z", re.DOTALL)


class Told(NamedTuple):
    """What the pod said of the tar: its hash, tar's exit code and first words, and which of the
    paths, counted from 0, were not there and so not asked of tar."""

    sha256: str
    exit_code: int
    words: str
    missing: tuple[int, ...] = ()


def collector(paths: Sequence[str], *, identity: str, limit_bytes: int) -> tuple[str, ...]:
    """The command for exec. It writes the tar to stdout, one byte more than the limit at most, and
    then a line for `told` to stderr; exit code 98 says that none of the paths is there. `identity`
    is a file name that no other command uses."""
    return ("/bin/sh", "-c", _SCRIPT, "sh", identity, str(limit_bytes + 1), *paths)


def told(stderr: bytes) -> Told | None:
    """None when the line is not there."""
    found = _SUM.search(stderr)
    if found is None:
        return None
    words = found[4].decode(errors="replace")
    # Ever the same, and no complaint.
    lines = [line for line in words.splitlines() if "emoving leading" not in line]
    missing = tuple(int(number) for number in found[3].split())
    return Told(found[1].decode(), int(found[2]), "; ".join(lines), missing)
