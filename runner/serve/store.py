"""The Jobs of triggered runs, as the API server has them: followed by one watch, so that replicas
and restarts see the same queue."""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from runner.cluster import ClusterError, ErrorReason, ObjectEvent, Resource, WatchedObjects
from runner.triggers.election import Listed, begin_body, cover_body, rivals, trim
from runner.triggers.jobs import FENCE, LABEL, RESOLVED, Job, trigger_of_job

JOBS = Resource(plural="jobs", group="batch")
# What a policy of the cluster may say of one object: others are not to wait for that.
OF_ONE_JOB = (
    ErrorReason.FORBIDDEN, ErrorReason.ADMISSION, ErrorReason.POD_SECURITY, ErrorReason.INVALID,
)  # fmt: skip
_READ_SECONDS = 10.0
_YOUNG_SECONDS = 30.0


class JobStore:
    """`namespace` is where the Jobs are. What was sent by us is known at once; the watch brings
    the rest, and never takes us back to an older state. `clock` is monotonic, in seconds."""

    def __init__(
        self, objects: WatchedObjects, namespace: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.namespace = namespace
        self.synced = False
        self.changed = asyncio.Event()
        self._objects = objects
        self._jobs: dict[str, Job] = {}
        self._clock = clock
        # Names of the list that is under way, None where none is.
        self._listed: set[str] | None = None
        # When we last wrote: a list may have begun before that.
        self._written: dict[str, float] = {}

    @property
    def jobs(self) -> Collection[Job]:
        return self._jobs.values()

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    async def follow(self) -> None:
        """For ever; raises ClusterError that waiting cannot mend."""
        events = self._objects.watch(
            JOBS, self.namespace, Job, lambda job: job.metadata.resource_version,
            label_selector=LABEL,
        )  # fmt: skip
        async for event in events:
            self._take(event)

    def _take(self, event: ObjectEvent[Job]) -> None:
        job = event.object
        if job is None:
            self._forget(self._jobs.keys() - (self._listed or set()))
            self._listed, self.synced = None, True
        elif event.type == "deleted":
            self._jobs.pop(job.name, None)
        else:
            if event.listed:
                self._listed = (self._listed or set()) | {job.name}
            self._know(job)
        self.changed.set()

    def _forget(self, names: Collection[str]) -> None:
        """What a list did not have, but for what is younger than the list."""
        now = self._clock()
        self._written = {k: at for k, at in self._written.items() if now - at < _YOUNG_SECONDS}
        for name in set(names) - self._written.keys():
            del self._jobs[name]

    def _know(self, job: Job) -> Job:
        known = self._jobs.get(job.name)
        same = known is not None and known.metadata.uid == job.metadata.uid
        if known is not None and same and known.version > job.version:
            return known
        self._jobs[job.name] = job
        self.changed.set()
        return job

    def _know_written(self, job: Job) -> Job:
        self._written[job.name] = self._clock()
        return self._know(job)

    async def refresh(self) -> None:
        """As the API server has them now. Raises ClusterError."""
        found = await self._objects.list(JOBS, self.namespace, Job, label_selector=LABEL)
        for job in found:
            self._know(job)
        self._forget(self._jobs.keys() - {job.name for job in found})

    async def create(self, manifest: Mapping[str, Any]) -> tuple[Job, bool]:
        """The Job that has this name now, and whether it is a new one. Raises ClusterError."""
        name = manifest["metadata"]["name"]
        try:
            made = await self._objects.create(JOBS, self.namespace, manifest, Job)
        except ClusterError as error:
            if error.reason is not ErrorReason.CONFLICT:
                raise
            found = await self._objects.get(JOBS, name, self.namespace, Job)
            return self._know_written(found), False
        return self._know_written(made), True

    async def listed(self) -> Sequence[Listed]:
        """All there are at this moment, by their metadata. Raises ClusterError."""
        return await self._objects.list(
            JOBS, self.namespace, Listed, label_selector=LABEL, metadata_only=True
        )

    async def taken(self, job: Job, listed: Sequence[Listed]) -> frozenset[str]:
        """The alerts of `job` that run elsewhere. Any rival that has not begun is changed: who
        looked at it before can no longer release it. Raises ClusterError."""
        found: set[str] = set()
        for each in rivals(job, listed):
            rival = self.get(each.name)
            same = rival is not None and rival.metadata.uid == each.metadata.uid
            if rival is None or not same or not rival.begun:
                # Never the same words: a patch that changes nothing would keep nobody out.
                told = {FENCE: f"{job.name} {secrets.token_hex(8)}"}
                body = {"metadata": {"uid": each.metadata.uid, "annotations": told}}
                rival = self._know_written(
                    await self._objects.patch(JOBS, each.name, self.namespace, body, Job)
                )
            if rival.begun:
                found |= rival.alerts & job.alerts
        return frozenset(found)

    async def release(self, job: Job, now: datetime, taken: Collection[str] = ()) -> None:
        """Lets it begin without the alerts that were taken. Raises ClusterError: CONFLICT when it
        changed since."""
        body = begin_body(job, now)
        if taken:
            trigger = trigger_of_job(await self.manifest(job.name) or {})
            if trigger is None:
                raise ClusterError(ErrorReason.INVALID, "the Job has no alerts that can be read")
            trim(body, trigger, taken)
        await self._patch(job, _at_version(body, job))

    async def cover(self, job: Job, by: Sequence[Job]) -> None:
        """Writes down that it has nothing to run. Raises ClusterError: CONFLICT when it changed
        since."""
        try:
            await self._patch(job, _at_version(cover_body(by, owned=True), job))
        except ClusterError as error:
            # Some clusters let only those who may delete an object say who owns it.
            if error.reason not in OF_ONE_JOB:
                raise
            await self._patch(job, _at_version(cover_body(by, owned=False), job))

    async def resolve(self, job: Job, ended: Mapping[str, datetime]) -> None:
        """Writes down which of its alerts ended, by fingerprint. Raises ClusterError."""
        told = {f"{RESOLVED}{key}": at.isoformat() for key, at in ended.items()}
        await self._patch(job, {"metadata": {"annotations": told}})

    async def _patch(self, job: Job, body: Mapping[str, Any]) -> None:
        try:
            self._know_written(await self._objects.patch(JOBS, job.name, self.namespace, body, Job))
        except ClusterError as error:
            if error.reason in (ErrorReason.CONFLICT, ErrorReason.NOT_FOUND):
                await self._look_again(job.name)
            if error.reason is not ErrorReason.NOT_FOUND:
                raise

    async def _look_again(self, name: str) -> None:
        with suppress(ClusterError):
            try:
                self._know(await self._objects.get(JOBS, name, self.namespace, Job))
            except ClusterError as error:
                if error.reason is not ErrorReason.NOT_FOUND:
                    raise
                self._jobs.pop(name, None)
                self.changed.set()

    async def manifest(self, name: str) -> Mapping[str, Any] | None:
        """All of a Job; None where there is none. Raises ClusterError, TimeoutError."""
        async with asyncio.timeout(_READ_SECONDS):
            try:
                raw = await self._objects.get(JOBS, name, self.namespace, msgspec.Raw)
            except ClusterError as error:
                if error.reason is ErrorReason.NOT_FOUND:
                    return None
                raise
        found: Mapping[str, Any] = msgspec.json.decode(raw)
        return found


def _at_version(body: dict[str, Any], job: Job) -> dict[str, Any]:
    body["metadata"]["resourceVersion"] = job.metadata.resource_version
    return body
