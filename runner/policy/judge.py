"""Does a policy allow it? Pure."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from runner.injection import expanded
from runner.injection.mounts import carries_token
from runner.injection.settings import own_security_context
from runner.model.pod import Pod, Volume
from runner.playbook import Debugger, Playbook
from runner.playbook.checks import Loc
from runner.policy.spec import Policy

_NO_DEVICES = "raw block volumes are not allowed"


class Violation(NamedTuple):
    """`rule` is an id such as `policy/image`; `loc` leads to the field of the playbook."""

    rule: str
    message: str
    loc: Loc = ()

    def __str__(self) -> str:
        return f"{self.message} ({self.rule})"


def matches_any(text: str, patterns: Sequence[str]) -> bool:
    """`*` stands for any characters, `/` too; nothing else is special."""
    return any(fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))
               for pattern in patterns)  # fmt: skip


def _image(policy: Policy, image: str) -> Iterator[Violation]:
    images = policy.spec.images
    loc: Loc = ("spec", "debugger", "image")
    if not matches_any(image, images.allow):
        allowed = ", ".join(images.allow)
        yield Violation("policy/image", f"image {image} is not allowed: {allowed}", loc)
    if images.require_digest and "@sha256:" not in image:
        yield Violation(
            "policy/digest", f"image {image} is not pinned: IMAGE@sha256:… is required", loc
        )


def _security_of(policy: Policy, debugger: Debugger) -> Iterator[Violation]:
    """The security context as far as it does not come from the pod."""
    security = policy.spec.security
    base: Loc = ("spec", "debugger")
    if debugger.profile == "auto":
        # What it comes to for a pod is kept within the policy; this is where it begins.
        debugger = debugger.changed(profile="restricted")
    if debugger.profile not in security.profiles:
        allowed = ", ".join(security.profiles) or "none"
        message = f"profile {debugger.profile} is not allowed: {allowed}"
        yield Violation("policy/profile", message, (*base, "profile"))
        return
    own = debugger.security_context
    context = own_security_context(debugger, None, None, non_root=False)
    if own.run_as_user == 0 and not security.root:
        yield Violation(
            "policy/root", "user 0 is not allowed", (*base, "securityContext", "runAsUser")
        )
    if context.get("privileged") and not security.privileged:
        loc: Loc = (*base, "profile")
        if own.privileged is not None:
            loc = (*base, "securityContext", "privileged")
        yield Violation("policy/privileged", "a privileged container is not allowed", loc)
    added = context.get("capabilities", {}).get("add", ())
    if extra := [name for name in added if name not in security.capabilities]:
        loc = (*base, "profile")
        if own.capabilities is not None and own.capabilities.add is not None:
            loc = (*base, "securityContext", "capabilities", "add")
        message = f"capability {', '.join(extra)} is not allowed"
        yield Violation("policy/capability", message, loc)


def _secrets_of(policy: Policy, debugger: Debugger) -> Iterator[Violation]:
    if policy.spec.secrets.environment:
        return
    for index, variable in enumerate(debugger.env):
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            loc: Loc = ("spec", "debugger", "env", index, "valueFrom", "secretKeyRef")
            yield Violation(
                "policy/secret-environment", f"{variable.name} may not come from a Secret", loc
            )
    for index, source in enumerate(debugger.env_from):
        if source.secret_ref is not None:
            loc = ("spec", "debugger", "envFrom", index, "secretRef")
            yield Violation("policy/secret-environment", "envFrom may not name a Secret", loc)


def of_exec(policy: Policy, what: str, loc: Loc = ()) -> Violation | None:
    """`what` needs an exec or an attach."""
    if "exec" in policy.spec.transports:
        return None
    allowed = ", ".join(policy.spec.transports) or "none"
    message = f"{what} uses exec, and transports are limited to: {allowed}"
    return Violation("policy/transport", message, loc)


def _files_of(policy: Policy, playbook: Playbook) -> Iterator[Violation]:
    """Block volumes that are attached, how results come, files that are kept."""
    debugger = playbook.spec.debugger
    base: Loc = ("spec", "debugger")
    if debugger.lifetime == "resident":
        found = of_exec(policy, "lifetime resident", (*base, "lifetime"))
        if found is not None:
            yield found
    if debugger.volume_devices and not policy.spec.security.volume_devices:
        yield Violation("policy/volume-device", _NO_DEVICES, (*base, "volumeDevices"))
    if policy.spec.artifacts:
        return
    for index, step in enumerate(playbook.spec.steps):
        if step.collect is not None:
            loc: Loc = ("spec", "steps", index, "collect")
            yield Violation("policy/artifacts", "files may not be collected", loc)


def of_playbook(policy: Policy, playbook: Playbook) -> tuple[Violation, ...]:
    """What can be told without a pod."""
    debugger = playbook.spec.debugger
    if not playbook.spec.steps:
        return ()
    found = list(_image(policy, debugger.image))
    found += _security_of(policy, debugger)
    found += _secrets_of(policy, debugger)
    found += _files_of(policy, playbook)
    if not set(expanded(debugger.strategy, needs_image=True)) & set(policy.spec.strategies):
        allowed = ", ".join(policy.spec.strategies) or "none"
        found.append(
            Violation(
                "policy/strategy",
                f"none of its strategies is allowed: {allowed}",
                ("spec", "debugger", "strategy"),
            )
        )
    return tuple(found)


def of_namespace(policy: Policy, namespace: str) -> Violation | None:
    rules = policy.spec.namespaces
    if matches_any(namespace, rules.deny) or not matches_any(namespace, rules.allow):
        return Violation(
            "policy/namespace",
            f"namespace {namespace} is not allowed by policy {policy.metadata.name}; "
            "spec.namespaces of a policy (--policy FILE) says where pods may be examined",
        )
    return None


def _of_security(policy: Policy, body: Mapping[str, Any], pod: Pod) -> Iterator[Violation]:
    security, context = policy.spec.security, body.get("securityContext", {})
    if context.get("privileged") and not security.privileged:
        yield Violation("policy/privileged", "a privileged container is not allowed")
    added = context.get("capabilities", {}).get("add", ())
    if extra := [name for name in added if name not in security.capabilities]:
        yield Violation("policy/capability", f"capability {', '.join(extra)} is not allowed")
    if body.get("volumeDevices") and not security.volume_devices:
        yield Violation("policy/volume-device", _NO_DEVICES)
    user = context.get("runAsUser")
    if user is None:
        user = pod.spec.security_context.get("runAsUser")
    if not security.root and not user:
        yield Violation("policy/root", "a numeric user other than 0 is required")


def holds_secret(volume: Volume) -> bool:
    sources = (volume.projected or {}).get("sources", ())
    return volume.secret is not None or any("secret" in source for source in sources)


def _of_secrets(policy: Policy, body: Mapping[str, Any], pod: Pod) -> Iterator[Violation]:
    secrets = policy.spec.secrets
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    mounted = [
        volumes[mount["name"]] for mount in body.get("volumeMounts", ()) if mount["name"] in volumes
    ]
    if not secrets.mounts and (names := [v.name for v in mounted if holds_secret(v)]):
        yield Violation(
            "policy/secret-mount",
            f"volume {', '.join(names)} holds a Secret and may not be mounted "
            "(without `mounts` in spec.debugger.inherit no volume of the target is)",
        )
    if not secrets.service_account_token and any(map(carries_token, mounted)):
        yield Violation("policy/token", "the service account's token may not be mounted")
    from_secrets = [
        v["name"] for v in body.get("env", ()) if "secretKeyRef" in v.get("valueFrom", {})
    ]
    from_secrets += ["envFrom" for source in body.get("envFrom", ()) if "secretRef" in source]
    if from_secrets and not secrets.environment:
        yield Violation(
            "policy/secret-environment", f"{', '.join(from_secrets)} may not come from a Secret"
        )


def of_injection(
    policy: Policy, pod: Pod, body: Mapping[str, Any], strategy: str
) -> Violation | None:
    """The first thing that is not allowed of a container for a pod, exactly as it would be sent."""
    found = [*_image(policy, str(body["image"]))]
    if strategy not in policy.spec.strategies:
        found.append(Violation("policy/strategy", f"strategy {strategy} is not allowed"))
    found += _of_security(policy, body, pod)
    found += _of_secrets(policy, body, pod)
    return found[0] if found else None
