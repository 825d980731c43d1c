"""A log that is not all there, or not as it was written, is never taken for the whole truth."""

import base64
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.program import ProgramResult, decode
from runner.program.frames import KINDS, cksum
from tests.programs.program_logs import RANDOM, STEPS, TEXT, line, long_run, read, short_run
from tests.programs.program_runs import NONCE, Ran, command


def assert_nothing_wrong_is_proven(result: ProgramResult, truth: ProgramResult) -> None:
    """Whatever is whole, and whatever exit code is given, is what really was."""
    for got, true in zip(result.steps, truth.steps, strict=True):
        real = {attempt.number: attempt for attempt in true.attempts}
        assert got.not_run in {"", true.not_run}
        for attempt in got.attempts:
            assert attempt.number in real
            if attempt.cut_by != "lost":
                unstreamed = replace(attempt, stdout=real[attempt.number].stdout,
                                     stderr=real[attempt.number].stderr)  # fmt: skip
                assert unstreamed == real[attempt.number]
            for name in ("stdout", "stderr"):
                stream = getattr(attempt, name)
                if stream.whole:
                    assert stream == getattr(real[attempt.number], name)


def assert_not_taken_for_all(log: bytes, ran: Ran) -> None:
    result = read(log)
    assert_nothing_wrong_is_proven(result, ran.result)
    assert not result.complete, log[:200]
    assert result.problems


def test_the_whole_log_is_complete() -> None:
    ran = long_run()
    result = read(ran.log, ran.message)
    assert (result.complete, result.problems, result.remarks) == (True, (), ())
    assert [[a.exit_code for a in step.attempts] for step in result.steps] == [
        [1, 0], [0], [], [9], [0],
    ]  # fmt: skip
    assert result.steps[1].attempts[0].stdout.data == RANDOM
    assert result.steps[3].attempts[0].stdout.data == TEXT
    assert result.steps[4].attempts[0].stdout.data == TEXT[:5000]
    assert result.steps[2].not_run == "tool missing: no-dig"


def test_every_head_that_is_cut_off() -> None:
    """Rotation: the log begins in the middle, at any byte."""
    ran = long_run()
    short = short_run()
    for at in range(1, len(short.log)):
        assert_not_taken_for_all(short.log[at:], short)
    for at in range(1, len(ran.log), 197):
        assert_not_taken_for_all(ran.log[at:], ran)


def test_every_tail_that_is_cut_off() -> None:
    """The program was killed or the read was cut, at any byte (a last newline carries nothing)."""
    ran = long_run()
    short = short_run()
    for at in range(len(short.log) - 1):
        assert_not_taken_for_all(short.log[:at], short)
    for at in range(0, len(ran.log) - 1, 197):
        assert_not_taken_for_all(ran.log[:at], ran)
    assert read(short.log[:-1]).complete


def test_every_run_of_lines_that_is_missing() -> None:
    ran = long_run()
    lines = ran.log.splitlines(keepends=True)
    for begin in range(len(lines)):
        for end in range(begin + 1, len(lines) + 1):
            assert_not_taken_for_all(b"".join(lines[:begin] + lines[end:]), ran)


def test_every_two_lines_swapped_and_every_line_doubled() -> None:
    ran = long_run()
    lines = ran.log.splitlines(keepends=True)
    for first in range(len(lines)):
        doubled = [*lines[: first + 1], *lines[first:]]
        assert_not_taken_for_all(b"".join(doubled), ran)
        for second in range(first + 1, len(lines)):
            swapped = list(lines)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            assert_not_taken_for_all(b"".join(swapped), ran)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_every_short_hole(size: int) -> None:
    """A line whose middle is missing may look like a line: `exit 127` would read `exit 1`."""
    short = short_run()
    for at in range(len(short.log) - size):
        if short.log[at : at + size] != b"\n":  # two lines of ours glued together are still two
            assert_not_taken_for_all(short.log[:at] + short.log[at + size :], short)


@settings(max_examples=100)
@given(data=st.data())
def test_any_damage(data: st.DataObject) -> None:
    """Holes, repeated and moved pieces, foreign bytes: never whole and wrong, never an error."""
    ran = long_run()
    log = ran.log
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(log)))
        end = data.draw(st.integers(begin, min(len(log), begin + 6000)))
        piece = log[begin:end]
        log = data.draw(
            st.sampled_from(
                [
                    log[:begin] + log[end:],
                    log[:end] + piece + log[end:],
                    piece + log[:begin] + log[end:],
                    log[:begin] + bytes(reversed(piece)) + log[end:],
                    log[:begin] + b"\n" + log[begin:],
                    log[:begin] + b"sh: 1: foo: not found\n" + log[begin:],
                    log[:begin] + data.draw(st.binary(max_size=40)) + log[end:],
                ]
            )
        )
    assert_nothing_wrong_is_proven(read(log), ran.result)


@settings(max_examples=100)
@given(log=st.binary(max_size=2000), message=st.none() | st.text(max_size=100))
def test_any_bytes(log: bytes, message: str | None) -> None:
    result = read(log, message)
    assert not result.complete
    assert not result.program_started
    assert [step.attempts for step in result.steps] == [()] * len(STEPS)
    assert result.problems


numbers_of_lines = st.integers(0, 6) | st.integers(0, 10**18 - 1)
forged_lines = st.builds(
    lambda sequence, kind, numbers, execution, digest: line(
        sequence, kind, *numbers[: KINDS[kind]], execution=execution, digest=digest
    ),
    st.integers(0, 9),
    st.sampled_from(sorted(KINDS)),
    st.lists(numbers_of_lines, min_size=6, max_size=6),
    st.sampled_from(["1", "2", "ffffffff"]),
    st.sampled_from(["-", "0" * 64, "123", "4294967295"]),
)
data_lines = st.sampled_from(
    [b"aGVsbG8=\n", b"H4sIAAAAAAAA\n", b"68 65\n", b"====\n", b"\xff\n", b"A\n"]
)


@settings(max_examples=100)
@given(lines=st.lists(forged_lines | data_lines, max_size=30))
def test_any_lines_that_look_right(lines: list[bytes]) -> None:
    """Lines with right checks but any numbers: no error, no more data than the limits allow."""
    result = read(b"".join(lines))
    for step, record in zip(STEPS, result.steps, strict=True):
        assert len(record.attempts) <= step.attempts
        for attempt in record.attempts:
            for stream in (attempt.stdout, attempt.stderr):
                assert len(stream.data) <= step.output_limit_bytes
                assert not stream.whole or len(stream.data) == min(
                    stream.total_bytes, step.output_limit_bytes
                )


def test_a_gzip_bomb_stays_within_the_limit() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(50_000_000)))
    log = line(0, "start", 1, 1, 1, 4, 9, 9) + line(1, "exit", 0, 1, 0, 0, 0, 0)
    log += line(2, "out", 0, 1, 5, 0, 4096, 50_000_000, digest="0" * 64) + bomb + b"\n"
    step = command("bomb", "x", output_limit_bytes=4000)
    result = decode(log, nonce=NONCE, steps=[step])
    stream = result.steps[0].attempts[0].stdout
    assert (len(stream.data), stream.whole, stream.truncated) == (4000, False, True)


@pytest.mark.parametrize(
    ("data", "crc"), [(b"", 4294967295), (b"a", 1220704766), (b"123456789", 930766865)]
)
def test_cksum_is_that_of_posix(data: bytes, crc: int) -> None:
    assert cksum(data) == crc
