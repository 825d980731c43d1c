"""The frames of one execution put together to what each step did."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from typing import Literal

import msgspec
from msgspec.structs import replace

from runner.program.build import BLOCK_BYTES
from runner.program.frames import LEFT_OUT, MODULUS, Frame, payload
from runner.program.values import AttemptRecord, EndedBy, ProgramStep, StepRecord, StreamRecord

_MAX_SENTENCES = 40
_EXITED, _TIMED_OUT, _DEADLINE, _SIGNAL = range(4)
_CUT: dict[int, Literal["", "deadline", "signal"]] = {_DEADLINE: "deadline", _SIGNAL: "signal"}
ENDS: dict[str, EndedBy] = {"end": "end", "end-deadline": "deadline", "end-signal": "signal"}
_NOT_RUN = {
    "skip-deadline": "deadline",
    "skip-signal": "signal",
    "skip-nowhere": "no writable folder for a pipe in the container, or no dd, wc or sleep",
}


class Sentences(list[str]):
    """Sentences for people, of which a hostile log cannot cause more than a few."""

    def say(self, sentence: str) -> None:
        if len(self) < _MAX_SENTENCES:
            self.append(sentence)
        elif len(self) == _MAX_SENTENCES:
            self.append("there is more of that kind")


class _Attempt(msgspec.Struct):
    """The frames of one attempt."""

    ended: Frame | None = None
    streams: dict[str, Frame] = msgspec.field(default_factory=dict)


class Execution(msgspec.Struct):
    """What one execution of the program left in the log."""

    steps: tuple[StepRecord, ...]
    ended_by: EndedBy
    last: Frame
    frames: int
    checksum: int
    problems: Sentences
    remarks: Sentences


def assemble(frames: list[Frame], steps: Sequence[ProgramStep]) -> Execution:
    problems, remarks = Sentences(), Sentences()
    checksum = _in_sequence(frames, problems)
    attempts: list[dict[int, _Attempt]] = [{} for _ in steps]
    not_run = [""] * len(steps)
    for frame in frames:
        if frame.kind == "start":
            _start(frame, steps, problems, remarks)
        elif frame.kind not in ENDS:
            _file(frame, steps, attempts, not_run, problems)
    records = tuple(
        StepRecord(
            playbook=step.playbook,
            name=step.name,
            attempts=tuple(_attempts(step, attempts[index], problems, remarks)),
            not_run=not_run[index] if not attempts[index] else "",
        )
        for index, step in enumerate(steps)
    )
    for record in records:
        if not record.attempts and not record.not_run:
            problems.say(f"the result of step {record.name} did not arrive")
    end = frames[-1]
    if end.kind in ENDS and not problems:
        kept = sum(frame.fields[4] for frame in frames if frame.kind in {"out", "err"})
        run = sum(1 for record in records if record.attempts)
        if (run, kept) != end.fields[:2]:
            problems.say("the steps and bytes in the log are not as many as the end frame says")
    without_data = (f for f in frames if f.kind not in {"out", "err"} or f.fields[4] == 0)
    foreign = sum(1 for f in without_data for text in f.lines if text.strip())
    if foreign:
        remarks.say(f"{lines_are(foreign, 'between the frames')} not from the program")
    return Execution(
        steps=records,
        ended_by=ENDS.get(end.kind, "unknown"),
        last=end,
        frames=len(frames),
        checksum=checksum,
        problems=problems,
        remarks=remarks,
    )


def _in_sequence(frames: list[Frame], problems: Sentences) -> int:
    """Say which frames are missing, doubled or out of order; return the checksum over all."""
    checksum, expected = 0, 0
    for frame in frames:
        number = frame.sequence
        if number > expected and expected == 0:
            problems.say(f"log begins in the middle: {number} frames are missing (rotated?)")
        elif number == expected + 1:
            problems.say(f"frame {expected} is missing")
        elif number > expected:
            problems.say(f"frames {expected} to {number - 1} are missing")
        elif number < expected:
            problems.say(f"frame {number} is doubled or out of order")
        if frame.kind.startswith("end") and frame.fields[2] != checksum and not problems:
            problems.say("the checks of the frames are not those that the end frame says")
        checksum = (checksum * 31 + frame.check) % MODULUS
        expected = max(expected, number + 1)
    if frames[-1].kind not in ENDS:
        problems.say(
            f"the log ends behind frame {frames[-1].sequence} without an end frame: the program"
            " was killed or still runs, or the log was cut"
        )
    return checksum


def _start(
    frame: Frame, steps: Sequence[ProgramStep], problems: Sentences, remarks: Sentences
) -> None:
    version, number, encoding, gzip, digest, session = frame.fields
    if version != 1:
        problems.say(f"the frames have format {version}, only format 1 is known")
    if number != len(steps):
        problems.say(f"the program had {number} steps, {len(steps)} are expected")
    if encoding != 1:
        lost = "could not be sent" if not encoding else "was sent as hexadecimal digits"
        remarks.say(f"no base64 in the image: output {lost}")
    if not gzip:
        remarks.say("no gzip in the image: output was sent uncompressed")
    if digest != len("sha256sum"):
        checks = "cksum proves it" if digest else "only gzip's check proves it, where it was used"
        remarks.say(f"no sha256sum in the image: {checks}")
    if not session:
        remarks.say("no setsid in the image: what a step left running may live on")


def _file(
    frame: Frame,
    steps: Sequence[ProgramStep],
    attempts: list[dict[int, _Attempt]],
    not_run: list[str],
    problems: Sentences,
) -> None:
    """Put a frame where it belongs, the first of a kind only."""
    index = frame.fields[0]
    if index >= len(steps):
        problems.say(f"frame {frame.sequence} names step {index} of {len(steps)}")
        return
    step = steps[index]
    if frame.kind == "skip-tool":
        tool = step.tools[frame.fields[1]] if frame.fields[1] < len(step.tools) else "?"
        not_run[index] = not_run[index] or f"tool missing: {tool}"
        return
    if frame.kind in _NOT_RUN:
        not_run[index] = not_run[index] or _NOT_RUN[frame.kind]
        return
    number = frame.fields[1]
    if not 1 <= number <= step.attempts:
        problems.say(f"frame {frame.sequence} names attempt {number} of {step.attempts}")
        return
    attempt = attempts[index].setdefault(number, _Attempt())
    if frame.kind == "exit":
        attempt.ended = attempt.ended or frame
    else:
        attempt.streams.setdefault(frame.kind, frame)


def _attempts(
    step: ProgramStep, parts: dict[int, _Attempt], problems: Sentences, remarks: Sentences
) -> Iterator[AttemptRecord]:
    for expected, number in zip(count(1), sorted(parts)):
        if number != expected:
            problems.say(f"an attempt of step {step.name} before attempt {number} did not arrive")
        part = parts[number]
        stdout = _stream(step, number, part.streams.get("out"), "stdout", problems, remarks)
        stderr = _stream(step, number, part.streams.get("err"), "stderr", problems, remarks)
        record = AttemptRecord(
            number=number,
            exit_code=None,
            timed_out=False,
            duration_seconds=0.0,
            started_offset_seconds=0.0,
            stdout=stdout,
            stderr=stderr,
            cut_by="lost",
        )
        if part.ended is None:
            problems.say(f"how attempt {number} of step {step.name} ended did not arrive")
        else:
            _, _, state, code, began, took = part.ended.fields
            record = replace(
                record,
                exit_code=code if state == _EXITED else None,
                timed_out=state in {_TIMED_OUT, _DEADLINE},
                duration_seconds=took / 100,
                started_offset_seconds=began / 100,
                cut_by=_CUT.get(state, ""),
            )
        yield record


# Instead of an exit code of dd: not all had been read when the program had to go on.
CUT_OFF = {
    6: "what read it was killed: out of memory?",
    7: "its reader had not come to an end: a busy node, a slow disk, or its holder is hidden",
    8: "a process that could not be ended kept it open",
    9: "disk full?",
}


def _stream(
    step: ProgramStep,
    number: int,
    frame: Frame | None,
    what: str,
    problems: Sentences,
    remarks: Sentences,
) -> StreamRecord:
    where = f"step {step.name}, attempt {number}, {what}"
    if frame is None:
        problems.say(f"the frame of {where} did not arrive")
        return StreamRecord()
    _, _, encoding, bad, kept, total = frame.fields
    limit = step.output_limit_bytes
    capacity = -(-limit // BLOCK_BYTES) * BLOCK_BYTES
    got = payload(frame, encoding, kept, capacity)
    whole = got.proven
    if bad:
        whole = False
        how = CUT_OFF.get(6 if bad > 128 else bad, f"dd ended with {bad}")
        problems.say(f"{where}: the container could not keep or count all of it ({how})")
    elif encoding == LEFT_OUT and kept == 0:
        limit = 0
        remarks.say(f"{where}: {total} bytes were left out, the log would have become too long")
    elif kept != min(total, capacity):
        whole = False
        problems.say(f"frame {frame.sequence} ({where}): {kept} of {total} bytes make no sense")
    elif not whole:
        problems.say(f"frame {frame.sequence} ({where}) {_damage(frame, encoding, got.data, kept)}")
    elif not got.exact:
        problems.say(f"frame {frame.sequence} ({where}) has lines that do not belong to it")
    data = got.data[:limit]
    return StreamRecord(
        data=data,
        total_bytes=total,
        truncated=total > limit,
        sha256=sha256(data).hexdigest() if whole else "",
        whole=whole,
    )


def _damage(frame: Frame, encoding: int, data: bytes, kept: int) -> str:
    if not encoding & 3:
        return "could not be sent: the image has neither base64 nor od"
    if len(data) < kept:
        return f"is torn: {len(data)} of {kept} bytes"
    if frame.digest:
        return f"is damaged: {kept} bytes, but their hash differs"
    return "cannot be proven: the image has no sha256sum and no cksum"


def lines_are(count: int, where: str) -> str:
    return f"1 line {where} is" if count == 1 else f"{count} lines {where} are"
