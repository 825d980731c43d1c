"""Volume mounts of the target, for the ephemeral container."""

from typing import Any

from runner.model.pod import Container, Pod, Volume

# A mount here would hide the debugger's own programs or the kernel's file systems.
_OWN_DIRECTORIES = frozenset(  # paths in a container, not ours
    {
        "/", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib",
        "/usr/local", "/usr/local/bin", "/usr/local/sbin", "/dev", "/dev/shm", "/proc",
        "/sys", "/tmp", "/etc",
    }
)  # fmt: skip


def carries_token(volume: Volume | None) -> bool:
    sources = (volume.projected or {}).get("sources", ()) if volume is not None else ()
    return any(isinstance(s, dict) and "serviceAccountToken" in s for s in sources)


def inherited_mounts(
    pod: Pod, container: Container
) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """The target's mounts, read-only, and a sentence for each one that was left out.

    Only what the target mounts itself: a volume that cannot be mounted stops the pod's worker,
    the app's restarts included (kubernetes-facts.md, "What surprised" 7). Never the token.
    """
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    mounts: list[dict[str, Any]] = []
    left_out: list[str] = []
    for mount in container.volume_mounts:
        path = mount.mount_path.rstrip("/") or "/"
        if carries_token(volumes.get(mount.name)):
            continue
        if mount.sub_path or mount.sub_path_expr:
            left_out.append(
                f"mount {path} left out: subPath is not allowed in ephemeral containers"
            )
        elif path in _OWN_DIRECTORIES:
            left_out.append(f"mount {path} left out: it would hide the debugger's own files")
        else:
            mounts.append({"name": mount.name, "mountPath": mount.mount_path, "readOnly": True})
    return tuple(mounts), tuple(left_out)
