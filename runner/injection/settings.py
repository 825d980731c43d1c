"""What a playbook sets of the container itself, beside what is made from the pod. Pure."""

from typing import Any

import msgspec

from runner.injection.security import security_context, user_and_group
from runner.model.pod import Container, Pod
from runner.playbook import Debugger
from runner.playbook.base import Spec
from runner.select.condition import app_status


def as_api(part: Spec) -> dict[str, Any]:
    """In the API's own spelling, without what was left out."""
    return msgspec.json.decode(msgspec.json.encode(part), type=dict[str, Any])


def own_environment(
    debugger: Debugger, target: Container
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """`env` and `envFrom` of the playbook."""
    env = [as_api(variable) for variable in debugger.env]
    for variable in env:
        resource = variable.get("valueFrom", {}).get("resourceFieldRef")
        if resource is not None:
            # Without a name it would mean our own container, which has no limits.
            resource.setdefault("containerName", target.name)
    return env, [as_api(source) for source in debugger.env_from]


def own_volumes(
    pod: Pod, debugger: Debugger
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...]]:
    """`volumeMounts`, `volumeDevices`, and a sentence for each one that was left out: a volume
    that no container of the pod uses was never mounted, and one that cannot be mounted stops the
    pod's worker, the app's restarts included (kubernetes-facts.md, "What surprised" 7)."""
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    mounted = {mount.name for c in containers for mount in c.volume_mounts}
    attached = {device.name for c in containers for device in c.volume_devices}
    mounts = [as_api(m) for m in debugger.volume_mounts if m.name in mounted]
    devices = [as_api(d) for d in debugger.volume_devices if d.name in attached]
    unused = [m.name for m in debugger.volume_mounts if m.name not in mounted]
    unused += [d.name for d in debugger.volume_devices if d.name not in attached]
    left_out = tuple(f"volume {name} left out: no container of the pod uses it" for name in unused)
    return mounts, devices, left_out


def security_for(pod: Pod, target: Container, debugger: Debugger) -> dict[str, Any]:
    """The security context of our container for this target."""
    status = app_status(pod, target.name)
    user, group = user_and_group(pod, target, status)
    non_root = bool(
        target.security_context.get("runAsNonRoot", pod.spec.security_context.get("runAsNonRoot"))
    )
    return own_security_context(debugger, user, group, non_root=non_root)


def own_security_context(
    debugger: Debugger, user: int | None, group: int | None, *, non_root: bool
) -> dict[str, Any]:
    """The profile's, with the playbook's `securityContext` laid over it."""
    own = as_api(debugger.security_context)
    if own.get("runAsUser", user) != user:
        group = group or None  # root's group is no other user's
    context = security_context(
        debugger.profile,
        own.get("runAsUser", user),
        own.get("runAsGroup", group),
        non_root=own.get("runAsNonRoot", non_root),
    )
    capabilities = {**context.get("capabilities", {}), **own.pop("capabilities", {})}
    context |= own
    if capabilities:
        context["capabilities"] = capabilities
    return context
