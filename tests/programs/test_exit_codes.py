"""How the command ends when what it prints to fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", [["list"], ["schema", "report"]])
def test_a_full_disk_behind_stdout_is_no_bug(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = [sys.executable, "-m", "runner", *command]
        left = subprocess.run(process, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "podmedic: cannot write to stdout: No space left on device\n"
    assert (left.returncode, left.stderr) == (6, said)


def test_letters_that_the_terminal_does_not_have_are_no_bug() -> None:
    process = [sys.executable, "-m", "runner", "explain", "facts"]
    latin = os.environ | {"PYTHONIOENCODING": "latin-1"}
    left = subprocess.run(process, capture_output=True, env=latin, check=False)
    assert (left.returncode, left.stderr) == (0, b"")
    assert b"reason of the phase: Evicted, \\u2026\n" in left.stdout
