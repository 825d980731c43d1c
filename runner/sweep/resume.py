"""A run that goes on: what of it is done, what is left to do, and which pods went away."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from runner.examine import Examined
from runner.examine.kept import Kept
from runner.model.pod import (
    ContainerState,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    StateWaiting,
)
from runner.model.report import PodOutcome
from runner.plan import PodPlan
from runner.playbook import Playbook
from runner.record import PodRecord
from runner.select import Skip
from runner.sweep.choose import NOT_SAMPLED
from runner.sweep.pool import without_examination

_GONE = "the pod was deleted, or is no longer selected, before the run went on"


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What an earlier process left of the run: the pods that it selected, and its results."""

    started_at: datetime
    pods: tuple[PodRecord, ...]
    kept: Mapping[str, Kept]

    def before(self, one: Examined) -> Pod | None:
        """What the pod was before an earlier process injected into it; None if none did."""
        uid = one.result.uid
        if not any(injection.reused for injection in one.result.injections):
            return None
        return next((pod.before for pod in self.pods if pod.uid == uid), None)


def pod_records(plans: Sequence[PodPlan]) -> tuple[PodRecord, ...]:
    return tuple(
        PodRecord(
            namespace=plan.pod.metadata.namespace,
            name=plan.pod.metadata.name,
            uid=plan.pod.metadata.uid,
            before=_baseline(plan.pod),
            workload=plan.workload,
            target_container=plan.target,
            playbooks=tuple(p.metadata.name for p in plan.playbooks),
            control_of=plan.control_of,
            not_sampled=plan.skip.message if plan.skip and plan.skip.reason == NOT_SAMPLED else "",
        )
        for plan in plans
    )


def split(
    earlier: Earlier | None, plans: Sequence[PodPlan], playbooks: Sequence[Playbook]
) -> tuple[list[PodPlan], list[Examined]]:
    """The plans that are still to be carried out, and what needs no more doing: the results that
    are there, and `unknown` for the pods that went away without one."""
    if earlier is None:
        return list(plans), []
    planned = {plan.pod.metadata.uid: plan for plan in plans}
    left, done = [], []
    for record in earlier.pods:
        meant = tuple(p for p in playbooks if p.metadata.name in record.playbooks)
        kept = earlier.kept.get(record.uid)
        if kept is not None:
            done.append(_of_kept(kept, meant, record.control_of))
        elif record.not_sampled:
            skip = Skip(NOT_SAMPLED, record.not_sampled)
            plan = replace(_of_record(record, meant), skip=skip)
            done.append(without_examination(plan, PodOutcome.SKIPPED, *skip))
        elif record.uid in planned:
            left.append(planned[record.uid])
        else:
            plan = _of_record(record, meant)
            done.append(without_examination(plan, PodOutcome.UNKNOWN, "PodGone", _GONE))
    return left, done


def _of_kept(kept: Kept, playbooks: tuple[Playbook, ...], control_of: tuple[str, ...]) -> Examined:
    examination = kept.examination
    plan = PodPlan(
        pod=examination.pod,
        playbooks=playbooks,
        workload=examination.workload,
        target=examination.target_container,
        conditions=examination.conditions,
        control_of=control_of,
    )
    return Examined(plan=plan, examination=examination, result=kept.result)


def _baseline(pod: Pod) -> Pod:
    meta, spec, status = pod.metadata, pod.spec, pod.status
    return Pod(
        metadata=ObjectMeta(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        spec=PodSpec(node_name=spec.node_name, restart_policy=spec.restart_policy),
        status=PodStatus(
            phase=status.phase,
            qos_class=status.qos_class,
            conditions=tuple(PodCondition(type=c.type, status=c.status) for c in status.conditions),
            container_statuses=tuple(map(_status, status.container_statuses)),
            init_container_statuses=tuple(map(_status, status.init_container_statuses)),
        ),
    )


def _status(status: ContainerStatus) -> ContainerStatus:
    return ContainerStatus(
        name=status.name,
        state=_state(status.state),
        last_state=_state(status.last_state),
        ready=status.ready,
        restart_count=status.restart_count,
        container_id=status.container_id,
    )


def _state(state: ContainerState) -> ContainerState:
    """Without the messages: an app writes its own last words."""
    waiting, ended = state.waiting, state.terminated
    return ContainerState(
        waiting=None if waiting is None else StateWaiting(reason=waiting.reason),
        running=state.running,
        terminated=None if ended is None else msgspec.structs.replace(ended, message=""),
    )


def _of_record(record: PodRecord, playbooks: tuple[Playbook, ...]) -> PodPlan:
    return PodPlan(
        pod=record.before,
        playbooks=playbooks,
        workload=record.workload,
        target=record.target_container,
        conditions=(),
    )


def in_order(examined: Sequence[Examined]) -> list[Examined]:
    return sorted(examined, key=lambda one: (one.result.namespace, one.result.name))
