"""Steps to shell text. Pure: the same steps, nonce and deadline give the same text."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from runner.late import late
from runner.program.text import FIXED, LAST
from runner.program.values import ProgramStep

# A single argument of execve may have 128 KiB; room is left for what a runtime adds.
MAX_PROGRAM_BYTES = 96 * 1024
BLOCK_BYTES = 4096
# The kubelet turns a log over at 10 MiB, by default, and serves only what came after. Every line
# costs some 40 bytes there that are not of the program.
LOG_LIMIT_BYTES = 8 << 20
FILE_LIMIT_BYTES = 64 << 20
TERMINATION_LOG = "/dev/termination-log"

_NONCE = late(r"[A-Za-z0-9-]{1,63}", re.ASCII)
_TOOL = late(r"[A-Za-z0-9./+:@%\[-][A-Za-z0-9_./+:@%\[-]{0,254}", re.ASCII)
_BARE = late(r"[A-Za-z0-9_./:@%+,-]+", re.ASCII)
# Kubernetes expands `$(NAME)` and `$$` in a container's command. Between single quotes, closing
# and opening them again behind such a `$` changes nothing for the shell and hides it from that.
_EXPANDED = late(r"\$(?=[$(])")
_MAX_SECONDS = 7 * 86400


def build(
    steps: Sequence[ProgramStep],
    *,
    nonce: str,
    deadline_seconds: float,
    log_limit_bytes: int = LOG_LIMIT_BYTES,
    file_limit_bytes: int = FILE_LIMIT_BYTES,
    termination_log: str = TERMINATION_LOG,
) -> str:
    """The text of `["/bin/sh", "-c", text]` that runs `steps` in order.

    `nonce` (letters, digits, dashes) marks the frames of this program in the log. The last
    tenth of the deadline, at most 2.5 s, is kept for ending in order. When `log_limit_bytes` of
    output were sent, further output is counted and left out; exit codes still arrive. A step that
    writes a file larger than `file_limit_bytes` is killed (SIGXFSZ, exit code 153). Kubernetes'
    own expansion of `$(NAME)` and `$$` leaves the text as it is.

    Raises ValueError, naming the step, when something cannot be run as it is written.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f"nonce {nonce!r}: 1 to 63 letters, digits or dashes are expected")
    if not steps:
        raise ValueError("a program needs at least one step")
    _check_seconds("deadline_seconds", deadline_seconds, least=0.01)
    if log_limit_bytes < 0:
        raise ValueError(f"log_limit_bytes {log_limit_bytes}: 0 or more are expected")
    calls = _calls(tuple(steps))
    reserve = min(2.5, deadline_seconds / 10)
    head = (
        f"_N={quote(nonce)} _K={len(steps)} _D={_hundredths(deadline_seconds - reserve)}"
        f" _G={_hundredths(reserve * 0.8)} _B={log_limit_bytes} _L={quote(termination_log)}"
        f" _F={max(1, file_limit_bytes // 512)}\n"
    )
    program = head + FIXED + calls + LAST
    size = len(program.encode())
    if size > MAX_PROGRAM_BYTES:
        raise ValueError(
            f"the program has {size} bytes, at most {MAX_PROGRAM_BYTES} can be passed to a"
            " container: shorten the scripts or divide the playbooks among several runs"
        )
    return program


@lru_cache(maxsize=16)
def _calls(steps: tuple[ProgramStep, ...]) -> str:
    """What differs for no pod of a sweep."""
    seen: set[tuple[str, str]] = set()
    for step in steps:
        try:
            _check(step)
            if (step.playbook, step.name) in seen:
                raise ValueError("the name occurs twice in this playbook")  # noqa: TRY301
        except ValueError as error:
            raise ValueError(f"step {step.playbook}/{step.name}: {error}") from None
        seen.add((step.playbook, step.name))
    return "".join(_call(index, step) for index, step in enumerate(steps))


def quote(text: str) -> str:
    """`text` as one word of the shell, proof against Kubernetes' own expansion."""
    if _BARE.fullmatch(text):
        return text
    return "'" + _EXPANDED.sub("$''", text.replace("'", "'\\''")) + "'"


def _call(index: int, step: ProgramStep) -> str:
    command = " ".join(map(quote, step.argv)) or f'"$0" -c {quote(step.script)}'
    return (
        f"_step {index} {_hundredths(step.timeout_seconds)} {_hundredths(step.backoff_seconds)}"
        f" {step.attempts} {math.ceil(step.output_limit_bytes / BLOCK_BYTES)}"
        f" {quote(step.playbook + '/' + step.name)} {quote(' '.join(step.tools))} {command}\n"
    )


def _hundredths(seconds: float) -> int:
    return max(1, round(seconds * 100)) if seconds else 0


def _check(step: ProgramStep) -> None:
    if not step.name:
        raise ValueError("a step needs a name")
    if bool(step.argv) == bool(step.script):
        raise ValueError("either argv or script is expected")
    if step.argv and not step.argv[0]:
        raise ValueError("argv begins with an empty word")
    for text in (step.name, step.playbook, step.script, *step.argv):
        if "\0" in text:
            raise ValueError("a NUL byte cannot be passed to a command")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("a lone surrogate cannot be passed to a command") from None
    for tool in step.tools:
        if not _TOOL.fullmatch(tool):
            raise ValueError(f"tool {tool!r}: the name of a command is expected")
    _check_seconds("timeout_seconds", step.timeout_seconds, least=0.01)
    _check_seconds("backoff_seconds", step.backoff_seconds, least=0)
    if not 1 <= step.attempts <= 1000:
        raise ValueError(f"attempts {step.attempts}: 1 to 1000 are expected")
    if not 0 <= step.output_limit_bytes <= 1 << 30:
        raise ValueError(f"output_limit_bytes {step.output_limit_bytes}: 0 to 1 GiB are expected")


def _check_seconds(what: str, seconds: float, *, least: float) -> None:
    if not least <= seconds <= _MAX_SECONDS:  # false for nan, too
        raise ValueError(f"{what} {seconds}: {least} to {_MAX_SECONDS} seconds are expected")
