"""Which pods alerts are about. Exact words only: nothing here is a pattern."""

from collections.abc import Collection, Sequence

from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.model.trigger import Aim, PodTarget
from runner.playbook.selectors import selects
from runner.select.workload import workload_of


def target_means(target: PodTarget, pod: Pod) -> bool:
    meta = pod.metadata
    return (
        meta.namespace == target.namespace
        and target.pod in ("", meta.name)
        and (not target.workload or target.workload in _workloads(pod))
        and (not target.selector or selects(target.selector, meta.labels))
    )


def aimed_at(aims: Sequence[Aim], playbook: str, pod: Pod) -> bool:
    """Whether the playbook is to look at the pod; without aims every one."""
    return not aims or any(playbook in a.playbooks and target_means(a.target, pod) for a in aims)


def container_meant(aims: Sequence[Aim], playbooks: Collection[str], pod: Pod) -> str:
    """The container that an alert about the pod names; empty where none does."""
    named = (
        aim.target.container
        for aim in aims
        if not set(aim.playbooks).isdisjoint(playbooks) and target_means(aim.target, pod)
    )
    return next(filter(None, named), "")


def workload_aimed_at(
    aims: Sequence[Aim], playbook: str, workload: Workload, labels: dict[str, str]
) -> bool:
    """The same for a workload of which there may be no pod; an alert about one pod means none."""
    return not aims or any(
        playbook in aim.playbooks
        and not aim.target.pod
        and aim.target.namespace == workload.namespace
        and aim.target.workload in ("", f"{workload.kind}/{workload.name}")
        and (not aim.target.selector or selects(aim.target.selector, labels))
        for aim in aims
    )


def _workloads(pod: Pod) -> set[str]:
    top = workload_of(pod)
    owners = {f"{owner.kind}/{owner.name}" for owner in pod.metadata.owner_references}
    return {f"{top.kind}/{top.name}", *owners}
