"""From playbooks and pods to what will be done to each pod. Pure: `podmedic plan` stops here."""

from runner.plan.container import container_for, first_program, name_of, program_of
from runner.plan.groups import DebuggerGroup, group_playbooks, program_problems
from runner.plan.pods import (
    InjectionPlan,
    NotRun,
    PodPlan,
    Selected,
    Services,
    by_state_of,
    hold_back,
    knowing_services,
    looking_anywhere,
    needs_image,
    plan_as,
    plan_injection,
    plan_pod,
    within,
    without_impossible,
)
from runner.plan.resumed import left_in, looked_after

__all__ = [
    "DebuggerGroup",
    "InjectionPlan",
    "NotRun",
    "PodPlan",
    "Selected",
    "Services",
    "by_state_of",
    "container_for",
    "first_program",
    "group_playbooks",
    "hold_back",
    "knowing_services",
    "left_in",
    "looked_after",
    "looking_anywhere",
    "name_of",
    "needs_image",
    "plan_as",
    "plan_injection",
    "plan_pod",
    "program_of",
    "program_problems",
    "within",
    "without_impossible",
]
