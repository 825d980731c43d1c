"""Which Linux capabilities a process of our container has. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.injection.security import FALLBACK_ID
from runner.model.pod import Pod
from runner.playbook.debugger import TOOLS_IMAGE

# What containerd and dockershim give a container that says nothing (oci.defaultUnixCaps); CRI-O
# gives fewer, of which NET_RAW is the one that a step may miss.
DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip


def missing_capabilities(
    pod: Pod, context: Mapping[str, Any], image: str, wanted: Sequence[str]
) -> tuple[tuple[str, ...], int | None]:
    """Those of `wanted` that a process under this security context does not have, and the user it
    runs as, None where only the image knows: it is taken for root then, which most images run as.

    Kubernetes sets no ambient capabilities: a process of another user than root has none.
    """
    if context.get("privileged"):
        return (), 0
    user = context.get("runAsUser", pod.spec.security_context.get("runAsUser"))
    if user is None and image == TOOLS_IMAGE:
        user = FALLBACK_ID
    if user:
        return tuple(wanted), user
    changed = context.get("capabilities", {})
    dropped = set(changed.get("drop", ()))
    given: set[str] = set() if "ALL" in dropped else {*DEFAULT_CAPABILITIES} - dropped
    added = set(changed.get("add", ()))
    if "ALL" in added:
        return (), user
    return tuple(name for name in wanted if name not in given | added), user
