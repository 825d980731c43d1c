"""Who is asked how much memory pods use, and what is made of the answer."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from runner.cluster import Access, ClusterError, ErrorReason
from runner.plan import PodPlan
from runner.sweep.memory import MemoryUse, list_usage, with_headroom
from tests.unit.pods import NOW, pod, running
from tests.unit.turns import PROBE, plan_of

FORBIDDEN = "memory in use: forbidden: list pods.metrics.k8s.io"


def planned(namespace: str = "shop", strategy: str = "[shared]", limit: str = "96Mi") -> PodPlan:
    limits = {"resources": {"limits": {"memory": limit}}} if limit else {}
    subject = pod(
        running(imageID="web@sha256:aa"), metadata={"namespace": namespace}, container=limits
    )
    return plan_of(subject, PROBE.replace("[shared]", strategy))


class _Cluster:
    def __init__(self, *denied: str | None, error: ClusterError | None = None) -> None:
        self._denied, self._error = denied, error
        self.listed: list[str | None] = []
        self.objects = self

    async def denied(self, questions: Sequence[Access]) -> Sequence[Access]:
        return [each for each in questions if each.namespace in self._denied]

    async def list(self, _: object, namespace: str | None, as_: type[Any]) -> Sequence[Any]:
        self.listed.append(namespace)
        if self._error is not None:
            raise self._error
        item = {
            "metadata": {"namespace": namespace or "shop", "name": "web-1"},
            "containers": [{"usage": {"memory": "50Mi"}}, {"usage": {"memory": "35Mi"}}],
        }
        return [msgspec.convert(item, as_)]


NONE = ClusterError(ErrorReason.NOT_FOUND, "404 page not found", status=404)
MANY = [f"n{number}" for number in range(11)]


@pytest.mark.parametrize(
    ("cluster", "plans", "listed", "unknown"),
    [
        (_Cluster(), [planned()], ["shop"], ""),
        (_Cluster(), [planned(limit="")], [], ""),
        (_Cluster(), [planned(strategy="[copy]")], [], ""),
        (_Cluster("shop"), [planned(), planned("bank")], ["bank"], FORBIDDEN),
        (_Cluster(), [planned(name) for name in MANY], [None], ""),
        (_Cluster(None, "n3"), [planned(name) for name in MANY],
         sorted(set(MANY) - {"n3"}), FORBIDDEN),
        (_Cluster(error=NONE), [planned(), planned("bank")], ["bank"],
         "memory in use: the cluster has no metrics API"),
    ],
)  # fmt: skip
async def test_no_more_is_asked_than_may_be_known(
    cluster: Any, plans: list[PodPlan], listed: list[str | None], unknown: str
) -> None:
    use = await list_usage(cluster, plans)
    assert (cluster.listed, use.unknown) == (listed, unknown)


def test_a_pod_without_room_is_held_back_and_a_copy_of_it_is_not() -> None:
    use = MemoryUse({("shop", "web-1"): 85 << 20})
    held, copied = with_headroom([planned(), planned(strategy="[copy, shared]")], use, NOW, "r1")
    assert held.held_back is not None
    assert (held.held_back.reason, held.injections[0].steps) == ("MemoryHeadroom", ())
    assert (copied.held_back, copied.injections[0].choice.strategy) == (None, "copy")
    # Where the copy cannot be had, the pod is left alone.
    assert copied.injections[0].fallback == ()
