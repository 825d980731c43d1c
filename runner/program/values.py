"""What goes into a step program and what comes back: frozen values."""

from typing import Literal

import msgspec

EndedBy = Literal["end", "deadline", "signal", "unknown"]


class ProgramStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: either `argv` (run exactly as it is) or `script` (text for `/bin/sh -c`).

    `attempts` counts the first one (1 = no retry); the back-off doubles from `backoff_seconds`
    and stays below 30 s. `output_limit_bytes` holds for stdout and stderr each: the first bytes
    are kept, the rest is counted. `tools` are commands without which the step is not run.
    """

    name: str
    playbook: str
    argv: tuple[str, ...] = ()
    script: str = ""
    timeout_seconds: float
    attempts: int = 1
    backoff_seconds: float = 1.0
    output_limit_bytes: int = 1 << 20
    tools: tuple[str, ...] = ()


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one attempt. `data` is exactly what was written, cut to the limit.

    `whole` means that `data` is proven: its length and its hash agree with what the pod said.
    Otherwise `data` is what could be saved (maybe nothing) and `sha256` is empty.
    """

    data: bytes = b""
    total_bytes: int = 0
    truncated: bool = False
    sha256: str = ""
    whole: bool = False


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a step. `exit_code` is None when it did not end by itself: `timed_out`, or
    `cut_by` says `deadline` (of the program; `timed_out` too), `signal` (the container was being
    stopped) or `lost` (the line with its end did not arrive)."""

    number: int
    exit_code: int | None
    timed_out: bool
    duration_seconds: float
    started_offset_seconds: float
    stdout: StreamRecord
    stderr: StreamRecord
    cut_by: Literal["", "deadline", "signal", "lost"] = ""


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`not_run` is why there is no attempt: `tool missing: dig`, `deadline`, `signal`, `no
    writable folder …`. Without attempts and without that reason, the result did not arrive."""

    playbook: str
    name: str
    attempts: tuple[AttemptRecord, ...] = ()
    not_run: str = ""


class ProgramResult(msgspec.Struct, frozen=True, kw_only=True):
    """All that a log tells. `complete` means that nothing is missing and all of it is proven.

    `problems` are sentences about what is wrong with the log, `remarks` about what the image
    lacks and what else was in the log. `execution` is the id of the execution that was used.
    """

    steps: tuple[StepRecord, ...]
    complete: bool
    problems: tuple[str, ...]
    program_started: bool
    ended_by: EndedBy
    remarks: tuple[str, ...] = ()
    execution: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The termination message. `ended_by` is `unknown` while the program had not ended; `frames`
    is how many it had sent, `bytes` how many bytes of output they held, `checksum` runs over the
    checks of all frames. `lines` are the frames themselves, where they hold no output."""

    nonce: str
    execution: str
    steps_run: int
    steps: int
    frames: int
    bytes: int
    checksum: int
    ended_by: EndedBy
    lines: tuple[str, ...] = ()
