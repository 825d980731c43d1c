"""What was changed before a workload fell ill."""

from datetime import datetime

from runner.model.base import Record
from runner.model.subject import PodRef, Workload

NOT_SHOWN = "(not shown)"


class Difference(Record, frozen=True, kw_only=True):
    """One field of a pod template, as kubectl would name it: `containers[app].env[DB_HOST]`. Null
    where the field was not there; values that might be secret read `(not shown)`."""

    path: str
    before: str | None
    after: str | None


class Revision(Record, frozen=True, kw_only=True):
    """A ReplicaSet or ControllerRevision; `ready` counts its pods that are Ready."""

    name: str
    number: int
    created_at: datetime | None
    ready: int


class RevisionChange(Record, frozen=True, kw_only=True):
    """What is different between the revision of a workload's ill pods (`after`) and the last one
    that was good (`before`): the latest one before it that still has Ready pods, else the latest.
    `more` counts the differences that are left out."""

    workload: Workload
    before: Revision
    after: Revision
    differences: tuple[Difference, ...]
    more: int = 0


class ConfigurationChange(Record, frozen=True, kw_only=True):
    """A ConfigMap that pods of an ill workload use and that was changed after the oldest of `pods`
    was made. `used_as` says how: `env` is read when a container starts, `files` the kubelet renews
    while it runs, `subPath` stays as it was mounted. A `stale` container started before the
    change and goes on with what it read then."""

    workload: Workload
    container: str
    name: str
    changed_at: datetime
    used_as: tuple[str, ...]
    stale: bool
    pods: tuple[PodRef, ...]
