"""From a body to stored Jobs: what was answered with 202 has its run, whatever happens to us."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from runner.cluster import ClusterError
from runner.examine.context import Redact
from runner.killpoints import reach
from runner.model.trigger import Alert, Trigger
from runner.policy import of_namespace
from runner.serve.config import Config, Configuration
from runner.serve.log import log
from runner.serve.metrics import Metrics
from runner.serve.store import OF_ONE_JOB, JobStore
from runner.sweep import clean_trigger
from runner.triggers import BodyError, read_body, trigger_of
from runner.triggers.jobs import Job, alert_id, job_name, parts, with_alerts
from runner.triggers.queue import Limits, is_full, queued, sort_alerts
from runner.triggers.request import RunRequest, trigger_of_request
from runner.triggers.story import story

ANSWER_SECONDS = 5.0


class RefusedError(Exception):
    """Nothing was stored; `status` is the HTTP status, `reason` a value of the metric's label."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: dict[str, Any]


class _Told(msgspec.Struct):
    """What became of the alerts of one webhook."""

    runs: dict[str, str] = msgspec.field(default_factory=dict)
    ignored: list[dict[str, str]] = msgspec.field(default_factory=list)

    def ignore(self, alert: Alert, reason: str) -> None:
        told = {"alert": alert.name, "fingerprint": alert.fingerprint, "reason": reason}
        self.ignored.append(told)


class Acceptor:
    def __init__(
        self,
        store: JobStore,
        configuration: Configuration,
        limits: Limits,
        metrics: Metrics,
        *,
        redact: Redact,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._limits = limits
        self._metrics = metrics
        self._redact = redact
        self._now = now
        # One at a time: what two webhooks have in common is stored once.
        self._lock = asyncio.Lock()

    async def alerts(self, body: bytes) -> Answer:
        """Raises RefusedError."""
        # One for the whole request: it may be replaced meanwhile.
        config = self._configuration.current
        try:
            trigger = trigger_of(read_body(body), config.routes, self._now())
        except BodyError as error:
            reason = "too-large" if error.status == 413 else "malformed"
            raise RefusedError(error.status, reason, str(error)) from None
        told = _Told()
        wanted = [alert for alert in trigger.alerts if self._is_wanted(alert, config, told)]
        async with _bounded(self._store):
            full: RefusedError | None = None
            try:
                # Before the ends of others: those are many requests, and may be refused.
                async with self._lock:
                    await self._store_alerts(trigger, wanted, config, told)
            except RefusedError as error:
                full = error
            await self._resolve(trigger)
        if full is not None:
            raise full
        status = 202 if told.runs else 200
        runs = [{"run": name, "state": state} for name, state in told.runs.items()]
        return Answer(status=status, body={"runs": runs, "ignored": told.ignored})

    async def request(self, request: RunRequest, identity: str) -> Answer:
        """`identity` is the same for a repetition. Raises RefusedError."""
        config = self._configuration.current
        refused = of_namespace(config.policy, request.namespace)
        if refused is not None:
            raise RefusedError(403, "policy", str(refused))
        identity = request.id or identity or secrets.token_hex(16)
        name = job_name(config.template.prefix, "request", [identity])
        trigger = trigger_of_request(request, self._now())
        async with _bounded(self._store), self._lock:
            job = self._store.get(name)
            if job is None:
                self._require_room(asked=True)
                job, _ = await self._create(name, trigger, config)
        return Answer(status=202, body={"runs": [{"run": name, "state": job.state}], "ignored": []})

    def _is_wanted(self, alert: Alert, config: Config, told: _Told) -> bool:
        if not alert.firing:
            self._metrics.alerts("resolved")
            return False
        if alert.aim is None:
            self._metrics.alerts("no-target" if alert.route else "no-route")
            told.ignore(alert, alert.reason)
            return False
        refused = of_namespace(config.policy, alert.aim.target.namespace)
        if refused is not None:
            self._metrics.alerts("policy")
            told.ignore(alert, str(refused))
            return False
        return True

    async def _store_alerts(
        self, trigger: Trigger, wanted: Sequence[Alert], config: Config, told: _Told
    ) -> None:
        found = sort_alerts(wanted, self._store.jobs, self._limits, self._now())
        for outcome, covered in (("known", found.known), ("cool-down", found.cooling)):
            for _, run in covered:
                told.runs.setdefault(run, outcome)
                self._metrics.alerts(outcome)
        if not found.fresh:
            return
        for part in parts(with_alerts(trigger, found.fresh)):
            self._require_room()
            ids = list(map(alert_id, part.alerts))
            name = job_name(config.template.prefix, trigger.group_key, ids)
            _, new = await self._create(name, part, config)
            told.runs[name] = "stored" if new else "known"
            self._metrics.alerts("stored" if new else "known", len(ids))

    def _require_room(self, *, asked: bool = False) -> None:
        if is_full(self._store.jobs, self._limits, asked=asked):
            message = f"{len(queued(self._store.jobs))} runs wait already; try again later"
            raise RefusedError(503, "queue-full", message)

    async def _create(self, name: str, trigger: Trigger, config: Config) -> tuple[Job, bool]:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        # What stands in the API server is read by others, too.
        trigger = clean_trigger(trigger, self._redact) or trigger
        job, new = await self._store.create(config.template.job(name, trigger))
        reach("run-stored")
        if new:
            self._metrics.stored(trigger.source, loop.time() - began_at)
            names = sorted({alert.name for alert in trigger.alerts})[:5]
            log("stored", run=name, source=trigger.source, alerts=len(trigger.alerts), names=names)
        return job, new

    async def _resolve(self, trigger: Trigger) -> None:
        """Writes the end of alerts down where they have a run. Starts nothing."""
        ended = {
            alert_id(alert): (alert.fingerprint, alert.ends_at or self._now())
            for alert in trigger.alerts
            if not alert.firing
        }
        if not ended:
            return
        for job in list(self._store.jobs):
            news = {
                fingerprint: at
                for each, (fingerprint, at) in ended.items()
                if each in job.alerts and fingerprint not in job.resolved
            }
            if not news:
                continue
            try:
                await self._store.resolve(job, news)
            except ClusterError as error:
                if error.reason not in OF_ONE_JOB:
                    raise
                # To send it all again would not help, and the alert has had its run.
                log("resolve-failed", run=job.name, message=error.message)
            else:
                log("resolved", run=job.name, alerts=len(news))


@asynccontextmanager
async def _bounded(store: JobStore) -> AsyncIterator[None]:
    """A wait for the API server that ends: whoever asked can ask again."""
    if not store.synced:
        raise RefusedError(503, "api-unavailable", "the Jobs of the cluster are not known yet")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError:
        message = f"the API server did not answer within {ANSWER_SECONDS:g} s"
        raise RefusedError(503, "api-unavailable", message) from None
    except ClusterError as error:
        unavailable = error.status is None or error.status >= 500 or error.status == 429
        reason = "api-unavailable" if unavailable else "api-refused"
        # Somebody may mend it: Alertmanager tries again after a 5xx, and after nothing else.
        raise RefusedError(503, reason, error.message) from error


def run_value(job: Job, namespace: str, now: datetime) -> dict[str, Any]:
    """A run as `GET /v1/runs` shows it; its Job is in `namespace`."""
    meta, end = job.metadata, job.end
    return {
        "run": job.name,
        "state": job.state,
        "source": meta.labels.get("podmedic.io/trigger", ""),
        "storedAt": meta.creation_timestamp,
        "releasedAt": job.released_at,
        "endedAt": end.last_transition_time if end is not None else None,
        "reason": end.reason if end is not None and end.type == "Failed" else "",
        "message": story(job, namespace, now),
        "coveredBy": job.covered_by,
        "resolved": job.resolved,
    }
