"""A container of ours that stays in the pod (`lifetime: resident`), used for a command instead of
another one. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from runner.injection import find_resident
from runner.model.pod import Container
from runner.model.report import Injection
from runner.plan import PodPlan, container_for, name_of
from runner.policy import Policy, of_injection
from runner.program import held_seconds, holder


class Again(NamedTuple):
    """`body` is the container as it stands in the pod."""

    injection: Injection
    body: Mapping[str, Any]
    ttl_seconds: int


def find_again(
    plan: PodPlan, policy: Policy, run_id: str, now: datetime, *, needed_seconds: float
) -> Again | None:
    """One that is what would be injected now: same image, security context, target, mounts,
    environment; and that has so much of its time left."""
    if not plan.injections or not plan.injections[0].steps:
        return None
    injection = plan.injections[0]
    debugger = injection.debugger.changed(lifetime="resident")
    injection = replace(injection, debugger=debugger)
    pod = plan.pod
    name = name_of(injection, run_id, pod.metadata.uid, 1)
    for container in pod.spec.ephemeral_containers:
        ttl_seconds = held_seconds(container.command[-1]) if container.command else None
        if ttl_seconds is None:
            continue
        built = container_for(
            plan, injection, name=name, run_id=run_id, program=holder(ttl_seconds)
        )
        found = find_resident(
            pod, built.body, now, ttl_seconds=ttl_seconds, needed_seconds=needed_seconds
        )
        if found is not None and not of_injection(
            policy, pod, built.body, injection.choice.strategy
        ):
            return Again(
                injection=Injection(
                    container=found.name,
                    image=found.image,
                    profile=debugger.profile,
                    profile_reason=injection.profile_reason,
                    strategy=injection.choice.strategy,
                    target_container_name=found.target_container_name,
                    injected_at=now,
                    reused=True,
                    transport="exec",
                ),
                body=_as_it_stands(built.body, found),
                ttl_seconds=ttl_seconds,
            )
    return None


def _as_it_stands(body: Mapping[str, Any], found: Container) -> dict[str, Any]:
    """All else is equal, or it would not have been found."""
    theirs = {variable.name: variable.value for variable in found.env}
    env = [
        {**each, "value": theirs[each["name"]]} if "value" in each else each for each in body["env"]
    ]
    return {**body, "name": found.name, "env": env}
