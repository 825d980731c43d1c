"""From what the program in the pod reported to step results, through the redactor."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from runner.examine.context import Redact, about
from runner.model.report import Attempt, OutputInfo, StepOutcome, StepResult
from runner.plan import NotRun
from runner.program import AttemptRecord, ProgramResult, ProgramStep, StepRecord, StreamRecord

# What of one output stands in report.json; all of it is kept beside the report.
MAX_INLINE_BYTES = 64 * 1024


def _output(
    stream: StreamRecord, redact: Redact, store: Callable[[bytes], str | None]
) -> tuple[str, OutputInfo]:
    if not stream.data:
        return "", OutputInfo(bytes=stream.total_bytes, truncated=stream.truncated)
    clean, redactions = redact.redact_bytes(stream.data)
    text = clean[:MAX_INLINE_BYTES].decode("utf-8", errors="replace")
    exact = len(clean) <= MAX_INLINE_BYTES and text.encode() == clean
    return text, OutputInfo(
        bytes=stream.total_bytes,
        kept_bytes=len(stream.data),
        sha256=stream.sha256,
        truncated=stream.truncated,
        redactions=len(redactions),
        blob=None if exact else store(clean),
    )


def _attempt_outcome(attempt: AttemptRecord) -> StepOutcome:
    if attempt.timed_out:
        return StepOutcome.TIMEOUT
    if attempt.exit_code is None or not (attempt.stdout.whole and attempt.stderr.whole):
        return StepOutcome.ERROR
    return StepOutcome.PASSED if attempt.exit_code == 0 else StepOutcome.FAILED


def _attempt(
    attempt: AttemptRecord,
    began: datetime | None,
    redact: Redact,
    store: Callable[[bytes], str | None],
) -> Attempt:
    with about(stream="stdout", attempt=f"{attempt.number}"):
        stdout, stdout_info = _output(attempt.stdout, redact, store)
    with about(stream="stderr", attempt=f"{attempt.number}"):
        stderr, stderr_info = _output(attempt.stderr, redact, store)
    return Attempt(
        number=attempt.number,
        outcome=_attempt_outcome(attempt),
        exit_code=attempt.exit_code,
        duration_seconds=attempt.duration_seconds,
        started_at=_started_at(attempt, began),
        stdout=stdout,
        stderr=stderr,
        stdout_info=stdout_info,
        stderr_info=stderr_info,
    )


def _started_at(attempt: AttemptRecord, began: datetime | None) -> datetime | None:
    if began is None or attempt.cut_by == "lost":
        return None
    return began + timedelta(seconds=attempt.started_offset_seconds)


_NOT_RUN_REASONS = {
    "tool missing": "ToolMissing",
    "deadline": "DeadlineExceeded",
    "signal": "Stopped",
    "no writable": "NoWritableFolder",
}


def _not_run(step: ProgramStep, why: str) -> StepResult:
    reason = next((r for words, r in _NOT_RUN_REASONS.items() if why.startswith(words)), "NotRun")
    return StepResult(
        playbook=step.playbook,
        name=step.name,
        outcome=StepOutcome.NOT_EVALUATED,
        reason=reason,
        message=why,
    )


def _step(
    step: ProgramStep,
    record: StepRecord,
    began: datetime | None,
    ended: tuple[str, str],
    redact: Redact,
    store: Callable[[bytes], str | None],
) -> StepResult:
    if record.not_run:
        return _not_run(step, record.not_run)
    if not record.attempts:
        return StepResult(
            playbook=step.playbook,
            name=step.name,
            outcome=StepOutcome.ERROR,
            reason=ended[0],
            message=ended[1],
        )
    with about(source=f"step {step.name} of {step.playbook}"):
        attempts = tuple(_attempt(a, began, redact, store) for a in record.attempts)
    last = attempts[-1]
    torn = last.outcome is StepOutcome.ERROR
    return StepResult(
        playbook=step.playbook,
        name=step.name,
        outcome=last.outcome,
        reason="OutputIncomplete" if torn else "",
        message="the output did not arrive whole" if torn else "",
        exit_code=last.exit_code,
        duration_seconds=last.duration_seconds,
        stdout=last.stdout,
        stderr=last.stderr,
        attempts=attempts,
    )


def step_results(
    steps: Iterable[ProgramStep],
    program: ProgramResult,
    began: datetime | None,
    ended: tuple[str, str],
    redact: Redact,
    store: Callable[[bytes], str | None],
) -> tuple[StepResult, ...]:
    """`began` is when the program did, `ended` reason and sentence for steps that left no frame."""
    return tuple(
        _step(step, record, began, ended, redact, store)
        for step, record in zip(steps, program.steps, strict=True)
    )


def steps_not_run(not_run: Iterable[NotRun]) -> tuple[StepResult, ...]:
    return tuple(
        StepResult(
            playbook=n.playbook,
            name=n.step,
            outcome=StepOutcome.NOT_EVALUATED,
            reason=n.reason,
            message=n.message,
        )
        for n in not_run
    )


def steps_lost(
    steps: Iterable[ProgramStep], outcome: StepOutcome, reason: str, message: str
) -> tuple[StepResult, ...]:
    return tuple(
        StepResult(
            playbook=s.playbook, name=s.name, outcome=outcome, reason=reason, message=message
        )
        for s in steps
    )
