"""Runs the scripts of built-in playbooks by the shells that debug images have."""

import os
import shutil
import subprocess
from typing import Any

import pytest

from runner.analyze.parse import parse_output
from runner.playbook import resolve
from runner.playbook.spec import Step

BUSYBOX = shutil.which("busybox")
SHELLS = [
    pytest.param(["dash"], id="dash", marks=pytest.mark.skipif(not shutil.which("dash"), reason="no dash")),
    pytest.param(["busybox", "sh"], id="busybox", marks=pytest.mark.skipif(not BUSYBOX, reason="no busybox")),
]  # fmt: skip


def step_of(playbook: str, name: str) -> Step:
    return next(step for step in resolve(playbook).spec.steps if step.name == name)


def without_waits(step: Step) -> Step:
    """Its pauses between two tries or samples are short."""
    return step.changed(script=f"sleep() {{ command sleep .05; }}\n{step.script}")


def run(step: Step, shell: list[str], path: str | None = None, **env: str) -> Any:
    """What `steps.NAME.parsed` would be."""
    program = shutil.which(shell[0])
    assert program is not None
    assert step.script is not None
    done = subprocess.run(
        [program, *shell[1:], "-c", step.script],
        env={"PATH": path or os.environ["PATH"], **env},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return parse_output(step.parse, done.stdout.decode()) if step.parse else done.stdout.decode()
