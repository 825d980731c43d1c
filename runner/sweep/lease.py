"""A Lease (coordination.k8s.io/v1) that keeps two sweeps of the same pods apart.

As in client-go's leader election no clock is ever compared with another machine's: whether the
holder is alive shows in whether its Lease changes while we look at it, by our own monotonic clock.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from runner.cluster import Access, Cluster, ClusterError, ErrorReason, Objects, Resource
from runner.model.base import Value
from runner.model.pod import ObjectMeta
from runner.permissions import LEASE
from runner.playbook import Playbook
from runner.sweep.gather import queries
from runner.sweep.settings import Selection

LEASES = Resource(plural=LEASE.resource, group=LEASE.group)
# Where the Lease of a sweep over all namespaces lives: the one that every cluster has.
FOR_ALL_NAMESPACES = "default"
# Of attempts to take what changes each time.
_MAX_CONFLICTS = 10


class _Spec(Value, frozen=True, kw_only=True):
    holder_identity: str = ""
    lease_duration_seconds: int | None = None
    acquire_time: str = ""
    renew_time: str = ""
    lease_transitions: int = 0


class _Lease(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: _Spec = _Spec()


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """`duration_seconds` is what others have to see no change for; ours is lost to us after
    `deadline_seconds` without a renewal, which leaves time to stop before they take it."""

    duration_seconds: float = 30.0
    deadline_seconds: float = 20.0
    renew_seconds: float = 8.0
    retry_seconds: float = 2.0
    # Longer than this we do not watch a stranger's Lease, whatever duration it claims.
    patience_seconds: float = 90.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be held, by whom. `run_id` ends the holder's name: a run that goes on after a
    kill takes its own Lease back at once."""

    namespace: str
    name: str
    holder: str
    run_id: str
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """Another sweep holds it. `since` is the API's own time."""

    holder: str
    since: str
    namespace: str
    name: str


def claim_of(
    playbooks: Sequence[Playbook], selection: Selection, *, host: str, run_id: str
) -> Claim:
    """One Lease for each set of playbooks and scope, in the first namespace of the scope."""
    names = sorted(p.metadata.name for p in playbooks)
    scopes = sorted(
        (scope.namespace or "", scope.label_selector, scope.field_selector)
        for scope in queries(playbooks, selection)
    )
    digest = hashlib.sha256(repr((names, scopes)).encode()).hexdigest()[:12]
    spaces = sorted({namespace for namespace, _, _ in scopes})
    where = "all namespaces" if spaces == [""] else f"namespace {', '.join(spaces)}"
    labels = [f"labels {selection.label_selector}"] if selection.label_selector else []
    fields = [f"fields {selection.field_selector}"] if selection.field_selector else []
    return Claim(
        namespace=spaces[0] or FOR_ALL_NAMESPACES,
        name=f"podmedic-{digest}",
        holder=f"{host}_{run_id}",
        run_id=run_id,
        annotations={
            "podmedic.io/playbooks": ", ".join(names),
            "podmedic.io/scope": ", ".join([where, *labels, *fields]),
        },
    )


async def require_lease(cluster: Cluster, claim: Claim) -> None:
    """Raises ClusterError(FORBIDDEN) that names the verbs that are missing."""
    denied = await cluster.denied(
        [
            Access(verb=verb, resource=LEASES.plural, group=LEASES.group, namespace=claim.namespace)
            for verb in LEASE.verbs
        ]
    )
    if denied:
        verbs = ", ".join(asked.verb for asked in denied)
        raise ClusterError(
            ErrorReason.FORBIDDEN,
            f"missing permission for --lease: {verbs} leases.coordination.k8s.io in namespace "
            f"{claim.namespace}; nothing was changed. `podmedic rbac --lease` prints the Role to "
            "apply.",
        )


class Lease:
    """`now` is only written down, for people; `clock` is monotonic, in seconds; `wait` returns
    early, with True, when the sweep is to end."""

    def __init__(
        self,
        objects: Objects,
        claim: Claim,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        wait: Callable[[float], Awaitable[bool]],
        timing: Timing | None = None,
    ) -> None:
        self._objects = objects
        self._claim = claim
        self._now = now
        self._clock = clock
        self._wait = wait
        self._timing = timing or Timing()
        self._version = ""
        self._spec = _Spec()
        self._renewed_at = 0.0
        self._keeping: asyncio.Task[None] | None = None
        # The holder from whom it was taken because there was no sign of life.
        self.taken_from = ""

    async def acquire(self) -> Busy | None:
        """None when it is ours, or when the sweep is to end anyway. Raises ClusterError."""
        found = await self._create_or_get()
        first, since = found, self._clock()
        rounds = int(self._timing.patience_seconds / self._timing.retry_seconds) + _MAX_CONFLICTS
        for _ in range(rounds):
            if found is None or first is None:
                return None
            if self._is_free(found.spec, self._clock() - since):
                if await self._take(found):
                    return None
            elif self._duration_seconds(found.spec) > self._timing.patience_seconds:
                return self._busy(found.spec)
            elif await self._wait(self._timing.retry_seconds):
                return None
            found = await self._get() or await self._create_or_get()
            if found is not None and found.spec != first.spec and not self._is_free(found.spec, 0):
                # A sign of life.
                return self._busy(found.spec)
        raise self._restless()

    def keep(self, lost: Callable[[str], None]) -> None:
        """Renew it until `release`; `lost` hears a sentence, once, when it is not ours any more."""
        self._keeping = asyncio.create_task(self._renew(lost))

    async def release(self) -> None:
        """Let the next one have it at once. Never raises: it ends by itself too."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if not self._version:
            return
        spec = self._body(
            holder="",
            duration_seconds=1,
            acquired=self._spec.acquire_time,
            transitions=self._spec.lease_transitions,
        )
        with contextlib.suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(5.0):
                await self._replace(spec, self._version)
        self._version = ""

    def _is_free(self, spec: _Spec, unchanged_seconds: float) -> bool:
        mine = spec.holder_identity.endswith(f"_{self._claim.run_id}")
        if not spec.holder_identity or mine:
            return True
        return unchanged_seconds >= self._duration_seconds(spec)

    def _duration_seconds(self, spec: _Spec) -> float:
        return spec.lease_duration_seconds or self._timing.duration_seconds

    def _busy(self, spec: _Spec) -> Busy:
        claim = self._claim
        return Busy(
            holder=spec.holder_identity,
            since=spec.acquire_time,
            namespace=claim.namespace,
            name=claim.name,
        )

    async def _create_or_get(self) -> _Lease | None:
        """None: it was not there, and is ours now."""
        for _ in range(_MAX_CONFLICTS):
            sent_at = self._clock()
            body = self._body(
                holder=self._claim.holder,
                duration_seconds=self._timing.duration_seconds,
                acquired=self._stamp(),
            )
            try:
                made = await self._objects.create(LEASES, self._claim.namespace, body, _Lease)
            except ClusterError as error:
                if error.reason is not ErrorReason.CONFLICT:
                    raise
            else:
                self._ours(made, sent_at)
                return None
            found = await self._get()
            if found is not None:
                return found
            # It went away again.
        raise self._restless()

    def _restless(self) -> ClusterError:
        return ClusterError(
            ErrorReason.CONFLICT,
            f"lease {self._claim.namespace}/{self._claim.name} changed each time it was to be "
            "taken; nothing was changed",
        )

    async def _get(self) -> _Lease | None:
        try:
            return await self._objects.get(LEASES, self._claim.name, self._claim.namespace, _Lease)
        except ClusterError as error:
            if error.reason is ErrorReason.NOT_FOUND:
                return None
            raise

    async def _take(self, found: _Lease) -> bool:
        """False when somebody else was faster."""
        holder = found.spec.holder_identity
        sent_at = self._clock()
        body = self._body(
            holder=self._claim.holder,
            duration_seconds=self._timing.duration_seconds,
            acquired=self._stamp(),
            transitions=found.spec.lease_transitions + 1,
        )
        try:
            taken = await self._replace(body, found.metadata.resource_version)
        except ClusterError as error:
            if error.reason in (ErrorReason.CONFLICT, ErrorReason.NOT_FOUND):
                return False
            raise
        self._ours(taken, sent_at)
        if holder and not holder.endswith(f"_{self._claim.run_id}"):
            self.taken_from = holder
        return True

    def _ours(self, lease: _Lease, sent_at: float) -> None:
        self._version = lease.metadata.resource_version
        self._spec = lease.spec
        # From before the request: by then at the latest others began to count.
        self._renewed_at = sent_at

    async def _renew(self, lost: Callable[[str], None]) -> None:
        pause, why = self._timing.renew_seconds, ""
        while True:
            await asyncio.sleep(pause)
            left = self._renewed_at + self._timing.deadline_seconds - self._clock()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    gone = await self._renew_once()
                pause = self._timing.renew_seconds
            except (ClusterError, TimeoutError) as error:
                silent = "no answer" if left > 0 else "this process was held up"
                why = error.message if isinstance(error, ClusterError) else why or silent
                gone, pause = "", self._timing.retry_seconds
                if self._clock() - self._renewed_at >= self._timing.deadline_seconds:
                    gone = f"it was not renewed for {self._timing.deadline_seconds:.0f} s: {why}"
            if gone:
                self._version = ""
                lost(f"lease {self._claim.namespace}/{self._claim.name} was lost: {gone}")
                return

    async def _renew_once(self) -> str:
        """Why it is not ours any more; empty when it is. Deleted, the API server makes it again
        by our PUT, unless somebody else was faster."""
        sent_at = self._clock()
        body = self._body(
            holder=self._claim.holder,
            duration_seconds=self._timing.duration_seconds,
            acquired=self._spec.acquire_time,
            transitions=self._spec.lease_transitions,
        )
        try:
            self._ours(await self._replace(body, self._version), sent_at)
        except ClusterError as error:
            if error.reason is not ErrorReason.CONFLICT:
                raise
            found = await self._get()
            if found is None:
                raise
            if found.spec.holder_identity != self._claim.holder:
                return f"it is held by {found.spec.holder_identity or 'nobody'}"
            # An answer of ours was lost, or somebody put a label on it: it is still ours.
            self._version = found.metadata.resource_version
            raise
        return ""

    async def _replace(self, body: dict[str, Any], version: str) -> _Lease:
        body["metadata"]["resourceVersion"] = version
        claim = self._claim
        return await self._objects.replace(LEASES, claim.name, claim.namespace, body, _Lease)

    def _stamp(self) -> str:
        return f"{self._now():%Y-%m-%dT%H:%M:%S.%f}Z"

    def _body(
        self, *, holder: str, duration_seconds: float, acquired: str, transitions: int = 0
    ) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._claim.name,
                "namespace": self._claim.namespace,
                "labels": {"app.kubernetes.io/name": "podmedic"},
                "annotations": self._claim.annotations,
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": int(duration_seconds),
                "acquireTime": acquired,
                "renewTime": self._stamp(),
                "leaseTransitions": transitions,
            },
        }
