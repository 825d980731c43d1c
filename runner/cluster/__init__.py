"""The port: everything the API server can do for podmedic, as one Protocol.

`runner.kube` implements it; tests of the pure core give one-line fakes. Nothing here knows HTTP.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from runner.cluster.streams import Chunk, Ended, Place, Stream, Streamed, StreamOutcome, Streams
from runner.model.pod import Event, Pod

__all__ = [
    "Access",
    "Chunk",
    "Cluster",
    "ClusterError",
    "Ended",
    "ErrorReason",
    "ObjectEvent",
    "Objects",
    "Place",
    "PodEvent",
    "Resource",
    "Scope",
    "Stream",
    "StreamOutcome",
    "Streamed",
    "Streams",
    "WatchedObjects",
]

T = TypeVar("T")


class ErrorReason(StrEnum):
    """Why the API server, or the way to it, said no."""

    UNREACHABLE = "Unreachable"  # no connection: DNS, refused, TLS, time-out
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"  # RBAC
    POD_SECURITY = "PodSecurity"  # namespace's pod security level refuses the pod
    ADMISSION = "AdmissionRefused"  # webhook, ValidatingAdmissionPolicy
    WEBHOOK = "WebhookUnavailable"  # an admission webhook that must be asked does not answer
    DRY_RUN = "DryRunUnsupported"  # a webhook that cannot say without doing
    GONE = "PodGone"
    NOT_FOUND = "NotFound"  # any object but a pod
    CONFLICT = "Conflict"  # 409: changed meanwhile, or there already
    REPLACED = "PodReplaced"  # same name, other uid
    NAME_TAKEN = "ContainerNameTaken"  # an ephemeral container of that name differs
    STATIC_POD = "StaticPod"
    DISABLED = "EphemeralContainersDisabled"  # the server has no such subresource
    INVALID = "Invalid"  # any other 422 or 400
    EXPIRED = "Expired"  # 410
    THROTTLED = "Throttled"  # 429 after all retries
    SERVER = "ServerError"  # 5xx after all retries
    NOT_READY = "ContainerNotReady"  # log of, or stream into, a container that is not there (yet)
    CONFIG = "Configuration"  # kubeconfig missing, malformed or without that context


class ClusterError(Exception):
    """The one exception that crosses the port.

    `message` is one line for people; it names the verb, the resource and the namespace where the
    server did. `status` is the HTTP status, None when no answer came.
    """

    def __init__(self, reason: ErrorReason, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status

    def why_unknown(self, what: str) -> str:
        """Why a fact could not be had that takes `what`, such as `list events`."""
        return f"forbidden: {what}" if self.reason is ErrorReason.FORBIDDEN else self.message


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What one LIST or WATCH of pods covers; namespace None means all namespaces."""

    namespace: str | None
    label_selector: str = ""
    field_selector: str = ""


class PodEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one pod.

    `modified` stands for ADDED too. `sync` comes after a relist, when every pod that exists was
    reported as `modified`: whatever is not in `uids` is gone.
    """

    type: str  # modified, deleted, sync
    pod: Pod | None = None
    uids: frozenset[str] = frozenset()


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One question of SelfSubjectAccessReview. `resource` may carry a subresource: `pods/log`."""

    verb: str
    resource: str
    namespace: str | None
    group: str = ""


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of object, as URLs and RBAC name it: `Resource(plural="leases",
    group="coordination.k8s.io")`."""

    plural: str
    group: str = ""
    version: str = "v1"


class ObjectEvent(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`type` is `modified`, `deleted`, or `synced`, which comes without an object: every one that
    exists has been given since the last `synced`, those with `listed`; any other is gone."""

    type: str
    object: T | None = None
    listed: bool = False


class Objects(Protocol):
    """Rare requests about any kind of object, decoded into the caller's own projection `as_`, a
    msgspec Struct with the fields that are read. Raises ClusterError: NOT_FOUND, CONFLICT and
    the reasons of every request; namespace None is for cluster-scoped kinds and for all of them.
    """

    async def get(
        self, resource: Resource, name: str, namespace: str | None, as_: type[T]
    ) -> T: ...

    def pages(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[Sequence[T]]:
        """At most 500 at a time. `metadata_only` asks for PartialObjectMetadata: what an object
        holds, a Secret's data say, never leaves the API server. When the server forgot where we
        were (410) the list starts again from the top: an object may then come twice."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Sequence[T]:
        """All of them, each once."""

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], as_: type[T],
        *, dry_run: bool = False,
    ) -> T:  # fmt: skip
        """A create whose answer was lost is repeated and then CONFLICT: give objects names that
        say whose they are."""

    async def replace(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[T],
    ) -> T:  # fmt: skip
        """PUT; with `metadata.resourceVersion` in the body, CONFLICT when it changed since."""

    async def delete(
        self, resource: Resource, name: str, namespace: str | None, *, uid: str = "",
        grace_period_seconds: int | None = None,
    ) -> None:  # fmt: skip
        """Gone already is no error; `uid` protects a namesake."""


class WatchedObjects(Objects, Protocol):
    """For whoever follows objects of his own, and changes parts of them."""

    async def patch(
        self, resource: Resource, name: str, namespace: str | None, body: Mapping[str, Any],
        as_: type[T],
    ) -> T:  # fmt: skip
        """A JSON merge patch; with `metadata.resourceVersion` in it, CONFLICT when it changed
        since."""

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        as_: type[T],
        version_of: Callable[[T], str],
        *,
        label_selector: str = "",
    ) -> AsyncIterator[ObjectEvent[T]]:
        """All there are, `synced`, then what changes, for ever; ends only by a ClusterError that
        waiting cannot mend. `version_of` reads an object's resourceVersion."""


class Cluster(Protocol):
    """All methods raise ClusterError and nothing else; all of them are bounded in time."""

    @property
    def objects(self) -> Objects:
        """Everything that is rare enough to need no method of its own."""

    @property
    def streams(self) -> Streams:
        """Exec and attach."""

    @property
    def description(self) -> str:
        """Where this is, for the report: the context's name and server, no credentials."""

    @property
    def requests_sent(self) -> Mapping[tuple[str, str], int]:
        """Requests so far by (verb, status code or error), for the metrics."""

    def list_pods(self, scope: Scope) -> AsyncIterator[tuple[Sequence[Pod], str]]:
        """Pages of at most 500 pods, each with the resourceVersion to watch from."""

    def watch_pods(
        self, scope: Scope, resource_version: str, *, may_wait: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[PodEvent]:
        """Changes since then, for ever: reconnects, relists after 410, backs off with jitter.
        Where many come they may be a tenth of a second late, a fifth while they `may_wait`."""

    async def list_events(
        self, namespace: str | None, field_selector: str = ""
    ) -> tuple[Sequence[Event], str]:
        """Events of a namespace (None: all), at most 5000, with the resourceVersion."""

    def watch_events(
        self, namespace: str | None, resource_version: str, field_selector: str = ""
    ) -> AsyncIterator[Event]:
        """Events since then, for ever."""

    async def add_ephemeral_container(
        self, pod: Pod, container: Mapping[str, Any], *, dry_run: bool = False,
        if_unchanged: bool = False,
    ) -> tuple[Pod, Sequence[str]]:  # fmt: skip
        """PATCH the subresource, guarded by the pod's uid; safe to repeat. With `if_unchanged`
        CONFLICT when what the pod is to run is not as given (any more), as after a request of ours
        whose answer was lost.

        Returns the pod as the server now has it and the server's warnings.
        """

    def read_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        limit_bytes: int,
        previous: bool = False,
        tail_lines: int | None = None,
        timestamps: bool = False,
        timeout_seconds: float = 60.0,
    ) -> AsyncIterator[bytes]:
        """The container's log in chunks, never followed; with `timestamps` each line begins with
        the time when it was written."""

    async def denied(self, questions: Sequence[Access]) -> Sequence[Access]:
        """Those of the questions that the API server answers with no."""

    async def close(self) -> None: ...
