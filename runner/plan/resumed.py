"""A pod in which an earlier process of the run left its container: that is looked after, whatever
the pod's state admits by now."""

from msgspec.structs import replace

from runner.injection import Choice
from runner.model.pod import Container
from runner.plan.container import name_of
from runner.plan.groups import group_playbooks
from runner.plan.pods import InjectionPlan, PodPlan, plan_as, plan_by


def left_in(plan: PodPlan, injection: InjectionPlan, run_id: str) -> Container | None:
    """The first container of this injection, where it is in the pod already."""
    pod = plan.pod
    if not pod.spec.ephemeral_containers:
        return None
    return pod.ephemeral_container(name_of(injection, run_id, pod.metadata.uid, 1))


def _strategy_of(existing: Container, plan: PodPlan, injection: InjectionPlan) -> str:
    """By which way it was sent. A window of `catch` looks as `target` does, and is judged alike."""
    allowed = injection.group.debugger.strategy
    enters = "target" if {"target", "auto"} & {*allowed} else "catch"
    if existing.target_container_name:
        return enters
    if existing.image != injection.debugger.image:
        return "own-image"
    spec = plan.pod.spec
    one_pid_namespace = spec.share_process_namespace or spec.host_pid
    return "target" if one_pid_namespace and enters == "target" else "shared"


def looked_after(plan: PodPlan, run_id: str) -> PodPlan:
    """The same plan, with the steps of containers that are there: the pod may have finished, or its
    target come to life or died, since they were sent."""
    if not plan.pod.spec.ephemeral_containers:
        return plan
    injections = plan.injections
    if plan.skip is not None:
        choice = Choice("none", plan.skip.reason, plan.skip.message)
        injections = tuple(
            plan_by(plan.pod, plan.target, group, choice)
            for group in group_playbooks(plan.playbooks)
        )
    found = tuple(_looked_after(plan, each, run_id) for each in injections)
    if plan.skip is not None and not any(each.steps for each in found):
        return plan
    return replace(plan, skip=None, injections=found)


def _looked_after(plan: PodPlan, injection: InjectionPlan, run_id: str) -> InjectionPlan:
    existing = None if injection.steps else left_in(plan, injection, run_id)
    # What stays has no word of its own: its steps come by exec, which takes a pod that runs.
    if existing is None or injection.group.debugger.lifetime == "resident":
        return injection
    strategy, why = _strategy_of(existing, plan, injection), injection.choice
    choice = Choice(strategy, why.reason, why.message, sees_image=strategy != "shared")
    return plan_as(plan.pod, plan.target, injection, choice)
