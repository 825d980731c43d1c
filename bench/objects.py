"""Many objects of the lab's API server at once: made, awaited, removed."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp

from bench.measure import VoidError
from lab.handle import Lab

T = TypeVar("T")

_AT_ONCE = 24
_POLL_SECONDS = 0.5


def tls(lab: Lab) -> ssl.SSLContext:
    """As the lab's administrator."""
    context = ssl.create_default_context(cafile=str(lab.layout.pki / "ca.crt"))
    context.load_cert_chain(lab.layout.pki / "admin.crt", lab.layout.pki / "admin.key")
    return context


class Objects:
    """Raises VoidError for any answer that is not a success."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            async with self._session.request(
                method, self._server + path, data=data, headers={"Content-Type": content_type}
            ) as answer:
                status, text = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise VoidError(f"{method} {path}: {error!r}") from error
        if status >= 300:
            raise VoidError(f"{method} {path}: {status} {text[:300]!r}")
        value: dict[str, Any] = json.loads(text)
        return value

    async def for_each(self, items: Iterable[T], act: Callable[[T], Awaitable[Any]]) -> None:
        """A few at a time: the API server queues what is more."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(item: T) -> None:
            async with slots:
                await act(item)

        try:
            async with asyncio.TaskGroup() as group:
                for item in items:
                    group.create_task(one(item))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def count(self, path: str) -> int:
        """How many objects a list has: one is sent, and how many remain."""
        listed = await self.send("GET", f"{path}{'&' if '?' in path else '?'}limit=1")
        return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))

    async def wait_until(
        self, what: str, holds: Callable[[], Awaitable[bool]], timeout_seconds: float
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not await holds():
            if time.monotonic() > deadline:
                raise VoidError(f"after {timeout_seconds:.0f} s still waiting for {what}")
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def objects(lab: Lab) -> AsyncIterator[Objects]:
    connector = aiohttp.TCPConnector(ssl=tls(lab), limit=_AT_ONCE)
    agent = {"User-Agent": "bench"}
    async with aiohttp.ClientSession(connector=connector, headers=agent) as session:
        yield Objects(session, lab.api)


async def _remove_pods(lab: Lab, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"

    async with objects(lab) as api:
        await api.send("DELETE", f"{path}?gracePeriodSeconds=0")

        async def gone() -> bool:
            return await api.count(path) == 0

        await api.wait_until(f"the pods of {namespace} to go", gone, 300.0)


def remove_pods(lab: Lab, namespace: str) -> None:
    """Until they are gone, so that the next measurement does not compete with their end."""
    asyncio.run(_remove_pods(lab, namespace))
