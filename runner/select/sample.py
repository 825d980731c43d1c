"""Which replicas of a workload are looked at when not all of them are. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runner.model.pod import Pod

_HASHES = ("pod-template-hash", "controller-revision-hash")


class Replica(NamedTuple):
    """A pod of a workload, and whether it shows that it is ill."""

    pod: Pod
    ill: bool


def revision_hash(labels: Mapping[str, str]) -> str:
    """What the labels of a pod say of its revision; empty where nothing."""
    return next((labels[name] for name in _HASHES if name in labels), "")


def _revision(replica: Replica) -> str:
    return revision_hash(replica.pod.metadata.labels)


def sample(replicas: Sequence[Replica], count: int) -> list[Replica]:
    """At most `count` of them: ill ones first, and among equals those on nodes and of revisions of
    which the fewest were taken; then by name."""
    left = sorted(replicas, key=lambda each: each.pod.metadata.name)
    nodes, revisions = Counter[str](), Counter[str]()
    taken: list[Replica] = []
    while left and len(taken) < count:
        best = min(
            left,
            key=lambda each: (
                not each.ill,
                nodes[each.pod.spec.node_name] + revisions[_revision(each)],
            ),
        )
        left.remove(best)
        taken.append(best)
        nodes[best.pod.spec.node_name] += 1
        revisions[_revision(best)] += 1
    return taken


def controls(ill: Sequence[Replica], well: Sequence[Replica], count: int) -> list[Replica]:
    """Healthy ones to compare `ill` ones with: of the same revision where there are any, and on
    another node if they can be. None where nobody is ill."""
    if not ill:
        return []
    revisions = {_revision(each) for each in ill}
    nodes = {each.pod.spec.node_name for each in ill}
    ordered = sorted(
        well,
        key=lambda each: (
            _revision(each) not in revisions,
            each.pod.spec.node_name in nodes,
            each.pod.metadata.name,
        ),
    )
    return ordered[:count]
