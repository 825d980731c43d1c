"""What `podmedic shell` sends to a container, run by the shells of images."""

import os
import pty
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from runner.shell.program import called, ending, ending_alone, holder, terminal


def test_the_container_waits_and_ends_at_once_when_told() -> None:
    """By the program that looks for it, which leaves namesakes alone."""
    names = ("podmedic-abcdefghijkl-1", "podmedic-abcdefghijkl-2")
    waiting = [subprocess.Popen(["/bin/sh", "-c", holder(name, 60)]) for name in names]
    try:
        deadline = time.monotonic() + 10
        while waiting[0].poll() is None:
            assert time.monotonic() < deadline
            assert subprocess.run(ending(names[0]), check=False, timeout=10).returncode == 0
        assert waiting[0].returncode == 0
        assert waiting[1].poll() is None
    finally:
        for process in waiting:
            process.terminate()
    assert waiting[1].wait(timeout=5) == 0


def test_the_container_ends_by_itself() -> None:
    assert (
        subprocess.run(["/bin/sh", "-c", holder("n", 1)], check=False, timeout=10).returncode == 0
    )


SHELLS = pytest.mark.parametrize("shell_argv", [["dash"], ["bash"], ["busybox", "ash"]])


@SHELLS
def test_a_container_to_which_nobody_comes_ends_soon(shell_argv: list[str]) -> None:
    """Whoever started it has given up, or was killed."""
    text = holder("podmedic-abcdefghijkl-8", 600, unattended_seconds=1)
    done = subprocess.run([*shell_argv, "-c", text], check=False, timeout=90)
    assert done.returncode == 0


@SHELLS
def test_a_container_stays_while_its_command_runs(shell_argv: list[str]) -> None:
    """And no longer than that, although nobody ends it."""
    name = "podmedic-abcdefghijkl-9"
    argv = called("sleep 2; echo said; read -r _; exit 7", name)
    command = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert command.stdout is not None
    waiting = subprocess.Popen([*shell_argv, "-c", holder(name, 600, unattended_seconds=1)])
    try:
        assert command.stdout.readline() == b"said\n"
        assert waiting.poll() is None
        command.communicate(b"\n", timeout=90)
        assert command.returncode == 7
        assert waiting.wait(timeout=90) == 0
    finally:
        command.kill()
        command.communicate()
        waiting.kill()
        waiting.wait()


def test_nothing_is_added_to_what_a_command_says() -> None:
    """Shells tell of children that were killed."""
    text = "echo out; echo err >&2; cat; kill -9 \"$(exec sh -c 'echo $PPID')\""
    done = subprocess.run(called(text, "n"), input=b"in", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (137, b"out\nin", b"err\n")


def test_what_a_command_leaves_running_ends_with_it_in_a_container_that_stays() -> None:
    """Its exit code and its output stay its own."""
    text = "sleep 600 & echo $!; echo err >&2; exit 7"
    done = subprocess.run(
        called(text, "podmedic-abcdefghijkl-7", alone_seconds=60),
        check=False, capture_output=True, timeout=90, start_new_session=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, b"err\n")
    deadline = time.monotonic() + 10
    while _runs(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@SHELLS
def test_a_command_in_a_container_that_stays_ends_in_its_time(shell_argv: list[str]) -> None:
    """Although nobody ends it, and although it does not end when it is asked to."""
    _, _, script, *_ = called("", "podmedic-abcdefghijkl-4", alone_seconds=1)
    text = "trap '' TERM; echo one; sleep 600; sleep 600"
    done = subprocess.run(
        [*shell_argv, "-c", script, "/bin/sh", text],
        check=False, capture_output=True, timeout=90, start_new_session=True,
    )  # fmt: skip
    assert (done.returncode < 0, done.stdout) == (True, b"one\n")


def test_a_command_is_ended_with_what_it_started_and_no_other(tmp_path: Path) -> None:
    """Also one that does not end when it is asked to."""
    names = ("podmedic-abcdefghijkl-5", "podmedic-abcdefghijkl-6")
    text = "trap '' TERM; sleep 600 & echo $!; wait; wait"
    processes = [
        subprocess.Popen(
            called(text, name, alone_seconds=60), stdout=subprocess.PIPE, start_new_session=True
        )
        for name in names
    ]
    try:
        children = [int(p.stdout.readline()) for p in processes if p.stdout is not None]
        assert subprocess.run(ending_alone(names[0]), check=False, timeout=90).returncode == 0
        assert processes[0].wait(timeout=10) == -signal.SIGTERM
        assert [_runs(child) for child in children] == [False, True]
        assert processes[1].poll() is None
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_to_end_a_command_that_has_ended_takes_no_time() -> None:
    *_, first, second = ending_alone("podmedic-abcdefghijkl-3")
    assert first + second == "podmedic-abcdefghijkl-3"
    script = ending_alone("podmedic-abcdefghijkl-3")[2].replace("sleep 1", "exit 9")
    done = subprocess.run(["/bin/sh", "-c", script, "sh", first, second], check=False, timeout=90)
    assert done.returncode == 0


def _runs(pid: int) -> bool:
    """A zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@SHELLS
def test_a_terminal_at_which_nobody_sits_ends_soon(shell_argv: list[str]) -> None:
    """With nothing of it left."""
    text = terminal("podmedic-abcdefghijkl-8", 600, unattended_seconds=1)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*shell_argv, "-c", text], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.wait(timeout=90) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)


@SHELLS
def test_a_terminal_begins_with_the_first_line(shell_argv: list[str]) -> None:
    """Also when that comes while nobody is waited for any more."""
    text = terminal("podmedic-abcdefghijkl-8", 600, unattended_seconds=3)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*shell_argv, "-c", text], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    try:
        os.write(ours, b"\nsleep 4; exit 9\n")
        assert process.wait(timeout=90) == 9
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
