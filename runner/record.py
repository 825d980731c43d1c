"""What a run writes down before its first injection, so that it can be finished by another process:
its options, its playbooks and policy as they were, the cluster, the pods it selected. No secrets.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from runner.model.base import Record
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.model.trigger import Trigger

FILE_NAME = "run.json"
API_VERSION = "podmedic.io/v1alpha1"
# Ten thousand pods are a few megabytes.
_MAX_READ_BYTES = 256 * 1024 * 1024


class _Versioned(Protocol):
    @property
    def api_version(self) -> str: ...


D = TypeVar("D", bound=_Versioned)


class RecordError(Exception):
    """A directory that holds no run which this podmedic can finish; one line for people."""


class Options(Record, frozen=True, kw_only=True):
    """The command line of `podmedic run`, without what goes into files of its own."""

    namespaces: tuple[str, ...]
    all_namespaces: bool
    selector: str
    field_selector: str
    context: str | None
    kubeconfig: str | None
    impersonate: str | None
    qps: float
    burst: int
    debugger_image: str | None
    output: str | None
    timeout_seconds: float
    start_seconds: float
    max_in_flight: int
    max_per_node: int
    max_per_namespace: int
    max_per_workload: str  # a number or a percentage: 3, 25%
    canary: bool
    max_failures: int
    cap: int
    cool_down_seconds: float
    metrics_textfile: str | None
    pushgateway: str | None
    lease: bool
    exit_zero: bool
    allow_empty: bool
    quiet: bool
    formats: tuple[str, ...] = ()
    trigger: Trigger | None = None
    baseline: str | None = None
    fail_on: str = "any"
    events: bool = False
    otel: bool = False
    # Empty: beside the directory.
    bundle: str | None = None
    key: str | None = None
    sigstore: bool = False
    # Not called a token: what holds one would look like a secret to us.
    identity_file: str | None = None
    trust_config: str | None = None
    upload: str | None = None
    keep: int = 0
    redact_rules: tuple[str, ...] = ()
    no_redact: bool = False
    max_changed: int = 1
    since_seconds: float = 0.0
    retain_seconds: float = 0.0
    retain_mode: Literal["governance", "compliance"] = "governance"


class Document(Record, frozen=True, kw_only=True):
    """A playbook or policy. `text` is empty for a built-in one, and for one in which something
    looks like a secret: that is read from `source` again, if it still has this hash."""

    source: str
    sha256: str
    text: str


class ClusterRef(Record, frozen=True, kw_only=True):
    """A cluster. `kube_system_uid` is empty where the namespace may not be read."""

    description: str
    server: str
    kube_system_uid: str


class Actor(Record, frozen=True, kw_only=True):
    """Who ran it: the user that the API server took us for, the machine or pod, and what the
    environment variable PODMEDIC_RUNNER_IMAGE says of the runner's image. Empty where not known."""

    user: str = ""
    host: str = ""
    image: str = ""


class PodRecord(Record, frozen=True, kw_only=True):
    """A selected pod, the names of the playbooks that mean it (and of those for which it is a
    healthy one to compare with), why other replicas stand for it if they do, and as much of what it
    was `before` as the proof of no harm compares: states, restarts, conditions; nothing that an app
    wrote."""

    namespace: str
    name: str
    uid: str
    before: Pod
    workload: Workload
    target_container: str
    playbooks: tuple[str, ...]
    control_of: tuple[str, ...] = ()
    not_sampled: str = ""


class RunRecord(Record, frozen=True, kw_only=True):
    api_version: str
    run: str
    started_at: datetime
    runner_version: str
    identity: str
    cluster: ClusterRef
    default_namespace: str
    options: Options
    playbooks: tuple[Document, ...]
    policy: Document | None
    pods: tuple[PodRecord, ...]
    actor: Actor = Actor()

    def meant(self) -> dict[str, PodRecord]:
        """The pods that are to be looked at, by uid."""
        return {pod.uid: pod for pod in self.pods if not pod.not_sampled}


def encode(record: RunRecord) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def read(directory: Path) -> RunRecord:
    """Raises RecordError."""
    path = directory / FILE_NAME
    if not directory.is_dir():
        raise RecordError(f"{directory}: there is no such directory")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_READ_BYTES)
    except FileNotFoundError:
        raise RecordError(
            f"{directory} is not the directory of a run: it has no {FILE_NAME}; "
            "name the one that `podmedic run` got with -o"
        ) from None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    return decoded(data, RunRecord, path, "the record of a run")


def decoded(data: bytes, as_: type[D], path: Path, what: str) -> D:
    """A document of a run from its JSON; raises RecordError."""
    try:
        found = msgspec.json.decode(data, type=as_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not {what}: {error}") from error
    if found.api_version != API_VERSION:
        raise RecordError(
            f"{path}: this podmedic reads apiVersion {API_VERSION}, found {found.api_version}"
        )
    return found


def difference(then: ClusterRef, now: ClusterRef) -> str:
    """Why this is not the cluster of the run; empty if it is. A restored copy of a cluster has the
    same namespaces at another address: both have to agree."""
    mend = "name the run's cluster by --kubeconfig or --context"
    if then.server != now.server:
        return f"the run belongs to the cluster at {then.server}, this is {now.server}; {mend}"
    uids = (then.kube_system_uid, now.kube_system_uid)
    if all(uids) and uids[0] != uids[1]:
        return (
            f"the run belongs to another cluster than the one that is now at {now.server}: "
            f"namespace kube-system has uid {uids[1]}, it had {uids[0]}; {mend}"
        )
    return ""


def without_password(url: str) -> str:
    """The URL as it may be written down."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
