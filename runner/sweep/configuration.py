"""ConfigMaps of the pods that are ill: one LIST of metadata for each namespace."""

import asyncio
from collections.abc import Sequence

from runner.analyze import configuration_changes, used_config_maps
from runner.cluster import Cluster, ClusterError
from runner.model.changes import ConfigurationChange
from runner.model.objects import ConfigMap
from runner.permissions import CONFIG_MAPS
from runner.plan import PodPlan
from runner.sweep.events import to_list
from runner.sweep.revisions import wants_changes


async def list_configuration_changes(
    cluster: Cluster, plans: Sequence[PodPlan]
) -> tuple[tuple[ConfigurationChange, ...], str]:
    """What changed under ill pods, where a playbook asks for it, and why that could not be had.
    Never raises ClusterError."""
    ill = [
        (plan.workload, plan.pod, plan.target)
        for plan in plans
        if wants_changes(plan) and used_config_maps(plan.pod, plan.target)
    ]

    async def read(namespace: str | None) -> tuple[Sequence[ConfigMap], str]:
        try:
            found = await cluster.objects.list(
                CONFIG_MAPS, namespace, ConfigMap, metadata_only=True
            )
        except ClusterError as error:
            return (), error.why_unknown(f"list {CONFIG_MAPS.plural}")
        return found, ""

    namespaces = to_list(pod.metadata.namespace for _, pod, _ in ill)
    answers = await asyncio.gather(*map(read, namespaces))
    changed = configuration_changes(ill, [each for found, _ in answers for each in found])
    return changed, "; ".join(dict.fromkeys(why for _, why in answers if why))
