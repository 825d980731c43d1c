"""PodDisruptionBudgets, where they may be read, and whom they select."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.cluster import Access, Cluster, ClusterError, Resource
from runner.model.base import Value
from runner.model.pod import ObjectMeta
from runner.select import selector_means

BUDGETS = Resource(plural="poddisruptionbudgets", group="policy")


class _Spec(Value, frozen=True, kw_only=True):
    selector: dict[str, Any] | None = None


class _Status(Value, frozen=True, kw_only=True):
    disruptions_allowed: int = 0


class DisruptionBudget(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: _Spec = _Spec()
    status: _Status = _Status()


def selects(budget: DisruptionBudget, namespace: str, labels: Mapping[str, str]) -> bool:
    """An empty selector selects every pod of the namespace, none at all nothing (policy/v1)."""
    selector = budget.spec.selector
    if selector is None or budget.metadata.namespace != namespace:
        return False
    return selector_means(selector, labels)


async def list_budgets(
    cluster: Cluster, namespaces: Sequence[str]
) -> tuple[tuple[DisruptionBudget, ...], str]:
    """Those of the namespaces, and why some could not be read. Asked first, so that a Role that
    leaves them out causes no refusals in anybody's audit log."""
    found: list[DisruptionBudget] = []
    unknown = ""
    questions = [
        Access(verb="list", resource=BUDGETS.plural, group=BUDGETS.group, namespace=namespace)
        for namespace in namespaces
    ]
    try:
        denied = {question.namespace for question in await cluster.denied(questions)}
        for namespace in namespaces:
            if namespace in denied:
                unknown = f"forbidden: list {BUDGETS.plural}.{BUDGETS.group}"
            else:
                found += await cluster.objects.list(BUDGETS, namespace, DisruptionBudget)
    except ClusterError as error:
        unknown = error.message
    return tuple(found), unknown
