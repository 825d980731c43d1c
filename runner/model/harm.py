"""Whether a pod is what it was before it was touched."""

from enum import StrEnum

from runner.model.base import Record


class HarmVerdict(StrEnum):
    """Is the pod what it was before we touched it?"""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNKNOWN = "unknown"  # the pod went away, or was not looked at again


class Change(Record, frozen=True, kw_only=True):
    """One difference between the pod before and after. `expected` ones would have come without
    us: a crash loop that goes on, a pod that became Ready. `firstLife` ones came because a
    container failed with an exit code of its own within ten minutes of its first start: nobody
    knows whether it would have lived on."""

    what: str
    before: str
    after: str
    expected: bool
    first_life: bool = False


class OwnEvent(Record, frozen=True, kw_only=True):
    """A Warning event of the pod that our `container` is the cause of."""

    container: str
    reason: str
    message: str
    count: int = 1


class Harm(Record, frozen=True, kw_only=True):
    """`verdict` counts what was not expected only; `events` are seen by others and change nothing
    in the pod."""

    verdict: HarmVerdict
    changes: tuple[Change, ...] = ()
    events: tuple[OwnEvent, ...] = ()
