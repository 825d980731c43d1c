"""Earlier revisions of the workloads whose pods are ill: a LIST or two for each namespace."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from runner.analyze import Generation, of_controller_revision, of_replica_set
from runner.analyze import revision_changes as changes_between
from runner.cluster import Cluster, ClusterError, Resource
from runner.examine.context import Redact
from runner.model.changes import RevisionChange
from runner.model.objects import ControllerRevision, ReplicaSet
from runner.permissions import OF_REVISIONS
from runner.plan import PodPlan
from runner.select import is_healthy, revision_hash
from runner.sweep.events import to_list
from runner.sweep.gather import ReadyPod

_REPLICA_SETS, _CONTROLLER_REVISIONS = OF_REVISIONS
_KINDS = {
    "Deployment": _REPLICA_SETS,
    "StatefulSet": _CONTROLLER_REVISIONS,
    "DaemonSet": _CONTROLLER_REVISIONS,
}


def wants_changes(plan: PodPlan) -> bool:
    """The pod is ill, and one of its playbooks asks what changed."""
    return not is_healthy(plan.conditions) and any(
        playbook.spec.evidence.changes for playbook in plan.playbooks
    )


async def list_changes(
    cluster: Cluster, plans: Sequence[PodPlan], ready: Iterable[ReadyPod], redact: Redact
) -> tuple[tuple[RevisionChange, ...], str]:
    """What changed in the workloads of ill pods, where a playbook asks for it, and why that could
    not be had. Never raises ClusterError."""
    ill = [
        (plan.workload, plan.pod)
        for plan in plans
        if plan.workload.kind in _KINDS and wants_changes(plan)
    ]
    wanted = {(_KINDS[workload.kind], workload.namespace) for workload, _ in ill}
    serving = Counter((each.workload, revision_hash(each.labels)) for each in ready)

    async def read(
        resource: Resource, namespace: str | None
    ) -> tuple[list[Generation | None], str]:
        try:
            if resource == _REPLICA_SETS:
                sets = await cluster.objects.list(resource, namespace, ReplicaSet)
                return [of_replica_set(each) for each in sets], ""
            revisions = await cluster.objects.list(resource, namespace, ControllerRevision)
            return [of_controller_revision(each, serving) for each in revisions], ""
        except ClusterError as error:
            return [], error.why_unknown(f"list {resource.plural}.{resource.group}")

    answers = await asyncio.gather(
        *(
            read(resource, namespace)
            for resource in OF_REVISIONS
            for namespace in to_list(n for kind, n in wanted if kind == resource)
        )
    )
    known = [each for generations, _ in answers for each in generations if each is not None]
    found = changes_between(ill, known, lambda text: redact.redact_text(text)[0])
    return found, "; ".join(dict.fromkeys(why for _, why in answers if why))
