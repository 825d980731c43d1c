"""What a report speaks of."""

from runner.model.base import Record


class Workload(Record, frozen=True, kw_only=True):
    """The controller that people know the pod by; a bare pod is its own workload."""

    kind: str
    namespace: str
    name: str


class PodRef(Record, frozen=True, kw_only=True):
    namespace: str
    name: str
