"""Ask, look, predict: what would become of each injection. Nothing is changed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from runner.cluster import Access, Cluster, ClusterError, ErrorReason
from runner.examine import PODS
from runner.injection import copy_body, start_of
from runner.model.node import Node
from runner.model.pod import Pod
from runner.permissions import needs
from runner.plan import (
    InjectionPlan,
    PodPlan,
    container_for,
    first_program,
    left_in,
    name_of,
    without_impossible,
)
from runner.playbook import Playbook
from runner.policy import Policy, of_injection
from runner.preflight import (
    Prediction,
    Verdict,
    kind_of,
    notes,
    planned,
    predict,
)
from runner.select import Skip
from runner.sweep.memory import MemoryUse, list_usage, with_headroom
from runner.sweep.nodes import list_nodes

# The API server did not refuse: it could not be asked.
_NO_ANSWER = frozenset(
    {
        ErrorReason.UNREACHABLE,
        ErrorReason.SERVER,
        ErrorReason.THROTTLED,
        ErrorReason.DRY_RUN,
    }
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One pod with what would become of it."""

    plan: PodPlan
    prediction: Prediction
    notes: tuple[str, ...] = ()


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """`asked` counts the dry runs; `unknown` says what could not be looked at, and why."""

    missing: tuple[Access, ...]
    rows: tuple[Row, ...]
    asked: int
    unknown: tuple[str, ...]


def body_of(plan: PodPlan, injection: InjectionPlan, run_id: str) -> dict[str, Any]:
    """Exactly what a run would send."""
    name = name_of(injection, run_id, plan.pod.metadata.uid, 1)
    program = first_program(injection, name)
    return container_for(plan, injection, name=name, run_id=run_id, program=program).body


async def _ask_for_copy(
    cluster: Cluster, plan: PodPlan, body: Mapping[str, Any], run_id: str
) -> None:
    """Raises ClusterError. The times are of no matter: nothing is stored."""
    metadata, objects = plan.pod.metadata, cluster.objects
    original = await objects.get(PODS, metadata.name, metadata.namespace, dict[str, Any])
    copy = copy_body(
        original, plan.target_container, body,
        run_id=run_id, expires=datetime.fromtimestamp(0, UTC), lifetime_seconds=1,
    )  # fmt: skip
    await objects.create(PODS, metadata.namespace, copy, Pod, dry_run=True)


async def ask_server(
    cluster: Cluster, plans: Sequence[PodPlan], policy: Policy, run_id: str
) -> dict[str, Prediction]:
    """The answer by kind of injection: the policy's if it is against it, else the API server's to
    one dry run."""
    kinds: dict[str, tuple[PodPlan, InjectionPlan]] = {}
    for plan in plans:
        for injection in plan.injections:
            if injection.steps:
                kinds.setdefault(kind_of(plan, injection), (plan, injection))

    async def ask(plan: PodPlan, injection: InjectionPlan) -> Prediction:
        body = body_of(plan, injection, run_id)
        forbidden = of_injection(policy, plan.pod, body, injection.choice.strategy)
        if forbidden is not None:
            return Prediction(verdict=Verdict.HELD_BACK, reason="Policy", message=str(forbidden))
        try:
            if injection.choice.strategy == "copy":
                await _ask_for_copy(cluster, plan, body, run_id)
            else:
                await cluster.add_ephemeral_container(plan.pod, body, dry_run=True)
        except ClusterError as error:
            verdict = Verdict.UNKNOWN if error.reason in _NO_ANSWER else Verdict.REFUSED
            # It is the answer for all pods of this kind.
            message = error.message.replace(f' "{plan.pod.metadata.name}"', "")
            return Prediction(verdict=verdict, reason=error.reason.value, message=message)
        return Prediction(verdict=Verdict.ACCEPTED, reason="", message="")

    answers = await asyncio.gather(*(ask(*pair) for pair in kinds.values()))
    return dict(zip(kinds, answers, strict=True))


def with_predictions(
    plans: Sequence[PodPlan], nodes: Mapping[str, Node], run_id: str
) -> tuple[PodPlan, ...]:
    """The same plans without the containers that no kubelet would start: they would stay in the
    pods for nothing. One that is there already is looked after."""

    def judged(plan: PodPlan) -> PodPlan:
        pod = plan.pod

        def why(injection: InjectionPlan) -> Skip | None:
            if left_in(plan, injection, run_id) is not None:
                return None
            start = start_of(
                pod, plan.target_container, injection.debugger, injection.choice.strategy
            )
            found = predict(pod, start, nodes.get(pod.spec.node_name), simulated=True)
            return None if found is None else Skip(found.reason, found.message)

        return without_impossible(plan, why)

    return tuple(judged(plan) for plan in plans)


async def _missing(
    cluster: Cluster, playbooks: Sequence[Playbook], namespaces: Sequence[str]
) -> tuple[Access, ...]:
    questions = [
        Access(verb=verb, resource=need.resource, group=need.group, namespace=namespace)
        for namespace in namespaces
        for need in needs(playbooks)
        # Nodes are in no namespace, and asked for by themselves.
        if not need.of_cluster
        for verb in need.verbs
    ]
    return tuple(await cluster.denied(questions))


def _row(
    plan: PodPlan,
    answers: Mapping[str, Prediction],
    nodes: Mapping[str, Node],
    run_id: str,
    use: MemoryUse,
) -> Row:
    decided = planned(plan)
    if decided is not None:
        return Row(plan=plan, prediction=decided)
    node = nodes.get(plan.pod.spec.node_name)
    told: list[str] = []
    for injection in plan.injections:
        if not injection.steps:
            continue
        answer = answers[kind_of(plan, injection)]
        if answer.verdict is not Verdict.ACCEPTED:
            return Row(plan=plan, prediction=answer)
        body = body_of(plan, injection, run_id)
        predicted = predict(plan.pod, body, node)
        if predicted is not None:
            return Row(plan=plan, prediction=predicted)
        told += notes(plan.pod, body, node, use.of(plan))
    accepted = Prediction(verdict=Verdict.ACCEPTED, reason="", message="")
    return Row(plan=plan, prediction=accepted, notes=tuple(dict.fromkeys(told)))


async def preflight(
    cluster: Cluster,
    playbooks: Sequence[Playbook],
    plans: Sequence[PodPlan],
    policy: Policy,
    now: datetime,
    run_id: str,
) -> Preflight:
    """Raises ClusterError when the API server does not answer at all."""
    namespaces = sorted({plan.pod.metadata.namespace for plan in plans})
    use = await list_usage(cluster, [plan for plan in plans if planned(plan) is None])
    plans = with_headroom(plans, use, now, run_id)
    injected = [plan for plan in plans if planned(plan) is None]
    missing, (nodes, unknown), answers = await asyncio.gather(
        _missing(cluster, playbooks, namespaces),
        list_nodes(cluster),
        ask_server(cluster, injected, policy, run_id),
    )
    return Preflight(
        missing=missing,
        rows=tuple(_row(plan, answers, nodes, run_id, use) for plan in plans),
        asked=sum(one.verdict is not Verdict.HELD_BACK for one in answers.values()),
        unknown=tuple(filter(None, (unknown, use.unknown))),
    )
