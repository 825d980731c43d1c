"""Whom a container runs as, by its pod's and its own security context: what `root: false` of a
policy makes of it, in the runner and in the API server alike."""

from typing import Any

Context = dict[str, Any] | None

# Pod's context, container's context, whether it is surely another user than root.
ROOT_CASES: tuple[tuple[Context, Context, bool], ...] = (
    (None, None, False),
    (None, {}, False),
    (None, {"runAsUser": 0}, False),
    (None, {"runAsUser": 1000}, True),
    # The image's user may be a name, which is not known to be another one than root.
    (None, {"runAsNonRoot": True}, False),
    (None, {"runAsNonRoot": False}, False),
    (None, {"runAsUser": 1000, "runAsNonRoot": False}, True),
    ({"runAsUser": 1000}, None, True),
    ({"runAsUser": 1000}, {}, True),
    ({"runAsUser": 1000}, {"runAsNonRoot": True}, True),
    ({"runAsUser": 1000}, {"runAsUser": 0}, False),
    ({"runAsUser": 1000}, {"runAsUser": 2000}, True),
    ({"runAsUser": 0}, None, False),
    ({"runAsUser": 0}, {"runAsUser": 1000}, True),
    ({"runAsUser": 0}, {"runAsUser": 0}, False),
    ({"runAsNonRoot": True}, None, False),
    ({"runAsNonRoot": True}, {"runAsUser": 1000}, True),
    ({"runAsUser": 1000, "runAsNonRoot": True}, None, True),
)
