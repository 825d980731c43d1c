"""What a shell needs and sends, without a cluster."""

import os
import pty
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli.shell import shell
from runner.permissions import shell_needs
from runner.shell import document
from runner.shell.command import seconds_left
from runner.shell.find import plain_lines
from runner.shell.keys import DetachKeys, parse_keys
from runner.shell.modes import Modes
from runner.shell.program import called, ending, ending_alone, holder, terminal, terminal_ttl

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def test_the_page_names_every_verb() -> None:
    page = (ROOT / "docs" / "shell.md").read_text()
    for need in shell_needs():
        optional = "optional: " if need.optional else ""
        group = f" ({need.group})" if need.group else ""
        verbs = ", ".join(need.verbs)
        assert f"| {verbs} | {need.resource}{group} | {optional}{need.why} |" in page


def test_options_become_a_playbook() -> None:
    made = document(
        image="busybox:1.36",
        profile="general",
        strategy="own-image",
        run_as_user=(7, 0),
        container="api",
    )
    debugger = made.spec.debugger
    assert (debugger.image, debugger.profile) == ("busybox:1.36", "general")
    assert (debugger.strategy, debugger.security_context.run_as_user) == (("own-image",), 7)
    assert debugger.security_context.run_as_group == 0
    assert made.spec.targets.container == "api"
    least = document(
        image=None, profile="restricted", strategy="auto", run_as_user=None, container=""
    )
    assert least.spec.targets.container is None
    assert least.spec.debugger.image.startswith("ghcr.io/podmedic/tools:")


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("catch", "it lasts no longer than a crash-looping container runs; auto stays beside it"),
        ("copy", "a copy is deleted when podmedic ends, a shell may be left and come back to"),
        ("none", "it injects nothing, and a shell is in a container"),
    ],
)
def test_a_strategy_that_no_shell_can_have_is_refused(strategy: str, why: str) -> None:
    done = CliRunner().invoke(shell, ["web-0", "--strategy", strategy, "--command", "true"])
    assert (done.exit_code, done.stdout) == (125, "")
    assert done.stderr == f"podmedic: --strategy {strategy}: {why}\n"


def test_kubernetes_expands_nothing_of_what_is_sent() -> None:
    for text in (holder("podmedic-abcdefghijkl-1", 60), terminal("podmedic-abcdefghijkl-1", 600)):
        # Arithmetic is an expansion of a name that no variable has, and left as it is.
        assert "$(" not in text.replace("$((_i + 1))", "").replace("$((_t - _n))", "")
        assert "$$" not in text


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


@pytest.mark.parametrize(("ttl_seconds", "left"), [(60, 59.0), (1, 0.0), (0, 0.0)])
def test_a_command_ends_before_its_container(ttl_seconds: int, left: float) -> None:
    assert seconds_left(NOW + timedelta(seconds=ttl_seconds), NOW) == left


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-],d", b"\x1dd"),
        ("ctrl-@", b"\0"),
        ("a", b"a"),
        ("", b""),
    ],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,", ",", "\u00e9", "CTRL-p"])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="a character or ctrl-KEY is expected"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ls\n"], b"ls\n", False),
        ([b"a\x1ddb"], b"a", True),
        ([b"a\x1d", b"d"], b"a", True),
        ([b"a\x1d", b"x"], b"a\x1dx", False),
        ([b"\x1d\x1dd"], b"\x1d", True),
        ([b"\x1d"], b"", False),
        ([b"d"], b"d", False),
    ],
)
def test_detach_keys_are_found(typed: list[bytes], passed: bytes, detached: bool) -> None:
    """Also in pieces; their beginning alone is passed on with the next key."""
    keys = DetachKeys(b"\x1dd")
    found = [keys.feed(piece) for piece in typed]
    assert b"".join(p for p, _ in found) == passed
    assert found[-1][1] is detached


def test_one_detach_key_and_none() -> None:
    assert DetachKeys(b"\x1d").feed(b"a\x1db") == (b"a", True)
    assert DetachKeys(b"").feed(b"a\x1ddb") == (b"a\x1ddb", False)


@pytest.mark.parametrize(
    ("pieces", "restored"),
    [
        ([b"plain"], b""),
        ([b"\x1b[?1049h\x1b[?25l vi"], b"\x1b[?1049l\x1b[?25h"),
        ([b"\x1b[?1049h", b"\x1b[?1049l"], b""),
        ([b"x\x1b[?10", b"00;1006h"], b"\x1b[?1000l\x1b[?1006l"),
        ([b"\x1b[?25h\x1b[?7l"], b"\x1b[?7h"),
        ([b"\x1b[?31337h"], b""),
    ],
)
def test_the_terminal_is_put_back(pieces: list[bytes], restored: bytes) -> None:
    """What was switched and not switched back, and the colours."""
    modes = Modes()
    for piece in pieces:
        modes.feed(piece)
    assert modes.restored() == restored + b"\x1b[0m"


def test_a_shell_is_told_by_what_its_container_runs() -> None:
    for seconds in (5, 600, 604_800):
        command = ("/bin/sh", "-c", terminal("podmedic-a-1", seconds))
        assert terminal_ttl(command, "podmedic-a-1") == seconds
        assert terminal_ttl(command, "podmedic-b-1") is None
    assert terminal_ttl(("/bin/sh", "-c", holder("podmedic-a-1", 5)), "podmedic-a-1") is None
    assert terminal_ttl((), "podmedic-a-1") is None


def test_what_was_said_last_is_shown_as_plain_text() -> None:
    """Nothing that the terminal would obey or answer."""
    log = (
        b"\x1b[6n\x1b[1;31mred\x1b[0m $ ls\r\n\x1b]0;title\x07one\r\n  0%\r100%\r\n\r\n"
        b"\x1b(Bbell\x07 \xff\x9b6n\r\n\x1b[?2004h$ "
    )
    assert plain_lines(log) == ("red $ ls", "one", "100%", "bell^G \ufffd\ufffd6n", "$")
