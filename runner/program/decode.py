"""The log of a step program back to what its steps did, and how far that can be trusted."""

from collections.abc import Sequence

from runner.program.assemble import ENDS, Execution, Sentences, assemble, lines_are
from runner.program.frames import Frame, Scan, scan, told_frames
from runner.program.summary import summary
from runner.program.values import ProgramResult, ProgramStep, StepRecord, Summary


def decode(
    log: bytes, *, nonce: str, steps: Sequence[ProgramStep], message: str | None = None
) -> ProgramResult:
    """Read `log` of the program that `build(steps, nonce=nonce, …)` made.

    Never raises, takes linear time, and never holds more of an output than its step's limit.
    `message` is the container's termination message, where it is known. When the container was
    executed more than once, the last complete execution counts, otherwise the last one.
    """
    found = scan(log, nonce)
    told = summary(message) if message else None
    if told is not None and told.nonce != nonce:
        told = None
    executions: dict[str, list[Frame]] = {}
    for frame in found.frames:
        executions.setdefault(frame.execution, []).append(frame)
    if not executions:
        return _nothing(log, found, steps, told)
    chosen, frames = _choose(executions, steps)
    problems = Sentences(chosen.problems)
    if found.damaged_lines:
        problems.say(f"{lines_are(found.damaged_lines, 'of the program')} damaged")
    if told is not None:
        _compare(told, chosen, frames, problems)
    complete = not problems and chosen.ended_by != "unknown"
    if len(executions) > 1:
        problems.say(
            f"the program ran {len(executions)} times: these are the results of execution"
            f" {frames[0].execution}, {'which is' if complete else 'none is'} complete"
        )
    _remark(found, chosen, message, told)
    ended_by = chosen.ended_by
    if ended_by == "unknown" and told is not None and told.execution == frames[0].execution:
        ended_by = told.ended_by
    return ProgramResult(
        steps=chosen.steps,
        complete=complete,
        problems=tuple(problems),
        program_started=True,
        ended_by=ended_by,
        remarks=tuple(chosen.remarks),
        execution=frames[0].execution,
    )


def decode_message(
    message: str, *, nonce: str, steps: Sequence[ProgramStep]
) -> ProgramResult | None:
    """The result that a termination message holds all of, proven as that of a log is; otherwise
    None, and the log is to be read. Never raises."""
    told = summary(message)
    if told is None or told.nonce != nonce or told.ended_by == "unknown" or told.bytes:
        return None
    frames = told_frames(told.lines, told.execution)
    if not frames or (told.steps_run, told.steps) != (frames[-1].fields[0], len(steps)):
        return None
    whole = assemble(frames, steps)
    _compare(told, whole, frames, whole.problems)
    if whole.problems:
        return None
    return ProgramResult(
        steps=whole.steps,
        complete=True,
        problems=(),
        program_started=True,
        ended_by=whole.ended_by,
        remarks=tuple(whole.remarks),
        execution=told.execution,
    )


def _nothing(
    log: bytes, found: Scan, steps: Sequence[ProgramStep], told: Summary | None
) -> ProgramResult:
    problems = Sentences()
    if not log:
        problems.say("the log is empty")
    elif found.other_programs:
        problems.say("the log is that of another program: its frames have another nonce")
    else:
        begin = ascii(log[:160].decode(errors="replace"))
        problems.say(f"no frame of the program is in the log ({len(log)} bytes), it begins {begin}")
    if told is not None:
        problems.say(f"the program had sent {told.frames} frames, none is in the log")
    return ProgramResult(
        steps=tuple(StepRecord(playbook=step.playbook, name=step.name) for step in steps),
        complete=False,
        problems=tuple(problems),
        program_started=told is not None,
        ended_by="unknown" if told is None else told.ended_by,
        execution="" if told is None else told.execution,
    )


def _choose(
    executions: dict[str, list[Frame]], steps: Sequence[ProgramStep]
) -> tuple[Execution, list[Frame]]:
    last: tuple[Execution, list[Frame]] | None = None
    for frames in reversed(executions.values()):
        if last is not None and not (frames[0].sequence == 0 and frames[-1].kind in ENDS):
            continue  # surely not complete: not worth the time
        execution = assemble(frames, steps)
        if not execution.problems:
            return execution, frames
        last = last or (execution, frames)
    assert last is not None
    return last


def _compare(told: Summary, chosen: Execution, frames: list[Frame], problems: Sentences) -> None:
    if told.execution != frames[0].execution:
        problems.say("the termination message is that of another execution of the program")
    elif told.frames > chosen.frames:
        problems.say(f"the program had sent {told.frames} frames, {chosen.frames} are in the log")
    elif told.ended_by != "unknown" and (told.frames, told.checksum, told.ended_by) != (
        chosen.frames,
        chosen.checksum,
        chosen.ended_by,
    ):
        problems.say("the frames in the log are not those that the termination message tells of")


def _remark(found: Scan, chosen: Execution, message: str | None, told: Summary | None) -> None:
    if found.foreign_lines:
        chosen.remarks.say(f"{lines_are(found.foreign_lines, 'in front')} not from the program")
    if found.other_programs:
        chosen.remarks.say(f"{found.other_programs} frames of another program were left out")
    if message and told is None:
        chosen.remarks.say("the termination message is not from the program")
