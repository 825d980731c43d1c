"""What will be done to one pod."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from runner.injection import (
    SERVICES_VARIABLE,
    Choice,
    ProfileBounds,
    choose_profile,
    choose_strategy,
    expanded,
    missing_capabilities,
    security_for,
)
from runner.model.examination import TargetCondition
from runner.model.pod import Container, Pod
from runner.model.quantity import quantity_bytes
from runner.model.subject import Workload
from runner.plan.groups import DebuggerGroup, group_playbooks, program_step
from runner.playbook import Debugger, Playbook, Step
from runner.program import (
    FILE_LIMIT_BYTES,
    ProgramStep,
)
from runner.select import Skip, choose_container, conditions_of, skip_reason, workload_of


class NotRun(msgspec.Struct, frozen=True, kw_only=True):
    playbook: str
    step: str
    reason: str
    message: str


class Services(NamedTuple):
    """What stands behind the Services that the target names, one a line, or why nobody knows."""

    lines: str = ""
    unknown: str = ""


NO_SERVICES = Services()


class InjectionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One ephemeral container. `fallback` are the strategies left if this one cannot start;
    `bounds` are what `profile: auto` keeps to, by every strategy."""

    group: DebuggerGroup
    # The group's, with `profile: auto` replaced by what it came to, and why.
    debugger: Debugger
    profile_reason: str
    bounds: ProfileBounds
    choice: Choice
    fallback: tuple[str, ...]
    steps: tuple[ProgramStep, ...]
    not_run: tuple[NotRun, ...]
    deadline_seconds: float
    # No file that a step writes may be larger.
    file_limit_bytes: int
    services: Services = NO_SERVICES
    # The API server would refuse it, or no kubelet start it: it has no steps, `choice` says why.
    impossible: bool = False


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """A pod and the playbooks that mean it; `control_of` are the names of those that mean it as a
    healthy one to compare with. With `skip` other replicas stand for it; `container` is the one
    that an alert names."""

    pod: Pod
    playbooks: tuple[Playbook, ...]
    control_of: tuple[str, ...] = ()
    skip: Skip | None = None
    container: str = ""


def container_of(pod: Pod, name: str) -> Container:
    return next(c for c in (*pod.spec.containers, *pod.spec.init_containers) if c.name == name)


class PodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`skip` and `injections` exclude each other; a plan with neither reads the API only.
    `held_back` says that nothing is injected by decision: what the API knows is judged all the
    same, and the pod never counts as examined."""

    pod: Pod
    playbooks: tuple[Playbook, ...]
    workload: Workload
    target: str
    conditions: tuple[TargetCondition, ...]
    skip: Skip | None = None
    injections: tuple[InjectionPlan, ...] = ()
    held_back: Skip | None = None
    control_of: tuple[str, ...] = ()

    @property
    def target_container(self) -> Container:
        return container_of(self.pod, self.target)


def _why_not_run(
    step: Step, pod: Pod, target: str, choice: Choice, debugger: Debugger
) -> tuple[str, str] | None:
    if choice.strategy == "none":
        return choice.reason, choice.message
    if step.needs.target and choice.strategy not in ("target", "catch"):
        reason = choice.reason or "NoTargetProcesses"
        return reason, choice.message or f"the processes of container {target} are out of reach"
    if step.needs.target and pod.spec.host_pid:
        return "NodeProcesses", (
            "the pod shares the node's processes (hostPID): those of the container cannot be told "
            "from others"
        )
    if step.needs.image and not choice.sees_image:
        image = next((r for r in choice.refused if r.strategy == "own-image"), None)
        if image is not None:
            return image.reason, image.message
        return "ImageOutOfReach", (
            f"strategy {choice.strategy} does not see the image of container {target}"
        )
    if not step.needs.capabilities:
        return None
    context = security_for(pod, container_of(pod, target), debugger)
    ours = "" if choice.strategy in ("own-image", "copy") else debugger.image
    missing, user = missing_capabilities(pod, context, ours, step.needs.capabilities)
    if missing:
        who = f"user {user}" if user else f"root under profile {debugger.profile}"
        return "CapabilityMissing", f"needs {', '.join(missing)}, which {who} does not have"
    return None


def _debugger(
    pod: Pod, target: str, group: DebuggerGroup, choice: Choice, bounds: ProfileBounds
) -> tuple[Debugger, str]:
    """With the profile that it comes to for this pod, and why."""
    debugger = group.debugger
    if debugger.profile != "auto":
        return debugger, ""
    needs = [step.needs for p in group.playbooks for step in p.spec.steps]
    profile, reason, as_root = choose_profile(
        pod, container_of(pod, target), choice.strategy,
        looks_into=any(n.target or n.image for n in needs), bounds=bounds,
        capabilities=[name for n in needs for name in n.capabilities],
    )  # fmt: skip
    own = debugger.security_context
    if as_root and own.run_as_user is None:
        own = own.changed(run_as_user=0, run_as_group=own.run_as_group or 0)
    return debugger.changed(profile=profile, security_context=own), reason


def _plan(
    pod: Pod,
    target: str,
    group: DebuggerGroup,
    choice: Choice,
    fallback: tuple[str, ...],
    bounds: ProfileBounds,
    services: Services = NO_SERVICES,
) -> InjectionPlan:
    debugger, profile_reason = _debugger(pod, target, group, choice, bounds)
    file_limit_bytes = _file_limit_bytes(pod)
    steps: list[ProgramStep] = []
    not_run: list[NotRun] = []
    for playbook in group.playbooks:
        for step in playbook.spec.steps:
            why_not = _why_not_run(step, pod, target, choice, debugger)
            if why_not is None and services.unknown and SERVICES_VARIABLE in (step.script or ""):
                why_not = "ServicesUnknown", services.unknown
            if why_not is None:
                steps.append(_kept_small(program_step(playbook, step), file_limit_bytes))
            else:
                name = playbook.metadata.name
                reason, message = why_not
                not_run.append(
                    NotRun(playbook=name, step=step.name, reason=reason, message=message)
                )
    return InjectionPlan(
        group=group,
        debugger=debugger,
        profile_reason=profile_reason,
        bounds=bounds,
        choice=choice,
        fallback=fallback,
        steps=tuple(steps),
        not_run=tuple(not_run),
        deadline_seconds=sum(p.spec.deadline_seconds for p in group.playbooks),
        file_limit_bytes=file_limit_bytes,
        services=services,
    )


def _file_limit_bytes(pod: Pod) -> int:
    """A quarter of what the pod may use of its node's disk before it is evicted."""
    limits = (
        c.resources.get("limits", {}).get("ephemeral-storage", "") for c in pod.spec.containers
    )
    total = sum(quantity_bytes(limit) or 0 for limit in limits)
    return min(FILE_LIMIT_BYTES, total // 4) if total else FILE_LIMIT_BYTES


def _kept_small(step: ProgramStep, file_limit_bytes: int) -> ProgramStep:
    """Its outputs are files for as long as it runs."""
    most = max(1, file_limit_bytes // 4)
    return replace(step, output_limit_bytes=min(step.output_limit_bytes, most))


def worth_entering(group: DebuggerGroup) -> bool:
    """Some step sees more from within the target's PID namespace than beside it."""
    steps = (step for p in group.playbooks for step in p.spec.steps)
    return any(step.needs.image or step.needs.target for step in steps)


def needs_image(playbooks: Iterable[Playbook]) -> bool:
    """Some step can be run in the target's image. One that wants its processes as well cannot,
    and for its sake the others need not do without the debugger's tools."""
    steps = (step for p in playbooks for step in p.spec.steps)
    return any(step.needs.image and not step.needs.target for step in steps)


def plan_injection(
    pod: Pod,
    target: str,
    group: DebuggerGroup,
    strategies: Sequence[str],
    now: datetime,
    bounds: ProfileBounds,
    services: Services = NO_SERVICES,
) -> InjectionPlan:
    """The steps that can run under the first strategy that the pod's state admits."""
    strategies = expanded(strategies, needs_image=needs_image(group.playbooks))
    choice = choose_strategy(pod, target, strategies, now, worth_entering=worth_entering(group))
    used = strategies.index(choice.strategy) if choice.strategy in strategies else len(strategies)
    return _plan(pod, target, group, choice, tuple(strategies[used + 1 :]), bounds, services)


def by_state_of(pod: Pod, plan: InjectionPlan, target: str, now: datetime) -> InjectionPlan:
    """The same plan, or by another of its strategies where `pod`, as it is by now, admits the
    chosen one no longer: a sweep takes minutes, and an app that ran when it was listed may be in
    back-off when its turn comes."""
    if not plan.steps:
        return plan
    strategies, worth = (plan.choice.strategy, *plan.fallback), worth_entering(plan.group)
    # Nearly always the same: only another one is worth a plan.
    choice = choose_strategy(pod, target, strategies, now, worth_entering=worth)
    if choice.strategy == plan.choice.strategy:
        return plan
    anew = plan_injection(pod, target, plan.group, strategies, now, plan.bounds, plan.services)
    if not anew.steps:
        return plan
    refused = (*plan.choice.refused, *anew.choice.refused)
    return replace(anew, choice=anew.choice._replace(refused=refused))


def plan_by(pod: Pod, target: str, group: DebuggerGroup, choice: Choice) -> InjectionPlan:
    """By that choice, whatever the pod's state admits, and by no other."""
    return _plan(pod, target, group, choice, (), ProfileBounds())


def plan_as(pod: Pod, target: str, plan: InjectionPlan, choice: Choice) -> InjectionPlan:
    """The same injection by another strategy."""
    return _plan(pod, target, plan.group, choice, plan.fallback, plan.bounds, plan.services)


def within(plan: PodPlan, profiles: Sequence[str], whose: str) -> PodPlan:
    """With `profile: auto` kept to the profiles that `whose` policy allows, by every strategy."""
    return _bounded(plan, profiles=tuple(profiles), whose=whose)


def looking_anywhere(plan: PodPlan) -> PodPlan:
    """With `profile: auto` made for a person who may look at anything."""
    return _bounded(plan, looks_anywhere=True)


def _bounded(plan: PodPlan, **bounds: Any) -> PodPlan:
    """With these of `ProfileBounds` changed, which nothing but `profile: auto` heeds."""
    if not any(i.group.debugger.profile == "auto" for i in plan.injections):
        return plan
    injections = tuple(
        _plan(
            plan.pod,
            plan.target,
            i.group,
            i.choice,
            i.fallback,
            i.bounds._replace(**bounds),
            i.services,
        )
        for i in plan.injections
    )
    return replace(plan, injections=injections)


def knowing_services(plan: PodPlan, services: Services) -> PodPlan:
    """With what stands behind the Services that the target names, for steps that ask for it."""
    injections = tuple(
        _plan(plan.pod, plan.target, i.group, i.choice, i.fallback, i.bounds, services)
        for i in plan.injections
    )
    return replace(plan, injections=injections)


def hold_back(plan: PodPlan, why: Skip) -> PodPlan:
    """The same pod with nothing injected."""
    return replace(
        plan,
        injections=tuple(_given_up(plan, each, why) for each in plan.injections),
        held_back=why,
    )


def without_impossible(plan: PodPlan, why: Callable[[InjectionPlan], Skip | None]) -> PodPlan:
    """The same pod without the injections that cannot succeed; the others are made."""
    injections = []
    for each in plan.injections:
        found = why(each) if each.steps else None
        if found is not None:
            each = replace(_given_up(plan, each, found), impossible=True)  # noqa: PLW2901
        injections.append(each)
    return replace(plan, injections=tuple(injections))


def _given_up(plan: PodPlan, injection: InjectionPlan, why: Skip) -> InjectionPlan:
    choice = Choice("none", why.reason, why.message)
    return _plan(plan.pod, plan.target, injection.group, choice, (), injection.bounds)


def plan_pod(selected: Selected, now: datetime, level: str | None = None) -> PodPlan:
    """`level` is the Pod Security level of its namespace, None when it is not known."""
    pod, playbooks = selected.pod, selected.playbooks
    preferred = next((name for p in playbooks if (name := p.target_container)), "")
    named = {each.name for each in (*pod.spec.containers, *pod.spec.init_containers)}
    if selected.container in named:
        preferred = selected.container
    target = choose_container(pod, now, preferred)
    skip = skip_reason(pod) or selected.skip
    injections: tuple[InjectionPlan, ...] = ()
    if skip is None:
        injections = tuple(
            plan_injection(pod, target, group, group.debugger.strategy, now, ProfileBounds(level))
            for group in group_playbooks(playbooks)
        )
    return PodPlan(
        pod=pod,
        playbooks=playbooks,
        workload=workload_of(pod),
        target=target,
        conditions=conditions_of(pod, now),
        skip=skip,
        injections=injections,
        control_of=selected.control_of,
    )
