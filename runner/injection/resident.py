"""A container of ours that stays in the pod for later sweeps, found again. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runner.injection.container import RESIDENT_VARIABLE, settings_digest
from runner.model.pod import Container, Pod


def resident_digest(container: Container) -> str:
    """The settings by which it was made, or the empty string for one that does not stay."""
    return next((v.value for v in container.env if v.name == RESIDENT_VARIABLE), "")


def find_resident(
    pod: Pod, body: Mapping[str, Any], now: datetime, *, ttl_seconds: float, needed_seconds: float
) -> Container | None:
    """One that runs, has so much of its time left, and is what `body` would be. The digest is
    what it says of itself, so what decides over its rights is compared as well."""
    wanted = settings_digest(body)
    prefix = body["name"].rsplit("-", 2)[0]
    for container in pod.spec.ephemeral_containers:
        status = pod.ephemeral_container_status(container.name)
        running = status.state.running if status is not None else None
        if running is None or running.started_at is None:
            continue
        left = ttl_seconds - (now - running.started_at).total_seconds()
        if (
            left >= needed_seconds
            and container.name.startswith(f"{prefix}-")
            and resident_digest(container) == wanted
            and container.image == body["image"]
            and list(container.command) == body["command"]
            and container.security_context == body["securityContext"]
            and container.target_container_name == body.get("targetContainerName", "")
        ):
            return container
    return None
