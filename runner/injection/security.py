"""Security contexts: kubectl debug's profiles, with the numeric user that kubectl forgets."""

from typing import Any

from runner.model.pod import Container, ContainerStatus, Pod

# What the tools image runs as, and what a pod that only says runAsNonRoot can be given.
FALLBACK_ID = 65532


def _first_id(*values: object) -> int | None:
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), None)


def _seen_id(status: ContainerStatus | None, key: str) -> int | None:
    """What the kubelet reports of the first process, on nodes whose runtime says it."""
    linux = (status.user or {}).get("linux") if status is not None else None
    return _first_id(linux.get(key)) if isinstance(linux, dict) else None


def user_and_group(
    pod: Pod, container: Container, status: ContainerStatus | None
) -> tuple[int | None, int | None]:
    """The ids that the target's processes have, as far as the API tells; None when only the
    image knows. Both are needed to read /proc/PID/root of a process that is not root's."""
    own, shared = container.security_context, pod.spec.security_context
    user = _first_id(own.get("runAsUser"), shared.get("runAsUser"), _seen_id(status, "uid"))
    group = _first_id(own.get("runAsGroup"), shared.get("runAsGroup"), _seen_id(status, "gid"))
    return user, group


def security_context(
    profile: str, user: int | None, group: int | None, *, non_root: bool
) -> dict[str, Any]:
    """`profile` is one of kubectl debug's; `non_root` says that the pod demands runAsNonRoot.

    The restricted level of Pod Security forbids user 0, and an image's own user may be a name,
    which the kubelet cannot check: so a number is always set where one is needed.
    """
    context: dict[str, Any] = {}
    if profile == "restricted":
        context = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        if not user:
            user, group = FALLBACK_ID, group or FALLBACK_ID
        elif group is None:
            # Or 0, where the image does not know the user: only newer runtimes tell.
            group = user
    elif profile == "general":
        context = {"capabilities": {"add": ["SYS_PTRACE"]}}
    elif profile == "netadmin":
        context = {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}
    elif profile == "sysadmin":
        context = {"privileged": True}
    elif profile != "baseline":
        raise ValueError(f"unknown profile {profile!r}")
    if non_root:
        user = user or FALLBACK_ID
    if user is not None:
        context["runAsUser"] = user
    if group is not None:
        context["runAsGroup"] = group
    return context
