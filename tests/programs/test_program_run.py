"""The step program, really run: dash with coreutils, busybox with nothing else, and bash."""

import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from runner.program import summary
from tests.programs.program_runs import NONCE, Shell, command, needed, script, told

SHELLS = ("dash", "busybox", "bash")

LINE_OF_5_MIB = b"0123456789abcdef" * (5 << 16)
ALL_BYTES = bytes(range(256)) * 3
HOSTILE = b"<script>alert(1)</script>\x1b[31m\r\n\0\0\xff\xfe\xc3\r\n{{7*7}}\r"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell(request.param, tmp_path).prepared()


def test_every_output_and_exit_code_arrives_as_it_was(shell: Shell) -> None:
    """Bytes, exit codes, order, environment: what a step did is what is read."""
    files = {"line": LINE_OF_5_MIB, "bytes": ALL_BYTES, "hostile": HOSTILE, "crlf": b"a\r\nb\r\n"}
    for name, content in files.items():
        (shell.scratch / name).write_bytes(content)
    at = str(shell.scratch)
    words = ("a b", "it's", '"q"', "$(HOME)", "$$", "`x`", "*", "x\ny", "", "-n", "\\", "ü", "'")
    frame = "@podmedic pm-3f9a 00000000 1 exit 0 1 0 0 0 0 1 - ;\n"
    ran = shell.run(
        [
            command("words", "printf", "[%s]", *words),
            command("stdin", "cat"),
            command("line", "cat", f"{at}/line", output_limit_bytes=8 << 20),
            command("bytes", "cat", f"{at}/bytes"),
            command("hostile", "cat", f"{at}/hostile"),
            command("crlf", "cat", f"{at}/crlf"),
            command("fails", "cat", f"{at}/none/such"),
            command("frame", "printf", "%s", frame * 3),
            script("both", "printf out; printf err >&2; exit 3"),
            script("code-124", "exit 124"),
            script("not-executable", f"exec {at}/bytes 2>/dev/null"),
            script("not-found", "no-such-command 2>/dev/null"),
            script("killed", "kill -9 $$"),
            script("terminated", "kill -TERM $$"),
            script("syntax", "echo before; if"),
            script("env", 'echo "$PODMEDIC_STEP|$GIVEN|$_x|$t|$n|$HOME"'),
            script("folder", "pwd -P"),
            script("empty", "# nothing"),
        ],
        env={"GIVEN": "a 'b' $c", "t": "T", "n": "N"},
        cwd=shell.scratch,
    )
    answers = told(ran.result)
    said_by_cat = answers["fails"][0][2]
    said_by_shell = answers["syntax"][0][1:]
    assert b"none/such" in said_by_cat
    assert said_by_shell[0] in {b"", b"before\n"}
    assert said_by_shell[1]
    assert answers == {
        "words": [(0, b"".join(b"[%s]" % word.encode() for word in words), b"")],
        "stdin": [(0, b"", b"")],
        "line": [(0, LINE_OF_5_MIB, b"")],
        "bytes": [(0, ALL_BYTES, b"")],
        "hostile": [(0, HOSTILE, b"")],
        "crlf": [(0, b"a\r\nb\r\n", b"")],
        "fails": [(1, b"", said_by_cat)],
        "frame": [(0, frame.encode() * 3, b"")],
        "both": [(3, b"out", b"err")],
        "code-124": [(124, b"", b"")],
        "not-executable": [(126, b"", b"")],
        "not-found": [(127, b"", b"")],
        "killed": [(137, b"", b"")],
        "terminated": [(143, b"", b"")],
        "syntax": [(2, *said_by_shell)],
        "env": [(0, b"test/env|a 'b' $c||T|N|\n", b"")],
        "folder": [(0, os.fsencode(shell.scratch.resolve()) + b"\n", b"")],
        "empty": [(0, b"", b"")],
    }
    assert ran.result.complete
    assert ran.result.problems == ()
    assert ran.result.ended_by == "end"
    assert ran.exit_code == 0
    assert len(ran.message.encode()) <= 300
    heard = summary(ran.message)
    assert heard is not None
    assert (heard.nonce, heard.steps_run, heard.steps, heard.ended_by) == (NONCE, 18, 18, "end")
    assert heard.bytes == sum(
        len(stream.data)
        for step in ran.result.steps
        for attempt in step.attempts
        for stream in (attempt.stdout, attempt.stderr)
    )


def test_more_than_the_limit_is_counted_not_kept(shell: Shell) -> None:
    """The first bytes stay, the total is right, and two full streams do not block each other."""
    flood = "yes 0123456789 | head -c 3000000 >&2 & yes abcdefg | head -c 9000001; wait"
    ran = shell.run(
        [
            script("flood", flood, output_limit_bytes=100_000),
            script("exact", "yes | head -c 8192", output_limit_bytes=8192),
            script("one-more", "yes | head -c 8193", output_limit_bytes=8192),
            script("none", "echo hi", output_limit_bytes=0),
        ]
    )
    kept = {
        step.name: [
            (len(stream.data), stream.data[:8], stream.total_bytes, stream.truncated, stream.whole)
            for stream in (step.attempts[0].stdout, step.attempts[0].stderr)
        ]
        for step in ran.result.steps
    }
    nothing = (0, b"", 0, False, True)
    assert kept == {
        "flood": [
            (100_000, b"abcdefg\n", 9_000_001, True, True),
            (100_000, b"01234567", 3_000_000, True, True),
        ],
        "exact": [(8192, b"y\ny\ny\ny\n", 8192, False, True), nothing],
        "one-more": [(8192, b"y\ny\ny\ny\n", 8193, True, True), nothing],
        "none": [(0, b"", 3, True, True), nothing],
    }
    assert ran.result.complete


def test_retries_until_it_passes_and_records_each_attempt(shell: Shell) -> None:
    """An attempt that failed is kept; the back-off doubles; a pass ends the retries."""
    marks = shell.scratch / "marks"
    count = f"echo x >>{marks}; set -- $(cat {marks}); echo $#; [ $# = 3 ]"
    ran = shell.run(
        [
            script("third", count, attempts=5, backoff_seconds=0.05),
            command("never", "sh", "-c", "exit 7", attempts=2, backoff_seconds=0),
            command("slow", "sleep", "30", attempts=2, backoff_seconds=0, timeout_seconds=0.1),
        ]
    )
    assert told(ran.result) == {
        "third": [(1, b"1\n", b""), (1, b"2\n", b""), (0, b"3\n", b"")],
        "never": [(7, b"", b""), (7, b"", b"")],
        "slow": [("timed out", b"", b""), ("timed out", b"", b"")],
    }
    third = ran.result.steps[0].attempts
    pauses = [
        later.started_offset_seconds - earlier.started_offset_seconds
        for earlier, later in pairwise(third)
    ]
    assert [attempt.number for attempt in third] == [1, 2, 3]
    assert pauses[0] >= 0.04
    assert pauses[1] >= 0.09
    assert ran.result.steps[2].attempts[0].duration_seconds >= 0.09
    assert ran.result.complete


def test_a_step_that_will_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    """TERM is ignored, children left the session or keep the pipes open: nothing hangs."""
    children = 'sh -c "trap \\"\\" TERM; echo $$; sleep 600"'
    stubborn = f'echo $$; trap "" TERM; {children} & sleep 600; sleep 600'
    late = "setsid sleep 600 & sleep 600"
    polite = 'trap "echo bye; exit 5" TERM; sleep 600 & wait'
    programs = (
        [
            script("left-running", "sleep 600 & echo $!"),
            script("fled", "setsid sleep 600 & echo started"),
            script("stubborn", stubborn, timeout_seconds=1),
        ],
        [
            script("polite", polite, timeout_seconds=1),
            script("fled-late", late, timeout_seconds=1),
        ],
    )
    started = [
        (
            name,
            [
                Shell(name, tmp_path / f"{name}{i}").prepared().start(s)
                for i, s in enumerate(programs)
            ],
        )
        for name in SHELLS
    ]
    for name, (first, second) in started:
        results = [first.finish().result, second.finish().result]
        answers = told(results[0]) | told(results[1])
        pids = [pid for step in ("stubborn", "left-running") for pid in answers[step][0][1].split()]
        assert len(pids) == 3, name
        assert {pid for pid in pids if _runs(int(pid))} == set(), name
        assert answers == {
            "left-running": [(0, answers["left-running"][0][1], b"")],
            "fled": [(0, b"started\n", b"")],
            "stubborn": [("timed out", answers["stubborn"][0][1], b"")],
            "polite": [("timed out", b"bye\n", b"")],
            "fled-late": [("timed out", b"", b"")],
        }, name
        assert all(result.complete for result in results), name


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_missing_tool_leaves_its_step_out(shell: Shell) -> None:
    ran = shell.run(
        [
            command("missing", "cat", "/etc/passwd", tools=("cat", "no-dig", "no-curl")),
            command("there", "printf", "yes", tools=("cat", "printf")),
        ]
    )
    assert [(step.name, step.not_run) for step in ran.result.steps] == [
        ("missing", "tool missing: no-dig"),
        ("there", ""),
    ]
    assert told(ran.result)["there"] == [(0, b"yes", b"")]
    assert ran.result.complete


def test_the_deadline_ends_the_program_in_order(tmp_path: Path) -> None:
    """The running step is cut, the rest is not run, and all of that is said."""
    steps = [
        script("first", "echo 1"),
        script("waits", "echo 2; sleep 600", attempts=3),
        command("never", "printf", "3"),
    ]
    started = [
        Shell(name, tmp_path / name).prepared().start(steps, deadline_seconds=2) for name in SHELLS
    ]
    for program in started:
        ran = program.finish()
        assert told(ran.result) == {
            "first": [(0, b"1\n", b"")],
            "waits": [("deadline", b"2\n", b"")],
            "never": [],
        }
        assert [step.not_run for step in ran.result.steps] == ["", "", "deadline"]
        assert ran.result.steps[1].attempts[0].timed_out
        assert ran.result.ended_by == "deadline"
        assert ran.result.complete
        heard = summary(ran.message)
        assert heard is not None
        assert (heard.steps_run, heard.ended_by) == (2, "deadline")


def test_a_back_off_that_passes_the_deadline_is_not_waited_for(shell: Shell) -> None:
    ran = shell.run(
        [
            script("fails", "exit 1", attempts=9, backoff_seconds=30),
            command("after", "printf", "after"),
        ],
        deadline_seconds=20,
    )
    assert told(ran.result) == {"fails": [(1, b"", b"")], "after": [(0, b"after", b"")]}
    assert ran.result.ended_by == "end"


STOPPED = {
    "plain": "echo out; echo started >{fifo}; sleep 600",
    "stubborn": 'trap "" TERM; echo out; echo started >{fifo}; while :; do sleep 600; done',
}


@pytest.mark.parametrize("step", STOPPED)
def test_sigterm_ends_the_program_in_order(shell: Shell, step: str) -> None:
    """What is there is sent, the rest is said not to have run, the end frame says why."""
    fifo = shell.scratch / "fifo"
    os.mkfifo(fifo)
    started = shell.start(
        [
            command("before", "printf", "before"),
            script("waits", STOPPED[step].format(fifo=fifo), timeout_seconds=600),
            command("never", "printf", "never"),
        ],
        deadline_seconds=900,
    )
    assert fifo.read_text() == "started\n"
    started.process.terminate()
    ran = started.finish()
    assert told(ran.result) == {
        "before": [(0, b"before", b"")],
        "waits": [("signal", b"out\n", b"")],
        "never": [],
    }
    assert ran.result.steps[2].not_run == "signal"
    assert ran.result.ended_by == "signal"
    assert ran.result.complete


def test_sigterm_ends_a_back_off(shell: Shell) -> None:
    """Between two attempts the program sleeps; it must hear the signal there as well."""
    started = shell.start(
        [script("fails", "exit 4", attempts=2, backoff_seconds=25), command("never", "true")],
        deadline_seconds=900,
    )
    assert started.process.stdout is not None
    head = b""
    while b" err " not in head:  # the last frame before the back-off
        head += started.process.stdout.readline()
    _until_it_sleeps(started.process.pid)
    started.process.terminate()
    ran = started.finish()
    result = ran.result
    assert result.ended_by == "signal"
    assert result.steps[1].not_run == "signal"


def _until_it_sleeps(pid: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not any(_command(int(child)) == "sleep" for child in children.read_text().split()):
        os.sched_yield()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("name", SHELLS)
def test_as_the_first_process_of_its_container(tmp_path: Path, name: str) -> None:
    """The kernel keeps from PID 1 every signal that it does not ask for, and gives it orphans."""
    shell = Shell(name, tmp_path).prepared()
    fifo = shell.scratch / "fifo"
    os.mkfifo(fifo)
    started = shell.start(
        [
            script("orphan", "(sleep 0.1 &) ; echo out"),
            script("waits", f"echo started >{fifo}; sleep 600", timeout_seconds=600),
        ],
        wrapper=(needed("unshare"), "--map-root-user", "--pid", "--fork", "--mount-proc"),
        env={"PATH": f"{shell.root}/bin:/usr/bin:/bin"},
    )
    assert fifo.read_text() == "started\n"
    outside = started.process.pid
    first = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()[0]
    os.kill(int(first), signal.SIGTERM)
    ran = started.finish()
    assert told(ran.result) == {"orphan": [(0, b"out\n", b"")], "waits": [("signal", b"", b"")]}
    assert ran.result.ended_by == "signal"
    assert ran.result.complete
    assert ran.exit_code == 0
