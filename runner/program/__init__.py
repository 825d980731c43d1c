"""The step program: all steps of one ephemeral container as one POSIX shell text, and its log
read back. What the text prints is explained in docs/log-transport.md."""

from runner.program.build import (
    FILE_LIMIT_BYTES,
    LOG_LIMIT_BYTES,
    MAX_PROGRAM_BYTES,
    TERMINATION_LOG,
    build,
)
from runner.program.collect import Told, collector, told
from runner.program.decode import decode, decode_message
from runner.program.hold import held_seconds, holder, received
from runner.program.summary import summary
from runner.program.values import (
    AttemptRecord,
    EndedBy,
    ProgramResult,
    ProgramStep,
    StepRecord,
    StreamRecord,
    Summary,
)

__all__ = [
    "FILE_LIMIT_BYTES",
    "LOG_LIMIT_BYTES",
    "MAX_PROGRAM_BYTES",
    "TERMINATION_LOG",
    "AttemptRecord",
    "EndedBy",
    "ProgramResult",
    "ProgramStep",
    "StepRecord",
    "StreamRecord",
    "Summary",
    "Told",
    "build",
    "collector",
    "decode",
    "decode_message",
    "held_seconds",
    "holder",
    "received",
    "summary",
    "told",
]
