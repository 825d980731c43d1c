"""One pod from its plan to its result: evidence first, then at most one container per group."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from runner.examine.catch import run_catch
from runner.examine.context import Context, about
from runner.examine.copy import run_copy
from runner.examine.deletion import finish, with_deletion
from runner.examine.ending import life_of, life_over
from runner.examine.evidence import app_log, clean_event, clean_pod, neighbours_to_read
from runner.examine.inject import Injected, run_injection
from runner.examine.resident import run_resident
from runner.examine.steps import steps_lost, steps_not_run
from runner.examine.tampered import TAMPERED, first_tampered, not_believed
from runner.injection import Choice
from runner.model.examination import Examination, LogExcerpt
from runner.model.pod import ContainerStatus, Pod
from runner.model.report import (
    ContainerSummary,
    Injection,
    PodOutcome,
    PodResult,
    StepOutcome,
    StepResult,
    StrategyAttempt,
    StrategyOutcome,
)
from runner.plan import InjectionPlan, PodPlan, by_state_of, left_in, plan_injection
from runner.select import app_statuses

# Outcomes that another attempt would not better.
_SEEN = (StepOutcome.PASSED, StepOutcome.FAILED, StepOutcome.TIMEOUT)


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """`result.outcome` is about the examination alone; findings are judged later."""

    plan: PodPlan
    examination: Examination
    result: PodResult


def _container_summary(status: ContainerStatus, *, init: bool) -> ContainerSummary:
    state, ended = status.state, status.state.terminated
    waiting = state.waiting.reason if state.waiting is not None else ""
    name = "running" if state.running else "terminated" if ended else "waiting"
    last = ended or status.last_state.terminated
    return ContainerSummary(
        name=status.name,
        state=name,
        reason=waiting or (ended.reason if ended else ""),
        exit_code=last.exit_code if last else None,
        restart_count=status.restart_count,
        ready=status.ready,
        started_at=state.running.started_at
        if state.running
        else (ended.started_at if ended else None),
        finished_at=last.finished_at if last else None,
        init=init,
    )


def pod_result(
    plan: PodPlan, outcome: PodOutcome, reason: str, message: str, *, container: str = ""
) -> PodResult:
    """A result without an examination: skipped, interrupted, or the base of a real one."""
    pod: Pod = plan.pod
    return PodResult(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=pod.spec.node_name,
        workload=plan.workload,
        outcome=outcome,
        reason=reason,
        message=message,
        container=container,
        target_container=plan.target,
        phase=pod.status.phase,
        containers=tuple(_container_summary(s, init=init) for s, init in app_statuses(pod)),
    )


def _in_order(plan: PodPlan, steps: list[StepResult]) -> tuple[StepResult, ...]:
    order = {
        (p.metadata.name, s.name): i
        for i, (p, s) in enumerate((p, s) for p in plan.playbooks for s in p.spec.steps)
    }
    return tuple(sorted(steps, key=lambda s: order[s.playbook, s.name]))


class Reached(NamedTuple):
    """The last attempt's outcome, every container that was sent, and every way considered."""

    injected: Injected
    injections: tuple[Injection, ...]
    attempts: tuple[StrategyAttempt, ...]
    not_run: tuple[StepResult, ...]


def _refused(choice: Choice) -> tuple[StrategyAttempt, ...]:
    return tuple(
        StrategyAttempt(
            strategy=refused.strategy,
            outcome=StrategyOutcome.REFUSED,
            reason=refused.reason,
            message=refused.message,
        )
        for refused in choice.refused
    )


def _tried(strategy: str, injected: Injected) -> StrategyAttempt:
    sent = injected.injection
    started = sent is not None and sent.started_at is not None
    failed = injected.outcome is not None and not started
    return StrategyAttempt(
        strategy=strategy,
        outcome=StrategyOutcome.FAILED if failed else StrategyOutcome.USED,
        reason=injected.reason,
        message=injected.message,
        container=sent.container if sent is not None else "",
    )


def _without(plan: InjectionPlan, known: Mapping[tuple[str, str], StepResult]) -> InjectionPlan:
    """Only what is not known yet."""
    return replace(
        plan,
        steps=tuple(s for s in plan.steps if (s.playbook, s.name) not in known),
        not_run=tuple(n for n in plan.not_run if (n.playbook, n.step) not in known),
    )


async def _reach(ctx: Context, plan: PodPlan, injection_plan: InjectionPlan) -> Reached:
    """Inject; when the pod could not be reached so, or the target died meanwhile, once more by
    the next strategy. What was seen before the target died is kept, and runs no second time."""
    injections: list[Injection] = []
    attempts: list[StrategyAttempt] = []
    known: dict[tuple[str, str], StepResult] = {}
    uid = plan.pod.metadata.uid
    if left_in(plan, injection_plan, ctx.run_id) is None:
        latest = ctx.hub.latest(uid)
        injection_plan = by_state_of(latest, injection_plan, plan.target, ctx.now())
    while True:
        attempts += _refused(injection_plan.choice)
        strategy, number = injection_plan.choice.strategy, len(injections) + 1
        life = life_of(ctx.hub.latest(plan.pod.metadata.uid), plan.target)
        if strategy == "catch":
            injected, sent, tries = await run_catch(ctx, plan, injection_plan, number)
            injected = _with_deletion(ctx, plan, injected)
        else:
            resident = injection_plan.debugger.lifetime == "resident"
            run = run_resident if resident else run_injection
            run = run_copy if strategy == "copy" else run
            injected = _with_deletion(ctx, plan, await run(ctx, plan, injection_plan, number))
            sent = () if injected.injection is None else (injected.injection,)
            tries = (injected,)
        attempts += (_tried(strategy, each) for each in tries)
        injections += sent
        if injected.target_died:
            known |= {(s.playbook, s.name): s for s in injected.steps if s.outcome in _SEEN}
        if injected.unreached and strategy == "target":
            # The runtime knew before the API: what comes next is chosen by what the pod is now.
            await life_over(ctx, plan.pod.metadata.uid, plan.target, life)
        following = _following(ctx, plan, injection_plan, injected, known)
        if following is None:
            steps = {(s.playbook, s.name): s for s in injected.steps} | known
            injected = replace(injected, steps=tuple(steps.values()))
            if injected.target_died and known.keys() == steps.keys():
                # The target outlived the last step, not the program's last word.
                injected = replace(injected, outcome=None, reason="", message="")
            not_run = steps_not_run(injection_plan.not_run)
            return Reached(injected, tuple(injections), tuple(attempts), not_run)
        injection_plan = following


def _with_deletion(ctx: Context, plan: PodPlan, injected: Injected) -> Injected:
    uid = plan.pod.metadata.uid
    return with_deletion(injected, ctx.hub.latest(uid), gone=ctx.hub.gone(uid), now=ctx.now())


def _following(
    ctx: Context,
    plan: PodPlan,
    lost: InjectionPlan,
    injected: Injected,
    known: Mapping[tuple[str, str], StepResult],
) -> InjectionPlan | None:
    """The plan by the next strategy; None where there is none, or nothing left that it could do.
    What an earlier process of the run had sent was not this one's try."""
    strategies = lost.fallback
    if injected.target_died and injected.injection is not None and injected.injection.reused:
        strategies = (lost.choice.strategy, *strategies)
    if not (injected.unreached or injected.target_died) or not strategies:
        return None
    uid = plan.pod.metadata.uid
    latest = ctx.hub.latest(uid)
    if latest.metadata.deletion_timestamp is not None or ctx.hub.gone(uid) or finish(latest):
        return None  # the kubelet starts nothing in it
    following = _without(
        plan_injection(
            latest, plan.target, lost.group, strategies, ctx.now(), lost.bounds, lost.services
        ),
        known,
    )
    if not following.steps:
        return None
    why = {"reason": injected.reason, "message": injected.message}
    return replace(following, not_run=tuple(replace(n, **why) for n in following.not_run))


async def _examine_inside(ctx: Context, plan: PodPlan) -> PodResult:
    injections: list[Injection] = []
    steps: list[StepResult] = []
    attempts: list[StrategyAttempt] = []
    outcome, reason, message, strategy = PodOutcome.PASSED, "", "", "none"
    impossible: Choice | None = None
    for injection_plan in plan.injections:
        if not injection_plan.steps:
            steps += steps_not_run(injection_plan.not_run)
            attempts += _refused(injection_plan.choice)
            reason, message = injection_plan.choice.reason, injection_plan.choice.message
            if injection_plan.impossible:
                impossible = injection_plan.choice
            continue
        if outcome is not PodOutcome.PASSED:
            steps += steps_lost(injection_plan.steps, StepOutcome.NOT_EVALUATED, reason, message)
            steps += steps_not_run(injection_plan.not_run)
            continue
        injected, made, tried, not_run = await _reach(ctx, plan, injection_plan)
        before = len(steps)
        injections += made
        attempts += tried
        steps += (*injected.steps, *not_run)
        if made:
            strategy = made[-1].strategy
        if why := await first_tampered(ctx.cluster, plan.pod.spec.node_name, made):
            steps = [*steps[:before], *(not_believed(step, why) for step in steps[before:])]
            injected = replace(injected, outcome=PodOutcome.UNKNOWN, reason=TAMPERED, message=why)
        if injected.outcome is not None:
            outcome, reason, message = injected.outcome, injected.reason, injected.message
    if impossible is not None and outcome is PodOutcome.PASSED:
        outcome, reason, message = PodOutcome.ERROR, impossible.reason, impossible.message
    result = pod_result(plan, outcome, reason, message)
    return msgspec.structs.replace(
        result,
        container=injections[-1].container if injections else "",
        strategy=strategy,
        strategies=tuple(attempts),
        injections=tuple(injections),
        steps=_in_order(plan, steps),
    )


async def examine_pod(ctx: Context, plan: PodPlan, *, with_logs: bool) -> Examined:
    """Evidence of the API, then the injections of the plan. ClusterErrors that concern the whole
    sweep (a lost watch) pass through; everything else becomes part of the result."""
    metadata = plan.pod.metadata
    with about(pod=f"{metadata.namespace}/{metadata.name}"):
        return await _examine(ctx, plan, with_logs=with_logs)


async def _logs(ctx: Context, plan: PodPlan) -> tuple[tuple[LogExcerpt, ...], str]:
    """Of the target and of the few other containers that may say why, at the same time; with the
    reason if the target's could not be read."""
    wanted = [p.spec.evidence.logs for p in plan.playbooks]
    read = partial(
        app_log, ctx, plan.pod,
        tail_lines=max(w.tail_lines for w in wanted),
        limit_bytes=max(w.limit_bytes for w in wanted),
    )  # fmt: skip
    (logs, problem), *others = await asyncio.gather(
        read(plan.target, search_bytes=max(w.search_bytes for w in wanted)),
        *(read(name, of_now=True) for name in neighbours_to_read(plan.pod, plan.target)),
    )
    return logs + tuple(each for more, _ in others for each in more), problem


async def _examine(ctx: Context, plan: PodPlan, *, with_logs: bool) -> Examined:
    pod = plan.pod
    logs: tuple[LogExcerpt, ...] = ()
    unknown: dict[str, str] = {}
    if with_logs:
        logs, problem = await _logs(ctx, plan)
        if problem:
            unknown["logs"] = problem
    result = await _examine_inside(ctx, plan)
    if plan.held_back is not None and result.outcome is PodOutcome.PASSED:
        result = msgspec.structs.replace(
            result,
            outcome=PodOutcome.SKIPPED,
            reason=result.reason or plan.held_back.reason,
            message=result.message or plan.held_back.message,
        )
    # The pod as it was before; cleaned only now, when nobody waits for the injection.
    with about(source="pod"):
        snapshot = clean_pod(pod, ctx.redact)
    with about(source="events"):
        events = tuple(clean_event(e, ctx.redact) for e in ctx.hub.events(pod.metadata.uid))
    examination = Examination(
        pod=snapshot,
        workload=plan.workload,
        target_container=plan.target,
        conditions=plan.conditions,
        steps=result.steps,
        events=events,
        logs=logs,
        unknown=unknown,
    )
    return Examined(plan=plan, examination=examination, result=result)
