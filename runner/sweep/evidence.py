"""What is read once for many pods: app logs of a few replicas."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from runner.model.examination import Examination, LogExcerpt
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.plan import PodPlan
from runner.select import app_statuses, is_healthy


def _alike(pod: Pod, workload: Workload, target: str) -> tuple[object, ...]:
    """Equal for replicas that may share a log: same workload and container, ended the same way."""
    # Replicas of a StatefulSet have their own volumes and names, and so their own causes.
    own = pod.metadata.name if workload.kind == "StatefulSet" else ""
    key = (workload.namespace, workload.kind, workload.name, target, own)
    for status, _ in app_statuses(pod):
        if status.name == target:
            ended = status.state.terminated or status.last_state.terminated
            waiting = status.state.waiting.reason if status.state.waiting is not None else ""
            how = (ended.exit_code, ended.reason) if ended is not None else (waiting,)
            return (*key, *how)
    return key


def _alike_to(one: Examination) -> tuple[object, ...]:
    return _alike(one.pod, one.workload, one.target_container)


def choose_for_logs(plans: Sequence[PodPlan]) -> frozenset[str]:
    """Uids of the pods whose app log is read: of each workload, container and way of ending the
    first few. Replicas that end alike do so for the same cause, and a request per pod is dear."""
    chosen: set[str] = set()
    taken: Counter[tuple[object, ...]] = Counter()
    for plan in plans:
        per_owner = max((p.spec.evidence.logs.per_owner for p in plan.playbooks), default=0)
        # A healthy replica's log says nothing of how the others end.
        key = (*_alike(plan.pod, plan.workload, plan.target), is_healthy(plan.conditions))
        if taken[key] < per_owner:
            taken[key] += 1
            chosen.add(plan.pod.metadata.uid)
    return frozenset(chosen)


def share_logs(examinations: Sequence[Examination]) -> list[Examination]:
    """Give replicas whose log was not read the log of one that ended in the same way."""
    read: dict[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]] = {}
    for one in examinations:
        if one.logs and not is_healthy(one.conditions):
            read.setdefault(_alike_to(one), (one.pod.metadata.name, one.logs))
    return [_with_log(one, read) for one in examinations]


def _with_log(
    one: Examination, read: Mapping[tuple[object, ...], tuple[str, tuple[LogExcerpt, ...]]]
) -> Examination:
    source = read.get(_alike_to(one))
    if one.logs or source is None or is_healthy(one.conditions):
        return one
    name, logs = source
    borrowed = tuple(msgspec.structs.replace(log, read_from=name) for log in logs)
    return msgspec.structs.replace(one, logs=borrowed)
