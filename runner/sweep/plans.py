"""From gathered pods to plans within the debt's limits and the policy. Pure."""

from collections.abc import Sequence
from datetime import datetime

from runner.debt import DebtLimits, debt_skip
from runner.plan import PodPlan, hold_back, plan_pod, within
from runner.policy import Policy, of_namespace
from runner.select import Skip
from runner.sweep.gather import Gathered


def make_plans(gathered: Gathered, now: datetime) -> tuple[PodPlan, ...]:
    return tuple(
        plan_pod(s, now, gathered.levels.get(s.pod.metadata.namespace)) for s in gathered.selected
    )


def with_debt(
    plans: Sequence[PodPlan], limits: DebtLimits, now: datetime, run_id: str = ""
) -> tuple[PodPlan, ...]:
    """The same plans, with those held back whose pods carry too much already."""
    found = []
    for plan in plans:
        why = debt_skip(plan.pod, limits, now, run_id=run_id) if will_inject(plan) else None
        found.append(plan if why is None else hold_back(plan, why))
    return tuple(found)


def with_policy(plans: Sequence[PodPlan], policy: Policy) -> tuple[PodPlan, ...]:
    """The same plans within the policy: profiles, and those held back whose namespace is not
    allowed."""
    namespaces = {plan.pod.metadata.namespace for plan in plans}
    refused = {name: why for name in namespaces if (why := of_namespace(policy, name))}
    profiles, whose = policy.spec.security.profiles, f"policy {policy.metadata.name}"
    return tuple(
        within(plan, profiles, whose)
        if (why := refused.get(plan.pod.metadata.namespace)) is None
        else hold_back(plan, Skip("Policy", str(why)))
        for plan in plans
    )


def will_inject(plan: PodPlan) -> bool:
    """Whether anything is to be sent to the pod."""
    return any(injection.steps for injection in plan.injections)
