"""A result without output is read from the termination message, as surely as from the log."""

from pathlib import Path

import pytest

from runner.program import ProgramStep, decode_message, summary
from tests.programs.program_logs import long_run
from tests.programs.program_runs import NONCE, Ran, Shell, command, script

STEPS = (
    script("retried", "exit 12", attempts=2, backoff_seconds=0),
    command("missing", "dig", tools=("no-dig",)),
    script("passes", ":"),
)


@pytest.fixture(params=("dash", "busybox", "bash"))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell(request.param, tmp_path).prepared()


def quiet_run(shell: Shell) -> Ran:
    return shell.run(STEPS)


def test_a_result_without_output_is_all_in_the_message(shell: Shell) -> None:
    ran = quiet_run(shell)
    result = decode_message(ran.message, nonce=NONCE, steps=STEPS)
    assert result == ran.result
    assert result is not None
    assert [len(step.attempts) for step in result.steps] == [2, 0, 1]
    assert [step.not_run for step in result.steps] == ["", "tool missing: no-dig", ""]
    assert all(
        attempt.stdout.whole and attempt.stderr.whole
        for step in result.steps
        for attempt in step.attempts
    )


def test_one_trivial_step_fits_the_smallest_share_that_pods_have(shell: Shell) -> None:
    """Of 31 containers each has 396 bytes."""
    ran = shell.run((script("probe", "true"),))
    assert decode_message(ran.message, nonce=NONCE, steps=(script("probe", "true"),)) == ran.result
    assert len(ran.message) <= 300


def test_what_a_step_wrote_is_in_no_message(shell: Shell) -> None:
    for words in ("printf hello", "printf hello >&2"):
        steps = (script("quiet", ":"), script("writes", words), script("after", ":"))
        ran = shell.run(steps)
        assert ran.result.complete
        assert decode_message(ran.message, nonce=NONCE, steps=steps) is None
        assert ran.message.count("\n") == 1
        assert len(ran.message) <= 300


def test_a_result_that_would_be_too_long_is_in_the_log_alone(shell: Shell) -> None:
    """The kubelet keeps the last 4096 bytes of a message: its first line must be among them."""
    steps = tuple(command(f"s{number}", "x", tools=("no-x",)) for number in range(200))
    ran = shell.run(steps)
    assert ran.result.complete
    assert {step.not_run for step in ran.result.steps} == {"tool missing: no-x"}
    assert decode_message(ran.message, nonce=NONCE, steps=steps) is None
    assert len(ran.message) <= 300
    heard = summary(ran.message)
    assert heard is not None
    assert heard.frames == 202


def test_a_program_that_is_stopped_says_so_in_the_message(shell: Shell) -> None:
    steps = (script("waits", "sleep 60"), script("never", ":"))
    ran = shell.run(steps, deadline_seconds=1)
    result = decode_message(ran.message, nonce=NONCE, steps=steps)
    assert result == ran.result
    assert result is not None
    assert result.ended_by == "deadline"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return quiet_run(Shell("dash", tmp_path_factory.mktemp("quiet") / "dash").prepared())


def other(message: str, steps: tuple[ProgramStep, ...] = STEPS, nonce: str = NONCE) -> bool:
    return decode_message(message, nonce=nonce, steps=steps) is None


def test_a_message_that_was_cut_or_changed_anywhere_is_not_believed(quiet: Ran) -> None:
    """Containers share the room of their messages: the kubelet cuts where it has to."""
    message = quiet.message.strip()
    assert not other(message)
    assert all(other(message[:end]) for end in range(len(message)))
    for at, char in enumerate(message):
        for put in ("" if char == " " else "7", "�", "\n", "-"):
            changed = message[:at] + put + message[at + 1 :]
            if changed.split() == message.split():
                continue
            assert other(changed), changed
    lines = message.splitlines()
    for number in range(1, len(lines)):
        assert other("\n".join(lines[:number] + lines[number + 1 :]))
        assert other("\n".join([*lines[:number], lines[number], *lines[number:]]))


def test_a_cut_message_still_tells_what_its_first_line_says(quiet: Ran) -> None:
    whole = summary(quiet.message)
    assert whole is not None
    first = quiet.message.index("\n")
    for end in (first, first + 1, first + 7, len(quiet.message) - 3):
        cut = summary(quiet.message[:end])
        assert cut is not None
        assert (cut.frames, cut.checksum, cut.ended_by) == (whole.frames, whole.checksum, "end")


def test_a_message_for_another_program_is_not_believed(quiet: Ran) -> None:
    assert other(quiet.message, nonce="another")
    assert other(quiet.message, STEPS[:2])
    assert other(quiet.message, (*STEPS, script("more", ":")))
    assert other("")
    assert other("OOMKilled")
    assert other(long_run().message)
    assert other(quiet.message.replace("ended=end", "ended=no"))
