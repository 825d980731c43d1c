"""The ephemeral container of a playbook: every field that the API allows in one.

Source: `EphemeralContainerCommon` of the Pod API and `validateEphemeralContainers` of the API
server, which allows these fields and no others.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from runner import __version__
from runner.playbook import fields
from runner.playbook.base import Spec, listed, mapping

TOOLS_IMAGE = f"ghcr.io/podmedic/tools:{__version__}"
SHELL = ("/bin/sh", "-c")
NAME_PREFIX = "podmedic"
_OURS = "PODMEDIC_"
_ID = Meta(ge=0, le=2**31 - 1)
_Path = Annotated[str, Meta(pattern=fields.ABSOLUTE_PATH, max_length=4096)]
_Name = Annotated[str, Meta(min_length=1, max_length=253)]
_Profile = Literal["auto", "restricted", "general", "baseline", "netadmin", "sysadmin"]

_NOT_ALLOWED = "ephemeral containers may not have it"
_NEVER_AGAIN = f"{_NOT_ALLOWED}: an ephemeral container is never restarted"


class KeyOf(Spec, frozen=True, kw_only=True):
    """One key of a ConfigMap or Secret in the pod's namespace."""

    name: _Name
    """Name of the object."""
    key: _Name
    """The key."""
    optional: bool | None = None
    """True: the variable is left out where object or key is missing. Otherwise the container does
    not start there."""


class FieldOf(Spec, frozen=True, kw_only=True):
    """A field of the pod, through the downward API."""

    field_path: Annotated[str, Meta(min_length=1)]
    """`status.podIP`, `metadata.labels['app']`, …"""
    api_version: str | None = None
    """Default: `v1`."""


class ResourceOf(Spec, frozen=True, kw_only=True):
    """A limit or request of a container of the pod, through the downward API."""

    resource: Annotated[str, Meta(min_length=1)]
    """`limits.memory`, `requests.cpu`, …"""
    container_name: fields.DnsLabel | None = None
    """Default: the target container."""
    divisor: str | None = None
    """Unit of the value: `1Mi`."""


class EnvSource(Spec, frozen=True, kw_only=True):
    """Where a variable comes from: exactly one of these."""

    also_in_schema: ClassVar[Mapping[str, Any]] = {"minProperties": 1, "maxProperties": 1}

    config_map_key_ref: KeyOf | None = None
    """A key of a ConfigMap."""
    secret_key_ref: KeyOf | None = None
    """A key of a Secret; the default policy does not allow it."""
    field_ref: FieldOf | None = None
    """A field of the pod."""
    resource_field_ref: ResourceOf | None = None
    """A limit or request."""


class Env(Spec, frozen=True, kw_only=True):
    """A variable of the container; it wins over an inherited one."""

    name: fields.EnvName
    """Name of the variable. Those that begin with `PODMEDIC_` are ours."""
    value: str | None = None
    """Its value; `$(NAME)` stands for a variable before it."""
    value_from: EnvSource | None = None
    """Or where it comes from."""


class ObjectOf(Spec, frozen=True, kw_only=True):
    """A ConfigMap or Secret in the pod's namespace."""

    name: _Name
    """Name of the object."""
    optional: bool | None = None
    """True: it may be missing. Otherwise the container does not start where it is."""


class EnvFrom(Spec, frozen=True, kw_only=True):
    """All keys of a ConfigMap or Secret as variables."""

    prefix: str | None = None
    """Put before each name."""
    config_map_ref: ObjectOf | None = None
    """The ConfigMap."""
    secret_ref: ObjectOf | None = None
    """Or the Secret; the default policy does not allow it."""


_NO_SUB_PATH: Mapping[str, str] = {
    "subPath": f"{_NOT_ALLOWED}; mount the volume whole and look below it",
    "subPathExpr": f"{_NOT_ALLOWED}; mount the volume whole and look below it",
}


class VolumeMount(Spec, frozen=True, kw_only=True):
    """A volume of the pod; it wins over an inherited one at the same path."""

    refused: ClassVar[Mapping[str, str]] = _NO_SUB_PATH

    name: fields.DnsLabel
    """Name of the volume in the pod's spec. One that no container of the pod mounts is left out,
    and said: if it cannot be mounted, the kubelet would not restart the app either."""
    mount_path: _Path
    """Where it is mounted."""
    read_only: bool | None = None
    """True: nothing can be written."""
    recursive_read_only: Literal["Disabled", "IfPossible", "Enabled"] | None = None
    """As for any container."""
    mount_propagation: Literal["None", "HostToContainer", "Bidirectional"] | None = None
    """As for any container."""


class VolumeDevice(Spec, frozen=True, kw_only=True):
    """A block volume of the pod as a device. Writing to it damages what the app has there."""

    name: fields.DnsLabel
    """Name of the volume in the pod's spec. One that no container of the pod uses is left out."""
    device_path: _Path
    """Where the device is."""


class Capabilities(Spec, frozen=True, kw_only=True):
    """What is given and taken; each list replaces the profile's."""

    add: tuple[fields.Capability, ...] | None = None
    """Without `CAP_`: `SYS_PTRACE`. A process that is not root's does not get them."""
    drop: tuple[fields.Capability, ...] | None = None
    """`ALL` or names."""


class SecurityProfile(Spec, frozen=True, kw_only=True):
    """A seccomp or AppArmor profile."""

    type: Literal["RuntimeDefault", "Unconfined", "Localhost"]
    """Which kind."""
    localhost_profile: Annotated[str, Meta(min_length=1)] | None = None
    """With `Localhost`: its name on the node."""


class SELinuxOptions(Spec, frozen=True, kw_only=True):
    """As for any container."""

    user: str | None = None
    """User of the label."""
    role: str | None = None
    """Role of the label."""
    type: str | None = None
    """Type of the label."""
    level: str | None = None
    """Level of the label."""


class SecurityContext(Spec, frozen=True, kw_only=True):
    """Laid over what the profile gives; what is not named here stays the profile's."""

    refused: ClassVar[Mapping[str, str]] = {
        "windowsOptions": "pods on Windows nodes are not examined",
    }

    run_as_user: Annotated[int, _ID] | None = None
    """Default: the target container's user."""
    run_as_group: Annotated[int, _ID] | None = None
    """Default: the target container's group."""
    run_as_non_root: bool | None = None
    """As for any container."""
    allow_privilege_escalation: bool | None = None
    """As for any container."""
    privileged: bool | None = None
    """As for any container; the default policy does not allow it."""
    read_only_root_filesystem: bool | None = None
    """As for any container. Steps then need a volume to write to: `/dev/shm` is one, and the app's,
    too."""
    proc_mount: Literal["Default", "Unmasked"] | None = None
    """As for any container."""
    capabilities: Capabilities | None = None
    """Linux capabilities."""
    seccomp_profile: SecurityProfile | None = None
    """As for any container."""
    app_armor_profile: SecurityProfile | None = None
    """As for any container."""
    se_linux_options: SELinuxOptions | None = None
    """SELinux label of the processes."""


class Debugger(Spec, frozen=True, kw_only=True):
    """The ephemeral container that runs the steps. Playbooks of one run whose debuggers agree
    share one."""

    refused: ClassVar[Mapping[str, str]] = {
        "name": "each run, pod and attempt has a name of its own; namePrefix begins it",
        "ports": f"{_NOT_ALLOWED}; the pod's network is shared, and listening needs no entry",
        "resources": f"{_NOT_ALLOWED}: it counts against the limits of the pod",
        "livenessProbe": _NOT_ALLOWED,
        "readinessProbe": f"{_NOT_ALLOWED}, and it never counts for the pod's readiness",
        "startupProbe": _NOT_ALLOWED,
        "lifecycle": _NOT_ALLOWED,
        "restartPolicy": _NEVER_AGAIN,
        "restartPolicyRules": _NEVER_AGAIN,
        "resizePolicy": f"{_NOT_ALLOWED}: it has no resources",
        "terminationMessagePath": "the program that runs the steps leaves its last word in the "
        "default one",
        "runAsUser": "it belongs into securityContext",
        "runAsGroup": "it belongs into securityContext",
        "mounts": "inherit says what is taken from the target: inherit: [mounts, env]",
    }

    image: Annotated[str, Meta(min_length=1)] = TOOLS_IMAGE
    """Any image with a POSIX shell; a digest pins it."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """As for any container."""
    profile: _Profile = "restricted"
    """Security context, in the words of `kubectl debug --profile`. `auto`: the least that sees what
    the steps need, within what the namespace enforces: `restricted`; where they look into a target
    that runs as root `baseline`, and `general` where that one has added capabilities. A target
    whose user neither the pod nor the runtime tells (containerd before 2) is taken to run as root.
    Without the permission to `get` the namespace always `restricted`."""
    security_context: SecurityContext = SecurityContext()
    """What to change of the profile's."""
    strategy: Annotated[
        tuple[Literal["auto", "target", "own-image", "shared", "catch", "copy", "none"], ...],
        Meta(min_length=1, max_length=7, extra_json_schema={"uniqueItems": True}),
    ] = ("auto",)
    """How to reach the pod; the first that the pod's state admits is taken, and the next one
    when its container does not start or the target dies meanwhile. `target`: in the process
    namespace of the target container, when that runs long enough. `own-image`: the target's own
    image, by its own shell. `shared`: network and volumes of the pod. `catch`: waits until a
    target in a crash loop lives, up to six minutes, and enters it then. `copy`: in a copy of
    the pod, in place of the entry point; the copy is deleted. `none`: nothing is injected,
    steps are not evaluated. `auto`: target, then own-image if a step needs the image, then
    shared."""
    target_container_name: fields.DnsLabel | None = None
    """Another word for `targets.container`. Its processes are entered with strategies `target`
    and `catch` only."""
    inherit: Annotated[
        tuple[Literal["mounts", "env"], ...],
        Meta(max_length=2, extra_json_schema={"uniqueItems": True}),
    ] = ("mounts", "env")
    """What is taken from the target container. `mounts`: the volumes that it mounts, read-only, at
    the same places. `env`: values that it takes from ConfigMaps and from the downward API; never
    from Secrets."""
    name_prefix: Annotated[str, Meta(pattern=fields.DNS_LABEL, min_length=1, max_length=40)] = (
        NAME_PREFIX
    )
    """The container's name begins with it."""
    command: Annotated[tuple[str, ...], Meta(min_length=2, max_length=64)] = SHELL
    """How the POSIX shell is called; the program that runs the steps is the next word:
    `[/busybox/sh, -c]`. With strategy `own-image` it is always `[/bin/sh, -c]`."""
    args: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    """Words after the program."""
    working_dir: _Path | None = None
    """Where the steps begin. Default: the image's; with strategy `own-image` the target's."""
    env: Annotated[tuple[Env, ...], Meta(max_length=200)] = ()
    """Variables for the steps."""
    env_from: Annotated[tuple[EnvFrom, ...], Meta(max_length=50)] = ()
    """ConfigMaps and Secrets whose keys become variables."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Meta(max_length=100)] = ()
    """Volumes of the pod beside the inherited ones."""
    volume_devices: Annotated[tuple[VolumeDevice, ...], Meta(max_length=100)] = ()
    """Block volumes of the pod."""
    stdin: bool = False
    """True keeps the container's stdin open. Steps never read it."""
    stdin_once: bool = False
    """True closes stdin after the first client that attached left."""
    tty: bool = False
    """True gives the container a terminal. Steps never write to it."""
    termination_message_policy: Literal["File", "FallbackToLogsOnError"] = "File"
    """As for any container."""
    lifetime: Literal["once", "resident"] = "once"
    """`once`: the container runs the steps and ends. `resident`: it stays and sleeps, and this and
    later sweeps run their steps in it through exec (permission `create` on pods/exec), so that a
    pod gets one container for many sweeps. It ends at once when the pod is deleted."""
    ttl_seconds: Annotated[int, Meta(ge=60, le=7 * 86400)] = 86_400
    """After so long a resident container ends by itself, and the next sweep injects a new one."""


Problems = Iterator[tuple[tuple[str | int, ...], str]]


def problems(debugger: Mapping[str, Any], targets: Mapping[str, Any]) -> Problems:
    """Where, below `spec.debugger`, and what is wrong: what one field alone does not show. Works
    on the plain values of the file."""
    for key in ("strategy", "inherit"):
        words = listed(debugger.get(key))
        if len({str(each) for each in words}) != len(words):
            what = "a strategy" if key == "strategy" else "a word"
            yield (key,), f"names {what} twice"
    target, other = debugger.get("targetContainerName"), targets.get("container")
    if isinstance(target, str) and isinstance(other, str) and target != other:
        yield (
            ("targetContainerName",),
            f'spec.targets.container is "{other}"; one of them is enough',
        )
    yield from _env_problems(debugger)
    yield from _mount_problems(debugger)
    context = mapping(debugger.get("securityContext"))
    for key in ("seccompProfile", "appArmorProfile"):
        profile = mapping(context.get(key))
        if profile and (profile.get("type") == "Localhost") != ("localhostProfile" in profile):
            yield ("securityContext", key), "localhostProfile goes with type Localhost, and only so"
    profile = debugger.get("profile", "restricted")
    non_root = context.get("runAsNonRoot", profile in ("restricted", "auto"))
    if non_root is True and context.get("runAsUser") == 0:
        why = "" if "runAsNonRoot" in context else f", and profile {profile} may set that"
        yield ("securityContext", "runAsUser"), f"user 0 is what runAsNonRoot forbids{why}"
    privileged = context.get("privileged", profile == "sysadmin")
    if privileged is True and context.get("allowPrivilegeEscalation") is False:
        yield (
            ("securityContext", "allowPrivilegeEscalation"),
            "must not be false in a privileged container",
        )


def _env_problems(debugger: Mapping[str, Any]) -> Problems:
    seen: set[str] = set()
    for index, each in enumerate(map(mapping, listed(debugger.get("env")))):
        name = each.get("name")
        if isinstance(name, str):
            if name.startswith(_OURS):
                yield ("env", index, "name"), f"names that begin with {_OURS} are ours"
            if name in seen:
                yield ("env", index, "name"), f'"{name}" is there twice'
            seen.add(name)
        if "value" in each and "valueFrom" in each:
            yield ("env", index, "valueFrom"), "a variable has value or valueFrom, not both"
        if "valueFrom" in each and len(mapping(each["valueFrom"])) != 1:
            one = "configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef"
            yield ("env", index, "valueFrom"), f"needs exactly one of {one}"
    for index, each in enumerate(map(mapping, listed(debugger.get("envFrom")))):
        if each and ("configMapRef" in each) == ("secretRef" in each):
            yield ("envFrom", index), "needs exactly one of configMapRef, secretRef"


def _mount_problems(debugger: Mapping[str, Any]) -> Problems:
    taken: set[str] = set()
    for key, field in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        for index, each in enumerate(map(mapping, listed(debugger.get(key)))):
            path = each.get(field)
            if isinstance(path, str) and path in taken:
                yield (key, index, field), f"{path} is taken"
            taken.add(str(path))
