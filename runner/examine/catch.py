"""Strategy `catch`: enter a target that crash loops in one of the moments when it lives.

The image is brought to the node first, by a container that ends at once: a window of a second or
two leaves no time for a pull (kubernetes-facts.md, "Catch window"). What a window brought is kept,
and the next one runs only what is missing.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from runner.examine.classify import Stage, Verdict
from runner.examine.context import Context
from runner.examine.ending import TARGET_DIED
from runner.examine.inject import (
    Injected,
    not_allowed,
    not_started,
    run_injection,
    send,
    wait_for,
)
from runner.examine.steps import steps_lost
from runner.injection import Built
from runner.model.pod import Pod
from runner.model.report import Injection, PodOutcome, StepOutcome, StepResult
from runner.plan import InjectionPlan, PodPlan, container_for, name_of
from runner.select import Skip, app_status, app_statuses

# Each is one more entry in the pod for as long as it lives.
MAX_WINDOWS = 3
# No life of the target began in time.
NO_WINDOW = "NoRunningWindow"
# No attempt has this number: a window can never be taken for it by a run that goes on.
_PULL_NUMBER = 0
_PULL_SECONDS = 10.0
_RUN_VARIABLE = "PODMEDIC_RUN"


class Caught(NamedTuple):
    """All windows as one result, every container that was sent, and each window by itself."""

    injected: Injected
    injections: tuple[Injection, ...]
    windows: tuple[Injected, ...]


def _name(ctx: Context, plan: InjectionPlan, uid: str, number: int) -> str:
    return name_of(plan, ctx.run_id, uid, number)


def _on_node(pod: Pod, image: str) -> bool:
    """A container of the pod has run that image, in the same spelling: then the kubelet has it
    and knows that the pod may use it."""
    spec, status = pod.spec, pod.status
    named = {
        c.name
        for c in (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
        if c.image == image
    }
    statuses = (*(s for s, _ in app_statuses(pod)), *status.ephemeral_container_statuses)
    return any(s.name in named and s.image_id for s in statuses)


def _puller(ctx: Context, pod_plan: PodPlan, plan: InjectionPlan) -> Built:
    """Ends at once and sees nothing: no volumes, no environment of the app."""
    uid = pod_plan.pod.metadata.uid
    built = container_for(
        pod_plan, plan, name=_name(ctx, plan, uid, _PULL_NUMBER), run_id=ctx.run_id,
        program="exit 0", strategy="shared",
    )  # fmt: skip
    left_out = ("volumeMounts", "volumeDevices", "envFrom")
    body: dict[str, Any] = {k: v for k, v in built.body.items() if k not in left_out}
    body["env"] = [v for v in body["env"] if v["name"] == _RUN_VARIABLE]
    return Built(body, ())


async def _pull(ctx: Context, pod_plan: PodPlan, plan: InjectionPlan) -> Injected | None:
    """None when the image was there before; with an `outcome` when it could not be had."""
    uid = pod_plan.pod.metadata.uid
    debugger = plan.debugger
    built = _puller(ctx, pod_plan, plan)
    known = ctx.hub.latest(uid).ephemeral_container(built.body["name"]) is not None
    asks_registry = debugger.image_pull_policy == "Always"
    if not (known or asks_registry) and _on_node(ctx.hub.latest(uid), debugger.image):
        return None
    sent = await send(ctx, pod_plan, plan, built)
    if isinstance(sent, Injected):
        return sent
    name = sent.injection.container
    verdict = await wait_for(ctx, uid, name, sent.generation, deadline_seconds=_PULL_SECONDS)
    if verdict.stage is not Stage.ENDED:
        return not_started(ctx, plan, sent.injection, verdict)
    return Injected(injection=sent.injection, steps=())


async def _window(
    ctx: Context, uid: str, target: str, lives: set[str], deadline: float
) -> Verdict | Skip | None:
    """None once the target runs a life that is not among `lives`, which then holds it too; a Skip
    when nothing may be sent any more."""
    clock = asyncio.get_running_loop().time
    while True:
        pod = ctx.hub.latest(uid)
        if (stopped := ctx.stopped()) is not None:
            return stopped
        if ctx.hub.gone(uid):
            return Verdict(Stage.POD_ENDED, "PodGone", "the pod was deleted")
        if pod.metadata.deletion_timestamp is not None:
            return Verdict(Stage.POD_ENDED, "Terminating", "the pod is being deleted")
        if pod.status.phase in ("Succeeded", "Failed"):
            return Verdict(Stage.POD_ENDED, "Finished", f"phase {pod.status.phase}")
        status = app_status(pod, target)
        if status is not None and status.state.running and status.container_id not in lives:
            lives.add(status.container_id)
            return None
        left = deadline - clock()
        if left <= 0 or not await ctx.hub.changed(uid, left, is_urgent=True):
            return Verdict(Stage.WAITING, NO_WINDOW, (
                f"container {target} was not started within {ctx.limits.catch_seconds:.0f} s"
            ))  # fmt: skip


def _missed(plan: InjectionPlan, verdict: Verdict | Skip) -> Injected:
    """A window that did not come."""
    if isinstance(verdict, Skip):
        return not_allowed(plan, verdict)
    waited = verdict.stage is Stage.WAITING
    return Injected(
        injection=None,
        steps=steps_lost(plan.steps, StepOutcome.NOT_EVALUATED, verdict.reason, verdict.message),
        outcome=PodOutcome.TIMEOUT if waited else PodOutcome.UNKNOWN,
        reason=verdict.reason,
        message=verdict.message,
        unreached=waited,
    )


def _missing(
    plan: InjectionPlan, known: Mapping[tuple[str, str], StepResult]
) -> InjectionPlan | None:
    """The plan with the steps that have no result yet."""
    left = tuple(
        s
        for s in plan.steps
        if (one := known.get((s.playbook, s.name))) is None or one.outcome is StepOutcome.ERROR
    )
    return replace(plan, steps=left) if left else None


def _keep(known: dict[tuple[str, str], StepResult], injected: Injected) -> None:
    """What a window brought; a step that it did not come to leaves what another one said."""
    for step in injected.steps:
        key = (step.playbook, step.name)
        if key not in known or step.attempts or step.outcome is not StepOutcome.ERROR:
            known[key] = step


def _as_one(
    plan: InjectionPlan, windows: list[Injected], known: Mapping[tuple[str, str], StepResult]
) -> Injected:
    last = windows[-1]
    if not known:
        return replace(last, steps=_with_all(plan, known, last))
    if last.target_died and _missing(plan, known) is None:
        # The target outlived the last step, not the program's last word.
        return replace(
            last, steps=_with_all(plan, known, last), outcome=None, reason="", message=""
        )
    died = next((w for w in reversed(windows) if w.target_died), None)
    if last.outcome is None or died is None or last.target_died:
        return replace(last, steps=_with_all(plan, known, last), unreached=False)
    # Something was seen; what came after it says only that there was no further window.
    message = f"{died.message}; after that: {last.message}" if last.message else died.message
    return replace(
        last,
        steps=_with_all(plan, known, died),
        outcome=PodOutcome.UNKNOWN,
        reason=TARGET_DIED,
        message=message,
        unreached=False,
    )


def _with_all(
    plan: InjectionPlan, known: Mapping[tuple[str, str], StepResult], why: Injected
) -> tuple[StepResult, ...]:
    lost = {
        (s.playbook, s.name): s
        for s in steps_lost(plan.steps, StepOutcome.NOT_EVALUATED, why.reason, why.message)
    }
    return tuple(known.get(key, missing) for key, missing in lost.items())


def _window_lost(injected: Injected) -> bool:
    """The target was not there long enough: the next window may do better."""
    raced = injected.reason == "RunContainerError" and injected.outcome is PodOutcome.ERROR
    return injected.target_died or injected.unreached or raced


async def run_catch(ctx: Context, pod_plan: PodPlan, plan: InjectionPlan, first: int) -> Caught:
    """At most MAX_WINDOWS containers in the target's PID namespace, the first with the number
    `first`, all before `catch_seconds` have passed. Never raises for what happens to the pod."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + ctx.limits.catch_seconds
    uid, target = pod_plan.pod.metadata.uid, pod_plan.target
    sent: list[Injection] = []
    pulled = await _pull(ctx, pod_plan, plan)
    if pulled is not None:
        sent += () if pulled.injection is None else (pulled.injection,)
        if pulled.outcome is not None:
            return Caught(pulled, tuple(sent), (pulled,))
    windows: list[Injected] = []
    known: dict[tuple[str, str], StepResult] = {}
    lives: set[str] = set()
    remaining: InjectionPlan | None = plan
    for number in range(first, first + MAX_WINDOWS):
        if remaining is None:
            break
        name = _name(ctx, plan, uid, number)
        if ctx.hub.latest(uid).ephemeral_container(name) is None:
            missed = await _window(ctx, uid, target, lives, deadline)
            if missed is not None:
                windows.append(_missed(remaining, missed))
                break
        # A container that came too late waits in the pod, and enters at the target's next start.
        injected = await run_injection(
            ctx, pod_plan, remaining, number, start_seconds=deadline - clock()
        )
        windows.append(injected)
        if injected.injection is not None:
            sent.append(injected.injection)
        if injected.outcome is None or injected.target_died or not _window_lost(injected):
            _keep(known, injected)
        remaining = _missing(plan, known)
        if not _window_lost(injected):
            break
    return Caught(_as_one(plan, windows, known), tuple(sent), tuple(windows))
