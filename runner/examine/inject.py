"""Inject one ephemeral container, wait for its end on the shared watch, collect what it said."""

import asyncio
from contextlib import suppress
from typing import NamedTuple

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.debt import run_of
from runner.examine.alone import add_when_alone, read
from runner.examine.classify import Stage, Verdict, classify, explain_absence
from runner.examine.context import Context
from runner.examine.ending import TARGET_DIED, target_end, why_incomplete
from runner.examine.logs import read_log
from runner.examine.steps import step_results, steps_lost
from runner.injection import Built, Choice
from runner.killpoints import reach
from runner.late import late
from runner.model.pod import Pod, StateTerminated
from runner.model.report import Injection, PodOutcome, StepOutcome, StepResult
from runner.plan import InjectionPlan, PodPlan, container_for, first_program, name_of, plan_as
from runner.program import ProgramResult, decode, decode_message
from runner.select import Skip

# The program leaves output out before its log passes 8 MiB.
_LOG_LIMIT_BYTES = 10 * 1024 * 1024

# containerd's, the kubelet's and CRI-O's words for a target that is not there.
_TARGET_LOST = ("invalid target container", "unable to find target container", "target PID")
# runc's and containerd's, where it ended between our container's creation and its start (seen in
# 71 of 139 attempts to enter containers that live for less than a second).
_LOST_AT_START = late(
    r"namespace path: lstat /proc/\d+/ns/pid: no such file|cannot start a stopped process"
    r"|can't get final child's PID from pipe: EOF"
    r"|error during container init: (?:%!w\(<nil>\)|read init-p: connection reset by peer)"
)
# The runtime's words for an image without a shell.
_NO_SHELL = late(r'"/bin/sh": (?:stat /bin/sh: )?(?:no such file|executable file not found)')
# Without the subresource or a valid login no other pod will fare better.
HOPELESS = frozenset({ErrorReason.DISABLED, ErrorReason.UNAUTHORIZED})
_UNKNOWN = frozenset({ErrorReason.GONE, ErrorReason.REPLACED})
# The request may have been applied before the answer was lost.
_MAYBE_APPLIED = frozenset({ErrorReason.UNREACHABLE, ErrorReason.SERVER})


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` None means that the container ran to its end and all of its word arrived."""

    injection: Injection | None
    steps: tuple[StepResult, ...]
    outcome: PodOutcome | None = None
    reason: str = ""
    message: str = ""
    # Another strategy may still reach the pod: the target was not there to be entered, or its
    # image has no shell.
    unreached: bool = False
    # The target ended and took ours with it before all steps had run.
    target_died: bool = False


async def _ask(ctx: Context, pod: Pod) -> None:
    """What became of the pod: the watch may have been silent because the API server was away."""
    with suppress(ClusterError):
        ctx.hub.read(pod.metadata.uid, await read(ctx, pod))


async def wait_for(
    ctx: Context,
    uid: str,
    name: str,
    generation: int,
    *,
    deadline_seconds: float | None,
    start_seconds: float = 0.0,
) -> Verdict:
    """Until the container ended, cannot start, or a deadline passed (stage WAITING or RUNNING).
    With `deadline_seconds` None, until it runs; `start_seconds` if more than the limit's."""
    clock = asyncio.get_running_loop().time
    began = clock()
    deadline = began + max(ctx.limits.start_seconds, start_seconds)
    running = asked = False
    while True:
        pod = ctx.hub.latest(uid)
        verdict = classify(pod, name, ctx.hub.events(uid))
        if ctx.hub.gone(uid) and verdict.stage is not Stage.ENDED:
            verdict = Verdict(Stage.POD_ENDED, "PodGone", "the pod was deleted")
        if verdict.stage in (Stage.ENDED, Stage.START_FAILED, Stage.POD_ENDED):
            if running:
                ctx.stage("stopped")
            return verdict
        if verdict.stage is Stage.RUNNING and not running:
            running = True
            ctx.stage("running")
            if deadline_seconds is None:
                return verdict
            deadline = clock() + deadline_seconds + ctx.limits.grace_seconds
            asked = False
        left = deadline - clock()
        if left <= 0 or not await ctx.hub.changed(uid, left):
            if not asked:
                asked = True
                await _ask(ctx, pod)
                continue
            if running:
                return Verdict(Stage.RUNNING, "DeadlineExceeded", (
                    f"container {name} was still running {deadline_seconds or 0:.0f} s "
                    "after it started; it is left to its own deadline"
                ))  # fmt: skip
            pod = ctx.hub.latest(uid)
            why = explain_absence(pod, name, generation, waited_seconds=clock() - began)
            return Verdict(Stage.WAITING, *why)


async def _collect(
    ctx: Context, plan: InjectionPlan, pod: Pod, name: str, message: str, *, ended: bool
) -> tuple[ProgramResult, str, str]:
    """The program's result, how it came and, if the log could not be read, why.

    What the status holds all of costs no request, and is there when the log is gone. The
    terminated state can reach us before the last bytes reach the log file, so a log that is not
    whole is read once more.
    """
    result = decode_message(message, nonce=name, steps=plan.steps)
    if result is not None:
        return result, "status", ""
    problem = ""
    for pause_seconds in (0.0, 1.0) if ended else (0.0,):
        if pause_seconds:
            await asyncio.sleep(pause_seconds)
        try:
            log, problem = await read_log(ctx, pod, name, limit_bytes=_LOG_LIMIT_BYTES), ""
        except ClusterError as error:
            problem = error.message
            continue
        if plan.debugger.tty:
            # What a terminal does to each end of a line, undone.
            log = log.replace(b"\r\n", b"\n")
        result = decode(log, nonce=name, steps=plan.steps, message=message or None)
        if result.complete:
            break
    if result is None:
        result = decode(b"", nonce=name, steps=plan.steps, message=message or None)
    return result, "log", problem


def _injection(
    plan: InjectionPlan, built: Built, ctx: Context, pod: Pod, warnings: tuple[str, ...]
) -> Injection:
    return Injection(
        container=built.body["name"],
        image=built.body["image"],
        profile=plan.debugger.profile,
        profile_reason=plan.profile_reason,
        strategy=plan.choice.strategy,
        target_container_name=built.body.get("targetContainerName", ""),
        injected_at=ctx.now(),
        reused=pod.ephemeral_container(built.body["name"]) is not None,
        warnings=warnings,
    )


def _with_times(injection: Injection, pod: Pod, ended: StateTerminated | None) -> Injection:
    status = pod.ephemeral_container_status(injection.container)
    # One that hangs has begun all the same.
    begun = ended or (status.state.running if status is not None else None)
    return msgspec.structs.replace(
        injection,
        image_id=status.image_id if status is not None else "",
        started_at=begun.started_at if begun is not None else None,
        finished_at=ended.finished_at if ended is not None else None,
    )


def refused(ctx: Context, plan: InjectionPlan, name: str, error: ClusterError) -> Injected:
    message = ctx.redact.redact_text(error.message)[0]
    maybe = error.reason in _MAYBE_APPLIED
    if maybe:
        message = f"{message}; container {name} may or may not be in the pod"
    unknown = maybe or error.reason in _UNKNOWN
    return Injected(
        injection=None,
        steps=steps_lost(plan.steps, StepOutcome.NOT_EVALUATED, error.reason.value, message),
        outcome=PodOutcome.UNKNOWN if unknown else PodOutcome.ERROR,
        reason=error.reason.value,
        message=message,
    )


def as_injected(pod_plan: PodPlan, plan: InjectionPlan, pod: Pod, name: str) -> InjectionPlan:
    """The plan that the container in the pod was made by: a killed run may have seen the target
    in another state than we do, and so have sent other steps."""
    existing = pod.ephemeral_container(name)
    if existing is None or pod.spec.share_process_namespace or pod.spec.host_pid:
        return plan
    if existing.target_container_name:
        strategy = "catch" if plan.choice.strategy == "catch" else "target"
    else:
        strategy = "shared" if existing.image == plan.debugger.image else "own-image"
    if strategy == plan.choice.strategy:
        return plan
    sees_image = strategy != "shared"
    choice = Choice(strategy, "TargetNotRunning", sees_image=sees_image)
    return plan_as(pod_plan.pod, pod_plan.target, plan, choice)


def unreached(strategy: str, message: str) -> bool:
    if strategy in ("target", "catch"):
        lost = any(words in message for words in _TARGET_LOST)
        return lost or _LOST_AT_START.search(message) is not None
    return strategy in ("own-image", "copy") and _NO_SHELL.search(message) is not None


class Sent(NamedTuple):
    """A container that is in the pod's spec since `generation`."""

    injection: Injection
    generation: int


def not_allowed(plan: InjectionPlan, why: Skip) -> Injected:
    """The policy, or the cap on what a pod carries, is against it."""
    return _not_sent(plan, PodOutcome.SKIPPED, why.reason, why.message)


def _not_sent(plan: InjectionPlan, outcome: PodOutcome, reason: str, message: str) -> Injected:
    return Injected(
        injection=None,
        steps=steps_lost(plan.steps, StepOutcome.NOT_EVALUATED, reason, message),
        outcome=outcome,
        reason=reason,
        message=message,
    )


async def send(
    ctx: Context, pod_plan: PodPlan, plan: InjectionPlan, built: Built
) -> Sent | Injected:
    """Ask the policy, write the journal, PATCH; a refusal is the result."""
    pod = ctx.hub.latest(pod_plan.pod.metadata.uid)
    name = built.body["name"]
    injection = _injection(plan, built, ctx, pod, built.warnings)
    generation = pod.metadata.generation
    existing = pod.ephemeral_container(name)
    if existing is not None and run_of(existing) != ctx.run_id:
        where = f"{pod.metadata.namespace}/{pod.metadata.name}"
        message = f"ephemeral container {name} of {where} is another one: it is not of this run"
        return refused(ctx, plan, name, ClusterError(ErrorReason.NAME_TAKEN, message))
    if injection.reused:
        ctx.stage("injected")
        return Sent(injection, generation)
    over = classify(pod, name)
    if over.stage is Stage.POD_ENDED:
        # While it waited for its turn. The API server would take a container, the kubelet would
        # never start it.
        message = ctx.redact.redact_text(over.message)[0]
        return _not_sent(plan, PodOutcome.UNKNOWN, over.reason, message)
    forbidden = ctx.forbidden(pod_plan.pod, built.body, plan.choice.strategy)
    if forbidden:
        return not_allowed(plan, Skip("Policy", forbidden))
    at = {"namespace": pod.metadata.namespace, "pod": pod.metadata.name, "uid": pod.metadata.uid}

    announced = False

    async def announce() -> None:
        nonlocal announced
        announced = True
        await ctx.record("injecting", container=name, strategy=plan.choice.strategy, **at)

    try:
        # Every container of every playbook, strategy and shell comes by here.
        added = await add_when_alone(ctx, pod, built.body, announce)
    except ClusterError as error:
        if error.reason in HOPELESS or error is ctx.hub.failure:
            raise
        await ctx.record("refused", container=name, reason=error.reason.value, **at)
        return refused(ctx, plan, name, error)
    if isinstance(added, Skip):
        if announced:
            await ctx.record("refused", container=name, reason=added.reason, **at)
        return not_allowed(plan, added)
    patched, warnings = added
    reach("patched")
    ctx.hub.seen(patched)
    ctx.stage("injected")
    injection = _injection(plan, built, ctx, pod, (*built.warnings, *warnings))
    return Sent(injection, patched.metadata.generation)


async def run_injection(
    ctx: Context, pod_plan: PodPlan, plan: InjectionPlan, attempt: int,
    *, start_seconds: float = 0.0,
) -> Injected:  # fmt: skip
    """Never raises for what happens to the pod: that is the result. `start_seconds` is how long
    the container may wait for its start, if more than the limit's."""
    pod = ctx.hub.latest(pod_plan.pod.metadata.uid)
    uid = pod.metadata.uid
    name = name_of(plan, ctx.run_id, uid, attempt)
    plan = as_injected(pod_plan, plan, pod, name)
    built = container_for(
        pod_plan, plan, name=name, run_id=ctx.run_id, program=first_program(plan, name)
    )
    sent = await send(ctx, pod_plan, plan, built)
    if isinstance(sent, Injected):
        return sent
    verdict = await wait_for(
        ctx, uid, name, sent.generation,
        deadline_seconds=plan.deadline_seconds, start_seconds=start_seconds,
    )  # fmt: skip
    return await result_of(ctx, plan, uid, sent.injection, verdict)


def not_started(
    ctx: Context, plan: InjectionPlan, injection: Injection, verdict: Verdict
) -> Injected:
    """The result of a container that did not start, or whose pod ended first."""
    message = ctx.redact.redact_text(verdict.message)[0] if verdict.message else ""
    # The runtime's times of a container that it could not start.
    injection = msgspec.structs.replace(injection, started_at=None, finished_at=None)
    outcomes = {Stage.WAITING: PodOutcome.TIMEOUT, Stage.POD_ENDED: PodOutcome.UNKNOWN}
    return Injected(
        injection=injection,
        steps=steps_lost(plan.steps, StepOutcome.NOT_EVALUATED, verdict.reason, message),
        outcome=outcomes.get(verdict.stage, PodOutcome.ERROR),
        reason=verdict.reason,
        message=message,
        unreached=unreached(plan.choice.strategy, verdict.message),
    )


async def result_of(
    ctx: Context, plan: InjectionPlan, uid: str, injection: Injection, verdict: Verdict,
    *, copy: Pod | None = None,
) -> Injected:  # fmt: skip
    """What came of a container in the pod, or in a `copy` of it."""
    pod = ctx.hub.latest(uid) if copy is None else copy
    # That of a container which ended is the program's own summary, and decoded below.
    told = verdict.message if verdict.stage is not Stage.ENDED else ""
    message = ctx.redact.redact_text(told)[0] if told else ""
    injection = _with_times(injection, pod, verdict.terminated)
    if verdict.stage in (Stage.START_FAILED, Stage.WAITING):
        return not_started(ctx, plan, injection, verdict)
    termination = verdict.message if verdict.stage is Stage.ENDED else ""
    program, transport, problem = await _collect(
        ctx, plan, pod, injection.container, termination, ended=verdict.stage is Stage.ENDED
    )
    reach("log-read")
    injection = msgspec.structs.replace(
        injection, transport=transport, warnings=(*injection.warnings, *program.remarks)
    )
    if program.complete and program.ended_by == "signal":
        message = message or "the container was stopped before all steps had ended"
        ended, outcome = ("Stopped", message), PodOutcome.UNKNOWN
    elif program.complete and program.ended_by == "deadline":
        why = f"the steps did not end within {plan.deadline_seconds:.0f} s"
        ended, outcome = ("DeadlineExceeded", why), PodOutcome.TIMEOUT
    elif program.complete:
        ended, outcome = ("NotRun", "the program ended before this step"), None
    elif verdict.stage is Stage.RUNNING:
        ended, outcome = (verdict.reason, message), PodOutcome.TIMEOUT
    elif verdict.stage is Stage.POD_ENDED:
        ended, outcome = (verdict.reason, message), PodOutcome.UNKNOWN
    else:
        shared_end = await target_end(ctx, uid, injection)
        ended = why_incomplete(
            verdict, program, problem, injection.target_container_name, shared_end
        )
        outcome = PodOutcome.UNKNOWN
    ended = (ended[0], ctx.redact.redact_text(ended[1])[0])
    steps = step_results(plan.steps, program, injection.started_at, ended, ctx.redact, ctx.store)
    if ended[0] == TARGET_DIED:
        # That its output is torn has the same cause.
        cause = {"reason": ended[0], "message": ended[1]}
        steps = tuple(
            msgspec.structs.replace(s, **cause) if s.outcome is StepOutcome.ERROR else s
            for s in steps
        )
    return Injected(
        injection=injection,
        steps=steps,
        outcome=outcome,
        reason=ended[0] if outcome is not None else "",
        message=ended[1] if outcome is not None else "",
        target_died=outcome is not None and ended[0] == TARGET_DIED,
    )
