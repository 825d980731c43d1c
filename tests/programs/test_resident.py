"""What waits in a container that stays, run by the shells of images."""

import subprocess

import pytest

from runner.program import build, decode, holder, received
from tests.unit.test_resident import STEP


def run_received(cut: int = 0) -> subprocess.CompletedProcess[bytes]:
    program = build([STEP], nonce="n", deadline_seconds=20, termination_log="/dev/null")
    command, text = received(program)
    return subprocess.run(
        command, input=text[: len(text) - cut], capture_output=True, check=False, timeout=30
    )


def test_a_program_comes_through_stdin_whole() -> None:
    ran = run_received()
    result = decode(ran.stdout, nonce="n", steps=[STEP], message=None)
    (attempt,) = result.steps[0].attempts
    assert (ran.returncode, result.complete) == (0, True)
    assert (attempt.exit_code, attempt.stdout.data) == (3, b"hello\n")


@pytest.mark.parametrize("cut", [1, 3, 2000])
def test_a_program_that_did_not_arrive_whole_does_not_begin(cut: int) -> None:
    ran = run_received(cut)
    assert (ran.returncode, ran.stdout) == (97, b"")


def test_the_holder_ends_at_once_when_told_to() -> None:
    process = subprocess.Popen(["/bin/sh", "-c", f"echo up; {holder(60)}"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    # Terminated before the trap was set it would be -15, which is as quick.
    assert process.wait(timeout=2) in (0, -15)
    process.stdout.close()
