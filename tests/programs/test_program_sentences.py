"""What is wrong with a log is said in sentences that name it."""

import re

import pytest
from msgspec.structs import replace

from runner.program import decode, summary
from runner.program.frames import MODULUS
from tests.programs.program_logs import STEPS, line, long_run, read


def parts(log: bytes) -> list[bytes]:
    """The lines of the long run; 10 to 16 hold what step random wrote, 27 what limited wrote."""
    lines = log.splitlines(keepends=True)
    assert len(lines) == 30
    return lines


def problems(lines: list[bytes], message: str | None = None) -> tuple[str, ...]:
    return read(b"".join(lines), message).problems


KILLED = "without an end frame: the program was killed or still runs, or the log was cut"


def test_the_sentences_name_what_is_missing() -> None:
    ran = long_run()
    lines = parts(ran.log)
    assert problems(lines[4:]) == (
        "log begins in the middle: 4 frames are missing (rotated?)",
        "an attempt of step retried before attempt 2 did not arrive",
    )
    assert problems(lines[:5] + lines[7:]) == (
        "frame 5 is missing",
        "the frame of step retried, attempt 2, stdout did not arrive",
    )
    assert problems(lines[:7] + lines[18:]) == (
        "frames 6 to 9 are missing",
        "the frame of step retried, attempt 2, stderr did not arrive",
        "the result of step random did not arrive",
    )
    assert problems(lines[:19]) == (
        f"the log ends behind frame 10 {KILLED}",
        "the result of step text did not arrive",
        "the result of step limited did not arrive",
    )
    assert problems(lines[:-1], ran.message) == (
        f"the log ends behind frame 16 {KILLED}",
        "the program had sent 18 frames, 17 are in the log",
    )
    (torn,) = problems([*lines[:12], lines[12][:2000] + b"\n", *lines[17:]])
    assert re.fullmatch(
        r"frame 8 \(step random, attempt 1, stdout\) is torn: 7\d\d\d of 20000 bytes", torn
    )
    assert problems([*lines[:28], b"aGVsbG8=\n", *lines[28:]]) == (
        "frame 15 (step limited, attempt 1, stdout) has lines that do not belong to it",
    )
    assert problems([*lines[:6], b"b3M=\n", *lines[7:]]) == (
        "frame 5 (step retried, attempt 2, stdout) is damaged: 2 bytes, but their hash differs",
    )
    changed = lines[8].replace(b" exit 1 1 0 0 ", b" exit 1 1 0 1 ")
    assert problems([*lines[:8], changed, *lines[9:]]) == (
        "frame 7 is missing",
        "how attempt 1 of step random ended did not arrive",
        "1 line of the program is damaged",
    )
    assert problems(lines[:1] * 2 + lines[1:]) == ("frame 0 is doubled or out of order",)


def test_a_log_that_is_none_of_ours() -> None:
    """The endpoint answers 200 with an error text, or with nothing."""
    ran = long_run()
    text = b"failed to try resolving symlinks in path \x1b[31m\n"
    assert read(b"").problems == ("the log is empty",)
    begin = r"'failed to try resolving symlinks in path \x1b[31m\n'"
    assert read(text).problems == (
        f"no frame of the program is in the log (47 bytes), it begins {begin}",
    )
    assert decode(ran.log, nonce="pm-other", steps=STEPS).problems == (
        "the log is that of another program: its frames have another nonce",
    )
    lost = read(b"", ran.message)
    assert lost.problems == (
        "the log is empty",
        "the program had sent 18 frames, none is in the log",
    )
    assert (lost.program_started, lost.ended_by, lost.complete) == (True, "end", False)


def test_text_glued_to_lines_is_taken_off() -> None:
    """Another writer, or a lost CR: whatever can be proven is used, and the rest is said."""
    ran = long_run()
    lines = parts(ran.log)
    lines[0] = b"a warning without newline" + lines[0]
    lines[3] = lines[3].rstrip() + b"sh: 1: foo: not found\r\n"
    lines[11] = lines[11].rstrip() + b"Killed, sorry\n"
    lines[12] = b"glued: " + lines[12]
    lines[14] = b"one whole line: not of base64\n" + lines[14]
    result = read(b"".join(lines).replace(b"\n", b"\r\n"), ran.message)
    assert result.complete
    assert replace(result, remarks=()) == ran.result
    assert result.remarks == (
        "1 line between the frames is not from the program",
        "1 line in front is not from the program",
    )


def test_a_second_execution_is_never_merged_with_the_first() -> None:
    """A container whose record was lost is executed again (kubernetes#124176)."""
    ran = long_run()
    again = _execution(ran.log, b"0000beef")
    torn = again[:6000]
    whole_last = read(ran.log + again)
    assert whole_last.execution == "0000beef"
    assert whole_last.complete
    assert whole_last.problems == (
        "the program ran 2 times: these are the results of execution 0000beef, which is complete",
    )
    first = read(ran.log + torn)
    assert first.execution == ran.result.execution
    assert first.complete
    assert first.steps == ran.result.steps
    none = read(ran.log[:6000] + torn)
    assert none.execution == "0000beef"
    assert not none.complete
    told = read(ran.log + torn, ran.message.replace(ran.result.execution, "0000beef"))
    assert not told.complete
    assert told.problems[0] == (
        "the termination message is that of another execution of the program"
    )


def _execution(log: bytes, execution: bytes) -> bytes:
    """The same log as another execution would have written it."""
    checksum, again = 0, []
    for part in log.splitlines(keepends=True):
        words = part.split()
        if words[0] != b"@podmedic":
            again.append(part)
            continue
        kind, numbers = words[4].decode(), [int(number) for number in words[5:-3]]
        if kind == "end":
            numbers[-1] = checksum
        new = line(int(words[3]), kind, *numbers, execution=execution.decode(),
                   digest=words[-2].decode())  # fmt: skip
        checksum = (checksum * 31 + int(new.split()[-3])) % MODULUS
        again.append(new)
    return b"".join(again)


def test_a_hostile_log_causes_few_sentences() -> None:
    log = b"".join(line(n % 7, "exit", n, 1, 0, 0, 0, 0) for n in range(2000))
    result = read(log)
    assert len(result.problems) <= 41
    assert result.problems[-1] == "there is more of that kind"


def test_megabytes_of_our_mark_take_no_more_than_linear_time() -> None:
    """Would run for hours if any part of the log were read again and again."""
    for hostile in (
        b"@podmedic ",
        b"@podmedic pm-3f9a 1 1 exit 1 ",
        b"A",
        b"\n",
        b"@podmedic " * 80 + b"\n",
    ):
        assert not read(hostile * (400_000 // len(hostile))).complete
    many = b"".join(line(0, "end", 0, 0, 0, execution=f"{n:x}") for n in range(5000))
    assert not read(many).complete


@pytest.mark.parametrize(
    "message",
    [
        "",
        "OOMKilled",
        "podmedic nonce=a",
        "podmedic nonce=a exec=1 steps=1/1 frames=1 bytes=1 sum=1",
    ],
)
def test_a_message_that_is_none_of_ours(message: str) -> None:
    ran = long_run()
    assert summary(message) is None
    result = read(ran.log, message)
    assert result.complete
    assert result.remarks == (
        ("the termination message is not from the program",) if message else ()
    )
