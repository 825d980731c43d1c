"""The HTTP side of `podmedic serve`: who may ask, how much is read, what is answered."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from runner.cluster import ClusterError
from runner.serve.accept import Acceptor, Answer, RefusedError, run_value
from runner.serve.auth import Auth
from runner.serve.config import Configuration
from runner.serve.log import log
from runner.serve.metrics import Metrics
from runner.serve.store import JobStore
from runner.triggers import BodyError
from runner.triggers.body import MAX_BYTES
from runner.triggers.jobs import Job, trigger_of_job
from runner.triggers.request import MAX_BYTES as MAX_REQUEST_BYTES
from runner.triggers.request import SIGNATURE, TIMESTAMP, is_signed, is_timely, read_request

# So many bodies at most are in memory, whatever comes.
MAX_AT_ONCE = 32
# Of those whose sender is known by the body alone: strangers leave room for Alertmanager.
MAX_SIGNED_AT_ONCE = 8
_READ_SECONDS = 10.0
_MAX_LISTED = 200
_RETRY_AFTER = {"Retry-After": "5"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    def __init__(
        self,
        acceptor: Acceptor,
        store: JobStore,
        auth: Auth,
        metrics: Metrics,
        configuration: Configuration,
        stopping: asyncio.Event,
    ) -> None:
        self._acceptor = acceptor
        self._store = store
        self._auth = auth
        self._metrics = metrics
        self._configuration = configuration
        self._stopping = stopping
        self._places = {False: MAX_AT_ONCE, True: MAX_SIGNED_AT_ONCE}

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._counted], client_max_size=MAX_BYTES + 1)
        application.add_routes(
            [
                web.post("/v1/alerts", self._alerts),
                web.post("/v1/runs", self._request),
                web.get("/v1/runs", self._runs),
                web.get("/v1/runs/{name}", self._run),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._text),
            ]
        )
        return application

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = _endpoint(request)
        code = 500
        try:
            response = await handler(request)
            code = response.status
        except web.HTTPException as error:
            code = error.status
            raise
        except RefusedError as error:
            code = error.status
            self._metrics.refused(error.reason)
            log("refused", endpoint=endpoint, reason=error.reason, message=str(error)[:500])
            headers = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
            headers |= _RETRY_AFTER if code == 503 else {}
            return _json({"error": str(error)}, status=code, headers=headers)
        except Exception as error:  # noqa: BLE001  one request fails, not the service
            log("bug", endpoint=endpoint, message=f"{type(error).__name__}: {error}")
            return _json({"error": "podmedic failed; its log says how"}, status=500)
        finally:
            self._metrics.request(endpoint, code)
        return response

    async def _alerts(self, request: web.Request) -> web.Response:
        self._require_auth(request)
        async with self._place():
            return _answer(await self._acceptor.alerts(await _body(request, MAX_BYTES)))

    async def _request(self, request: web.Request) -> web.Response:
        timestamp = request.headers.get(TIMESTAMP, "")
        given = request.headers.get(SIGNATURE, "")
        if not given:
            self._require_auth(request)
        elif not self._auth.signing_keys():
            raise _unauthorized("signatures are not known here")
        elif not is_timely(timestamp, time.time()):
            raise _unauthorized(f"{TIMESTAMP} is missing, or more than five minutes off")
        async with self._place(signed=bool(given)):
            body = await _body(request, MAX_REQUEST_BYTES)
            identity = ""
            if given:
                if not is_signed(self._auth.signing_keys(), timestamp, body, given):
                    raise _unauthorized("the signature is not that of this body")
                # What is sent a second time is the same run.
                identity = hashlib.sha256(timestamp.encode() + b"." + body).hexdigest()
        async with self._place():
            try:
                wanted = read_request(body, self._configuration.current.playbooks)
            except BodyError as error:
                raise RefusedError(error.status, "malformed", str(error)) from None
            return _answer(await self._acceptor.request(wanted, identity))

    async def _runs(self, request: web.Request) -> web.Response:
        self._require_auth(request)
        newest = sorted(
            self._store.jobs, key=lambda job: (job.metadata.creation_timestamp, job.name),
            reverse=True,
        )  # fmt: skip
        return _json({"runs": [self._value(job) for job in newest[:_MAX_LISTED]]})

    async def _run(self, request: web.Request) -> web.Response:
        self._require_auth(request)
        name = request.match_info["name"]
        job = self._store.get(name)
        if job is None:
            return _json({"error": "there is no such run, or it was long ago"}, status=404)
        try:
            manifest = await self._store.manifest(name)
        except (ClusterError, TimeoutError) as error:
            raise RefusedError(503, "api-unavailable", str(error)) from None
        trigger = None if manifest is None else trigger_of_job(manifest)
        return _json({**self._value(job), "trigger": trigger})

    def _value(self, job: Job) -> dict[str, Any]:
        return run_value(job, self._store.namespace, datetime.now(UTC))

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._stopping.is_set():
            return web.Response(text="stopping\n", status=503)
        if not self._store.synced:
            return web.Response(text="the Jobs of the cluster are not known yet\n", status=503)
        return web.Response(text="ok\n")

    async def _text(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.text(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    def _require_auth(self, request: web.Request) -> None:
        """Before anything of the body is read."""
        authorization = request.headers.get("Authorization", "")
        transport = request.transport
        certificate = transport is not None and bool(transport.get_extra_info("peercert"))
        if not self._auth.admits(authorization, certificate=certificate):
            raise _unauthorized("who are you? no valid token, password or client certificate")

    @asynccontextmanager
    async def _place(self, *, signed: bool = False) -> AsyncIterator[None]:
        """One of the few requests whose body is in memory."""
        if not self._places[signed] or self._stopping.is_set():
            raise RefusedError(503, "busy", "too many requests at once; try again later")
        self._places[signed] -= 1
        try:
            yield
        finally:
            self._places[signed] += 1


async def _body(request: web.Request, most: int) -> bytes:
    """Raises RefusedError for a larger one, before or while it is read."""
    too_large = RefusedError(413, "too-large", f"larger than {most // 1024} KiB")
    if (request.content_length or 0) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise RefusedError(408, "malformed", "the body did not arrive in time") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RefusedError(400, "malformed", "the body cannot be read") from None
    return bytes(body)


def _endpoint(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


def _unauthorized(why: str) -> RefusedError:
    return RefusedError(401, "unauthorized", why)


def _answer(answer: Answer) -> web.Response:
    return _json(answer.body, status=answer.status)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
