"""ConfigMaps of the pods that are ill: one LIST of metadata for each namespace."""

from collections.abc import Sequence

from runner.analyze import configuration_changes, used_config_maps
from runner.cluster import Cluster, ClusterError
from runner.model.objects import ConfigMap
from runner.model.report import ConfigurationChange
from runner.permissions import CONFIG_MAPS
from runner.plan import PodPlan
from runner.select import is_healthy
from runner.sweep.evidence import MAX_NAMESPACES


async def list_configuration_changes(
    cluster: Cluster, plans: Sequence[PodPlan]
) -> tuple[tuple[ConfigurationChange, ...], str]:
    """What changed under ill pods, where a playbook asks for it, and why that could not be had.
    Never raises ClusterError."""
    ill = [
        (plan.workload, plan.pod, plan.target)
        for plan in plans
        if not is_healthy(plan.conditions)
        and used_config_maps(plan.pod, plan.target)
        and any(playbook.spec.evidence.changes for playbook in plan.playbooks)
    ]
    namespaces: Sequence[str | None] = sorted({pod.metadata.namespace for _, pod, _ in ill})
    found: list[ConfigMap] = []
    unknown: dict[str, None] = {}
    for namespace in namespaces if len(namespaces) <= MAX_NAMESPACES else [None]:
        try:
            found += await cluster.objects.list(
                CONFIG_MAPS, namespace, ConfigMap, metadata_only=True
            )
        except ClusterError as error:
            unknown[error.why_unknown(f"list {CONFIG_MAPS.plural}")] = None
    return configuration_changes(ill, found), "; ".join(unknown)
