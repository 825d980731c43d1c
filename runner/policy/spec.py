"""The format of a Policy: what the administrator allows, whatever a playbook asks for."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from runner.playbook.base import Document, Spec
from runner.playbook.fields import Capability, DnsLabel
from runner.playbook.load import load_document, read_text

SCHEMA_ID = "https://podmedic.io/schema/policy-v1alpha1.json"
PROTECTED_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "podmedic")

_Pattern = Annotated[str, Meta(min_length=1, max_length=512)]
_Bound = Annotated[int, Meta(ge=1, le=1_000_000)] | None


class Images(Spec, frozen=True, kw_only=True):
    """Images of ephemeral containers."""

    allow: tuple[_Pattern, ...] = ("*",)
    """At least one of these must match the whole reference; `*` stands for any characters:
    `ghcr.io/podmedic/*`."""
    require_digest: bool = False
    """Only references with `@sha256:`."""


class Security(Spec, frozen=True, kw_only=True):
    """What a security context may hold."""

    profiles: tuple[Literal["restricted", "general", "baseline", "netadmin", "sysadmin"], ...] = (
        "restricted",
        "baseline",
        "general",
    )
    """Profiles that a playbook may name."""
    capabilities: tuple[Capability, ...] = ("SYS_PTRACE",)
    """Capabilities that may be added."""
    privileged: bool = False
    """Whether containers may be privileged."""
    root: bool = True
    """Whether containers may run as user 0. `false` demands a numeric user other than 0, the
    container's own or else the pod's; `runAsNonRoot` is none."""
    volume_devices: bool = False
    """Whether raw block volumes of the pod may be attached."""


class Namespaces(Spec, frozen=True, kw_only=True):
    """Where pods may be examined; `*` stands for any characters."""

    allow: tuple[_Pattern, ...] = ("*",)
    """Only namespaces that match one of these."""
    deny: tuple[_Pattern, ...] = PROTECTED_NAMESPACES
    """None that matches one of these."""


class Secrets(Spec, frozen=True, kw_only=True):
    """What of Secrets an ephemeral container may get to see."""

    mounts: bool = True
    """Volumes that hold Secrets, which the app mounts too."""
    environment: bool = False
    """Variables from Secrets."""
    service_account_token: bool = False
    """Volumes with the pod's service account token."""


class Bounds(Spec, frozen=True, kw_only=True):
    """The most that a run may be told; less is always allowed."""

    max_in_flight: _Bound = None
    """Pods examined at a time."""
    max_per_node: _Bound = None
    """On one node."""
    max_per_namespace: _Bound = None
    """In one namespace."""
    max_per_workload: _Bound = None
    """Ready pods of one workload."""
    qps: _Bound = None
    """Requests per second to the API server."""
    timeout_seconds: _Bound = None
    """For a whole sweep."""
    max_ephemeral_containers: _Bound = None
    """Per pod, whoever made them."""


class PolicySpec(Spec, frozen=True, kw_only=True):
    """What is allowed."""

    images: Images = Images()
    """Images of ephemeral containers."""
    security: Security = Security()
    """What a security context may hold."""
    namespaces: Namespaces = Namespaces()
    """Where pods may be examined."""
    strategies: tuple[Literal["target", "own-image", "shared", "catch", "copy", "none"], ...] = (
        "target",
        "own-image",
        "shared",
        "catch",
        "none",
    )
    """How pods may be reached. `copy` creates pods: it has to be named."""
    transports: tuple[Literal["log", "exec"], ...] = ("log", "exec")
    """How results may leave a pod. Without `exec` there is no `podmedic shell`, no `attach` and no
    `lifetime: resident`."""
    artifacts: bool = False
    """Whether playbooks may `collect` files: they are kept as they are, without redaction."""
    unredacted: bool = False
    """Whether `--no-redact` may keep secrets in what is stored; everything then says so."""
    secrets: Secrets = Secrets()
    """What of Secrets may be seen."""
    bounds: Bounds = Bounds()
    """The most that a run may be told."""


class Metadata(Spec, frozen=True, kw_only=True):
    """What the policy is called."""

    name: DnsLabel
    """Name of the policy."""
    description: str = ""
    """Whose it is, and why."""


class Policy(Document, frozen=True, kw_only=True):
    """One file: what podmedic may do. The administrator's word wins over every playbook and every
    option."""

    kind: Literal["Policy"]
    """Always `Policy`."""
    metadata: Metadata
    """What it is called."""
    spec: PolicySpec = PolicySpec()
    """What is allowed."""


# A policy that is read is checked; of this one a test knows that it would hold, and at each start
# the validators of all of its parts would have to be made first.
DEFAULT = Policy(
    api_version="podmedic.io/v1alpha1",
    kind="Policy",
    metadata=Metadata(name="default"),
    spec=PolicySpec(
        # Who gives no policy decides by the role: `copy` needs to create pods.
        strategies=("target", "own-image", "shared", "catch", "copy", "none"),
        artifacts=True,
        security=Security(
            profiles=("restricted", "general", "baseline", "netadmin", "sysadmin"),
            capabilities=("SYS_PTRACE", "NET_ADMIN", "NET_RAW"),
            privileged=True,
            volume_devices=True,
        ),
    ),
)
"""What holds without a file: protected namespaces, no environment from Secrets, no token."""


def load_policy(path: str | Path) -> Policy:
    """Raises PlaybookErrors with file:line:column."""
    return read_policy(read_text(path), str(path))


def read_policy(text: str, path: str) -> Policy:
    """Raises PlaybookErrors; `path` is what its lines begin with."""
    return load_document(text, path, Policy, "policy")


PARTS = (
    ("metadata", "Metadata"),
    ("spec", "PolicySpec"),
    ("spec.images", "Images"),
    ("spec.security", "Security"),
    ("spec.namespaces", "Namespaces"),
    ("spec.secrets", "Secrets"),
    ("spec.bounds", "Bounds"),
)
"""For docs/policy.md: where each part of the schema stands."""


def json_schema() -> dict[str, object]:
    # Imported here: it reads our source, and only `podmedic schema` wants it.
    from runner.playbook.schema import json_schema as schema_of  # noqa: PLC0415

    return schema_of(Policy, SCHEMA_ID)
