"""The container of an injection, and the program that it runs."""

import shlex

from msgspec.structs import replace

from runner.injection import SERVICES_VARIABLE, Built, build_container, container_name
from runner.plan.pods import InjectionPlan, PodPlan, Services
from runner.program import LOG_LIMIT_BYTES, TERMINATION_LOG, ProgramStep, build, holder


def name_of(plan: InjectionPlan, run_id: str, uid: str, attempt: int) -> str:
    """The container's name for that pod."""
    prefix = plan.debugger.name_prefix
    return container_name(run_id, plan.group.sha256, uid, attempt, prefix=prefix)


def container_for(
    pod_plan: PodPlan, plan: InjectionPlan, *, name: str, run_id: str, program: str,
    strategy: str = "",
) -> Built:  # fmt: skip
    """The container as it would be sent; `strategy` is the plan's unless another is named."""
    return build_container(
        pod_plan.pod, pod_plan.target_container, plan.debugger,
        name=name, run_id=run_id, program=program, strategy=strategy or plan.choice.strategy,
    )  # fmt: skip


def first_program(plan: InjectionPlan, name: str) -> str:
    """What the container of this name runs as its first process."""
    debugger = plan.debugger
    # Who waits for a container that is about to die again has nothing to stay for.
    if debugger.lifetime == "resident" and plan.choice.strategy != "catch":
        return holder(debugger.ttl_seconds)
    return program_of(plan, name)


def program_of(plan: InjectionPlan, name: str, *, termination_log: str = TERMINATION_LOG) -> str:
    """The steps as one program, for a container of this name."""
    return build(
        [_told(step, plan.services) for step in plan.steps],
        nonce=name, deadline_seconds=plan.deadline_seconds,
        # The log counts as well, and stays.
        log_limit_bytes=min(LOG_LIMIT_BYTES, plan.file_limit_bytes // 2),
        file_limit_bytes=plan.file_limit_bytes, termination_log=termination_log,
    )  # fmt: skip


def _told(step: ProgramStep, services: Services) -> ProgramStep:
    """Not in the environment, by which a container that stays is known again: this changes."""
    if SERVICES_VARIABLE not in step.script:
        return step
    lines = shlex.quote(services.lines)
    return replace(step, script=f"{SERVICES_VARIABLE}={lines}\n{step.script}")
