"""What a real step program wrote once, for containers that only seem to run."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import VoidError
from runner.program import ProgramStep, build

PLACEHOLDER = "CONTAINER"
"""Stands for the container's name, which is the nonce that marks a program's frames."""

_RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Recording:
    """A container's log and termination message, with PLACEHOLDER for its name."""

    log: bytes
    message: str


def record(steps: Sequence[ProgramStep]) -> Recording:
    """Runs the program that podmedic sends, in this machine's shell. The checks in its frames do
    not cover the nonce, so that another name may be put in."""
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder) / "message"
        program = build(
            steps, nonce=PLACEHOLDER, deadline_seconds=_RUN_SECONDS, termination_log=str(message)
        )
        done = subprocess.run(
            ["/bin/sh", "-c", program], capture_output=True, check=False, timeout=_RUN_SECONDS
        )
        if done.returncode != 0 or not message.exists():
            raise VoidError(f"the step program does not run here: {done.returncode}")
        return Recording(done.stdout, message.read_text().strip())
