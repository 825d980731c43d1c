"""Steps in a container of ours that stays, through exec: one container for many sweeps."""

from collections.abc import Sequence

import msgspec

from runner.cluster import Chunk, ClusterError, Ended, ErrorReason, Place, StreamOutcome
from runner.examine.alone import when_alone
from runner.examine.artifacts import with_artifacts
from runner.examine.classify import Stage
from runner.examine.context import Context
from runner.examine.exec import listen
from runner.examine.inject import (
    Injected,
    as_injected,
    not_allowed,
    result_of,
    send,
    wait_for,
)
from runner.examine.steps import step_results
from runner.injection import find_resident
from runner.killpoints import reach
from runner.model.pod import Container, Pod
from runner.model.report import Injection, PodOutcome
from runner.plan import (
    InjectionPlan,
    PodPlan,
    container_for,
    first_program,
    name_of,
    program_of,
)
from runner.program import ProgramResult, decode, received

# The program leaves output out before it passes 8 MiB.
_OUTPUT_LIMIT_BYTES = 10 * 1024 * 1024
_NOT_THERE = frozenset({ErrorReason.NOT_READY, ErrorReason.NOT_FOUND})


async def run_resident(
    ctx: Context, pod_plan: PodPlan, plan: InjectionPlan, attempt: int
) -> Injected:
    """Like `run_injection`: in a container that an earlier sweep left, else in a new one."""
    pod = ctx.hub.latest(pod_plan.pod.metadata.uid)
    uid = pod.metadata.uid
    debugger = plan.debugger
    name = name_of(plan, ctx.run_id, uid, attempt)
    plan = as_injected(pod_plan, plan, pod, name)
    built = container_for(
        pod_plan, plan, name=name, run_id=ctx.run_id, program=first_program(plan, name)
    )
    shell = built.body["command"][:-1]
    found = find_resident(
        pod, built.body, ctx.now(),
        ttl_seconds=debugger.ttl_seconds,
        needed_seconds=plan.deadline_seconds + ctx.limits.grace_seconds,
    )  # fmt: skip
    if found is not None and not ctx.forbidden(pod_plan.pod, built.body, plan.choice.strategy):
        await when_alone(ctx, pod)
        if (why := ctx.stopped()) is not None:
            return not_allowed(plan, why)
        await ctx.record(
            "entering", container=found.name, strategy=plan.choice.strategy,
            namespace=pod.metadata.namespace, pod=pod.metadata.name, uid=uid,
        )  # fmt: skip
        ctx.stage("injected")
        ctx.stage("running")
        injected = await _in(ctx, plan, pod, _reused(ctx, plan, found), shell)
        if injected is not None:
            return injected
    sent = await send(ctx, pod_plan, plan, built)
    if isinstance(sent, Injected):
        return sent
    verdict = await wait_for(ctx, uid, name, sent.generation, deadline_seconds=None)
    if verdict.stage is Stage.RUNNING:
        injected = await _in(ctx, plan, pod, sent.injection, shell)
        if injected is not None:
            return injected
        verdict = await wait_for(ctx, uid, name, sent.generation, deadline_seconds=0.0)
    return await result_of(ctx, plan, uid, sent.injection, verdict)


def _reused(ctx: Context, plan: InjectionPlan, found: Container) -> Injection:
    return Injection(
        container=found.name,
        image=found.image,
        profile=plan.debugger.profile,
        profile_reason=plan.profile_reason,
        strategy=plan.choice.strategy,
        target_container_name=found.target_container_name,
        injected_at=ctx.now(),
        reused=True,
    )


async def _in(
    ctx: Context, plan: InjectionPlan, pod: Pod, injection: Injection, shell: Sequence[str]
) -> Injected | None:
    """The steps in that container; None when it does not run (any more)."""
    uid, name = pod.metadata.uid, injection.container
    place = Place(namespace=pod.metadata.namespace, pod=pod.metadata.name, container=name)
    # The termination log of the container is for its own end.
    program = program_of(plan, name, termination_log="/dev/null")
    began = ctx.now()
    try:
        output, ended = await _exec(
            ctx, place, received(program, shell), plan.deadline_seconds + ctx.limits.grace_seconds
        )
    except ClusterError as error:
        if error.reason in _NOT_THERE and not ctx.hub.gone(uid):
            return None
        output, ended = b"", Ended(
            outcome=StreamOutcome.UNKNOWN, reason=error.reason.value, message=error.message
        )  # fmt: skip
    finally:
        ctx.stage("stopped")
    reach("log-read")
    result = decode(output, nonce=name, steps=plan.steps, message=None)
    status = ctx.hub.latest(uid).ephemeral_container_status(name)
    running = status.state.running if status is not None else None
    injection = msgspec.structs.replace(
        injection,
        transport="exec",
        image_id=status.image_id if status is not None else "",
        started_at=running.started_at if running is not None else ctx.now(),
        warnings=(*injection.warnings, *result.remarks),
    )
    outcome, reason, message = judged(
        result, ended, deadline_seconds=plan.deadline_seconds, gone=ctx.hub.gone(uid)
    )
    message = ctx.redact.redact_text(message)[0]
    why = (reason or "NotRun", message or "the program ended before this step")
    steps = step_results(plan.steps, result, began, why, ctx.redact, ctx.store)
    return Injected(
        injection=injection,
        steps=await with_artifacts(ctx, plan, place, steps),
        outcome=outcome,
        reason=reason,
        message=message,
    )


async def _exec(
    ctx: Context,
    place: Place,
    command: tuple[tuple[str, ...], bytes],
    timeout_seconds: float,
) -> tuple[bytes, Ended]:
    """What the program wrote, and how the stream ended; raises ClusterError where it could not
    begin. A stream that is cut leaves the program to its own deadline."""
    argv, text = command
    output = bytearray()

    def hear(chunk: Chunk) -> bool:
        if not chunk.is_error:
            output.extend(chunk.data)
        return len(output) <= _OUTPUT_LIMIT_BYTES

    ended = await listen(
        ctx, place, argv, hear,
        timeout_seconds=timeout_seconds, late="; it is left to its own deadline", stdin=text,
    )  # fmt: skip
    return bytes(output), ended


def judged(
    result: ProgramResult, ended: Ended, *, deadline_seconds: float, gone: bool
) -> tuple[PodOutcome | None, str, str]:
    """Outcome None means that all of the program's word arrived and nothing cut it short."""
    if result.complete and result.ended_by == "deadline":
        why = f"the steps did not end within {deadline_seconds:.0f} s"
        return PodOutcome.TIMEOUT, "DeadlineExceeded", why
    if result.complete and result.ended_by != "signal":
        return None, "", ""
    if gone:
        return PodOutcome.UNKNOWN, "PodGone", "the pod was deleted before its result was read"
    if result.complete:
        return PodOutcome.UNKNOWN, "Stopped", "the steps were stopped before all had ended"
    if ended.outcome is not StreamOutcome.EXITED:
        timed_out = ended.reason == "DeadlineExceeded"
        outcome = PodOutcome.TIMEOUT if timed_out else PodOutcome.UNKNOWN
        return outcome, ended.reason or "ExecIncomplete", ended.message
    words = "; ".join(result.problems) or "the program's last word is missing from its output"
    return PodOutcome.UNKNOWN, "ExecIncomplete", words
