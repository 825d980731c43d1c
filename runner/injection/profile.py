"""`profile: auto`: the least that works. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from runner.injection.capabilities import DEFAULT_CAPABILITIES
from runner.injection.security import user_and_group
from runner.model.pod import Container, Pod
from runner.select.condition import app_status

# Strategies whose view depends on the user that our container runs as.
_LOOKS_INTO = ("target", "catch", "own-image", "copy")
# What a process of root has under each profile, on any runtime; the least first.
_SURE = DEFAULT_CAPABILITIES - {"NET_RAW"}
_GIVES = {
    "baseline": _SURE,
    "general": _SURE | {"SYS_PTRACE"},
    "netadmin": _SURE | {"NET_ADMIN", "NET_RAW"},
}


class ProfileChoice(NamedTuple):
    """`reason` is a sentence's end: why not another one. `as_root`: user 0 has to be named, because
    nothing that is known of the pod names it and the debugger's image may bring another."""

    profile: str
    reason: str
    as_root: bool = False


class ProfileBounds(NamedTuple):
    """What `auto` must keep to. `level` is what the namespace's
    `pod-security.kubernetes.io/enforce` says, "" when it says nothing, None when it is not known;
    `profiles` are those that the policy `whose` allows, None for all. With `looks_anywhere` nobody
    knows what will be looked at."""

    level: str | None = None
    profiles: tuple[str, ...] | None = None
    whose: str = ""
    looks_anywhere: bool = False


def _at_most_restricted(pod: Pod, target: Container, level: str | None) -> str:
    """Why nothing but `restricted` can be taken, or the empty string."""
    namespace = pod.metadata.namespace
    if level is None:
        return (
            f"the Pod Security level of namespace {namespace} could not be read "
            "(get namespaces), so no more is taken"
        )
    if level == "restricted":
        return f"namespace {namespace} enforces Pod Security level restricted"
    for whose in (target.security_context, pod.spec.security_context):
        if "runAsNonRoot" in whose:
            return "the pod demands runAsNonRoot" if whose["runAsNonRoot"] else ""
    return ""


def _for_capabilities(
    pod: Pod, target: Container, capabilities: Sequence[str], level: str | None
) -> ProfileChoice | None:
    """None where no profile short of a privileged container gives any of them."""
    offered = ["baseline"] if level == "baseline" else list(_GIVES)
    given = {name: _GIVES[name].intersection(capabilities) for name in offered}
    best = max(offered, key=lambda name: len(given[name]))
    if not given[best] and level != "baseline":
        return None
    if bound := _at_most_restricted(pod, target, level):
        return ProfileChoice("restricted", bound)
    return ProfileChoice(best, f"a step needs {', '.join(sorted(set(capabilities)))}", as_root=True)


def choose_profile(
    pod: Pod,
    target: Container,
    strategy: str,
    *,
    looks_into: bool,
    bounds: ProfileBounds,
    capabilities: Sequence[str] = (),
) -> ProfileChoice:
    """`looks_into`: a step needs the target's processes or its image; `capabilities`: all that
    steps need."""
    choice = None
    if capabilities:
        choice = _for_capabilities(pod, target, capabilities, bounds.level)
    if choice is None:
        into = looks_into or bounds.looks_anywhere
        choice = _least(pod, target, strategy, looks_into=into, level=bounds.level)
    if bounds.profiles is None or choice.profile in bounds.profiles:
        return choice
    return ProfileChoice("restricted", f"{bounds.whose} does not allow profile {choice.profile}")


def _least(
    pod: Pod, target: Container, strategy: str, *, looks_into: bool, level: str | None
) -> ProfileChoice:
    """The least that sees what the steps need, within the namespace's level.

    The kernel shows /proc/PID/root only to who has the same user and group, and every capability
    that the process has (ptrace(2), "Ptrace access mode checking").
    """
    if not looks_into or strategy not in _LOOKS_INTO:
        return ProfileChoice("restricted", "no step looks into the target")
    status = app_status(pod, target.name)
    user, _ = user_and_group(pod, target, status)
    if user:
        return ProfileChoice("restricted", f"container {target.name} runs as user {user}")
    if bound := _at_most_restricted(pod, target, level):
        return ProfileChoice("restricted", bound)
    context = target.security_context
    more = bool(context.get("privileged") or context.get("capabilities", {}).get("add"))
    # The user of an image is root unless it says another, and containerd before 2 tells neither.
    known = user is not None
    root = f"container {target.name} {'runs' if known else 'is taken to run'} as root"
    entered = strategy not in ("own-image", "copy")
    as_root = entered and not known
    if entered and more and level != "baseline":
        return ProfileChoice(
            "general", f"{root} with added capabilities, and a step looks into it", as_root
        )
    return ProfileChoice("baseline", f"{root}, and a step looks into it", as_root)
