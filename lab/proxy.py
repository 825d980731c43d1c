"""A TLS proxy before the API server that shows clients the faults that tests ask for.

    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        proxy.kubeconfig(path, token=service_account_token(lab, namespace))
        proxy.add(Fault.drop_response(method="PATCH", path=r".*/ephemeralcontainers"))

It runs in a thread of its own, so that a test may wait for a command meanwhile. TLS ends here: a
client's certificate does not reach the API server, its bearer token does.
"""

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from lab import pki
from lab.faults import Action, Fault, Latency, Match, Seen
from lab.forwarding import Forwarder
from lab.handle import Lab
from lab.layout import save

__all__ = ["Fault", "FaultProxy", "Match", "Seen", "service_account_token"]

_ADDRESS = "127.0.0.1"
_START_SECONDS = 30.0
_STOP_SECONDS = 0.2
_JOIN_SECONDS = 10.0
_GOODBYE_SECONDS = 0.1
_REQUEST_MAX_BYTES = 16 << 20


class FaultProxy:
    """Forwards every request to `upstream`, unless a fault that was added matches it.

    `upstream` is an https URL, `ca` the file of the authority that signed its certificate. Usable
    with `with` and `async with`; may be called from any thread.
    """

    def __init__(self, *, upstream: str, ca: Path) -> None:
        self.url = ""
        self._upstream = upstream
        self._ca = ca
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._struck: list[tuple[Fault, Seen]] = []
        self._seen: list[Seen] = []
        self._folder = tempfile.TemporaryDirectory(prefix="podmedic-proxy-")
        self._thread: _LoopThread | None = None
        self._forwarder: Forwarder | None = None

    def __enter__(self) -> Self:
        pki.create(self._pki, (pki.Identity("proxy", _ADDRESS, "", (f"IP:{_ADDRESS}",)),))
        self._thread = _LoopThread(self._serve())
        self.url = self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.stop()
        self._folder.cleanup()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    @property
    def ca(self) -> Path:
        """The authority that signed the proxy's own certificate."""
        return self._pki / "ca.crt"

    def kubeconfig(self, path: Path, *, token: str, namespace: str = "default") -> Path:
        """Writes a kubeconfig through the proxy to `path`, and returns the path."""
        context = {"cluster": "proxy", "user": "proxy", "namespace": namespace}
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        value = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": cluster}],
            "users": [{"name": "proxy", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": context}],
            "current-context": "proxy",
        }
        save(path, value)
        path.chmod(0o600)
        return path

    def add(self, *faults: Fault) -> None:
        """From now on; of several that match a request the one added first strikes."""
        with self._changed:
            self._faults += faults

    def clear(self) -> None:
        """Removes all faults; what they are doing to open streams goes on."""
        with self._changed:
            self._faults.clear()

    def hang_up(self) -> None:
        """Ends every connection that is open, watches too, as an API server does that dies."""
        if self._thread is not None and self._forwarder is not None:
            self._thread.call(self._forwarder.abort)

    def struck(self, fault: Fault) -> list[Seen]:
        """The requests that a fault struck, in order."""
        with self._changed:
            return [seen for other, seen in self._struck if other is fault]

    def requests(self, match: Match | None = None) -> list[Seen]:
        """The requests that came and match, in order; those with a fault included."""
        with self._changed:
            return [seen for seen in self._seen if match is None or match(seen)]

    def wait_for(self, match: Match, *, count: int = 1, timeout_seconds: float = 30.0) -> None:
        """Returns when so many requests that match have come; raises `TimeoutError`."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: sum(map(match, self._seen)) >= count, timeout_seconds
            )
        if not enough:
            raise TimeoutError(f"{match}: not {count} requests in {timeout_seconds:g} s")

    @property
    def _pki(self) -> Path:
        return Path(self._folder.name)

    def _note(self, seen: Seen) -> list[Action]:
        """Counts a request and says what happens to it: delays, and at most one more thing."""
        with self._changed:
            self._seen.append(seen)
            self._changed.notify_all()
            actions: list[Action] = []
            for fault in self._faults:
                count = sum(other is fault for other, _ in self._struck)
                if count == fault.times or not fault.match(seen):
                    continue
                self._struck.append((fault, seen))
                actions.append(fault.action)
                if not isinstance(fault.action, Latency):
                    break
            return actions

    @contextlib.asynccontextmanager
    async def _serve(self) -> AsyncIterator[str]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._pki / "proxy.crt", self._pki / "proxy.key")
        upstream = ssl.create_default_context(cafile=str(self._ca))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=upstream, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_START_SECONDS),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        ) as session:
            application = web.Application(client_max_size=_REQUEST_MAX_BYTES)
            forwarder = self._forwarder = Forwarder(self._upstream, session, self._note)
            application.router.add_route("*", "/{path:.*}", forwarder.handle)
            runner = web.AppRunner(
                application,
                handler_cancellation=True,
                access_log=None,
                shutdown_timeout=_STOP_SECONDS,
            )
            await runner.setup()
            try:
                await web.TCPSite(runner, _ADDRESS, 0, ssl_context=context).start()
                yield f"https://{_ADDRESS}:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()
                forwarder.abort()
        # A request that was cancelled before its answer says goodbye over TLS, which takes a turn.
        await asyncio.sleep(_GOODBYE_SECONDS)


class _LoopThread:
    """A thread with an event loop, in which a service runs until it is told to stop."""

    def __init__(self, service: AbstractAsyncContextManager[str]) -> None:
        self._service = service
        self._started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> str:
        """What the service gave when it was entered; raises what it raised."""
        self._thread.start()
        return self._started.result(_START_SECONDS)[0]

    def call(self, callback: Callable[[], None]) -> None:
        """In its thread, soon."""
        self._started.result(_START_SECONDS)[1].call_soon_threadsafe(callback)

    def stop(self) -> None:
        _, loop, end = self._started.result(_START_SECONDS)
        loop.call_soon_threadsafe(end.set)
        self._thread.join(_JOIN_SECONDS)

    async def _run(self) -> None:
        try:
            async with self._service as value:
                end = asyncio.Event()
                self._started.set_result((value, asyncio.get_running_loop(), end))
                await end.wait()
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)


def service_account_token(
    lab: Lab, namespace: str, *, role: str = "cluster-admin", everywhere: bool = False
) -> str:
    """The token of a new ServiceAccount that holds a ClusterRole in its namespace, or everywhere.

    All of it goes when the namespace goes.
    """
    uid = lab.client().get(f"/api/v1/namespaces/{namespace}")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}
    binding: dict[str, object] = {"name": f"proxied-{namespace}", "ownerReferences": [owner]}
    if not everywhere:
        binding["namespace"] = namespace
    account = {"kind": "ServiceAccount", "name": "proxied", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "proxied", "namespace": namespace},
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding" if everywhere else "RoleBinding",
            "metadata": binding,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [account],
        },
    ]
    lab.put(*objects)
    return lab.client().token(namespace, "proxied")
