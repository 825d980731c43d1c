"""Every fault of the proxy, as a plain HTTP client sees it before the real API server."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, Match, Seen, service_account_token

# One loop for the module: it has the time to end what faults leave half closed.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def shared(lab: Lab) -> Iterator[tuple[str, str]]:
    """A namespace, and a token that may do all in it."""
    with lab.namespace("proxy") as name:
        yield name, service_account_token(lab, name)


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as running:
        yield running


class Client:
    """ConfigMaps of one namespace, through the proxy; retries nothing."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self.session = session
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def get(self, **query: str) -> tuple[int, Any]:
        async with self.session.get(self.path, params=query) as answer:
            return answer.status, json.loads(await answer.read())

    async def patch(self, name: str, value: str) -> int:
        """Server-side apply: makes the ConfigMap or changes it."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"value": value},
        }
        async with self.session.patch(
            f"{self.path}/{name}",
            params={"fieldManager": "test", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            data=json.dumps(body),
        ) as answer:
            return answer.status

    async def value(self, name: str) -> str | None:
        async with self.session.get(f"{self.path}/{name}") as answer:
            value: str | None = (await answer.json()).get("data", {}).get("value")
            return value

    def watch(self, **query: str) -> Any:
        return self.session.get(self.path, params={"watch": "true", **query})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closings() -> AsyncIterator[None]:
    """As aiohttp advises: TLS connections need a moment to be gone, and tell nobody when."""
    yield
    await asyncio.sleep(0.25)


@pytest_asyncio.fixture(loop_scope="module")
async def client(
    proxy: FaultProxy, shared: tuple[str, str], closings: None
) -> AsyncIterator[Client]:
    namespace, token = shared
    context = ssl.create_default_context(cafile=str(proxy.ca))
    async with aiohttp.ClientSession(
        proxy.url,
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=context),
        timeout=aiohttp.ClientTimeout(total=30),
    ) as session:
        yield Client(session, namespace)


async def events(answer: aiohttp.ClientResponse, count: int) -> list[dict[str, Any]]:
    return [json.loads(await answer.content.readline()) for _ in range(count)]


async def test_the_token_reaches_the_api_server(client: Client, shared: tuple[str, str]) -> None:
    async with client.session.post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    ) as answer:
        review = await answer.json()
    assert review["status"]["userInfo"]["username"] == f"system:serviceaccount:{shared[0]}:proxied"


async def test_kubectl_through_its_kubeconfig(
    lab: Lab, proxy: FaultProxy, shared: tuple[str, str], tmp_path: Path
) -> None:
    namespace, token = shared
    config = proxy.kubeconfig(tmp_path / "config", token=token, namespace=namespace)
    # It blocks this loop: the proxy has its own.
    listed = lab.kubectl("--kubeconfig", str(config), "get", "serviceaccounts", "-o", "name")
    assert "serviceaccount/proxied" in listed.split()
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    assert [seen.method for seen in proxy.requests(Match(path=path))] == ["GET"]


async def test_a_watch_is_passed_on_event_by_event(client: Client) -> None:
    async with client.watch(fieldSelector="metadata.name=live", timeoutSeconds="20") as answer:
        for number in range(3):
            assert await client.patch("live", str(number)) in (200, 201)
            (event,) = await events(answer, 1)
            assert event["object"]["data"] == {"value": str(number)}


async def test_a_dropped_response_was_applied(client: Client, proxy: FaultProxy) -> None:
    fault = Fault.drop_response(method="PATCH", path=".*/configmaps/dropped")
    proxy.add(fault)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.patch("dropped", "applied")
    assert await client.value("dropped") == "applied"
    assert [seen.path for seen in proxy.struck(fault)] == [f"{client.path}/dropped"]
    assert await client.patch("dropped", "again") == 200


async def test_a_dropped_request_was_not_applied(client: Client, proxy: FaultProxy) -> None:
    proxy.add(Fault.drop_request(method="PATCH"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.patch("never", "applied")
    assert await client.value("never") is None


async def test_too_many_requests(client: Client, proxy: FaultProxy) -> None:
    proxy.add(Fault.too_many_requests(retry_after_seconds=7, times=2))
    for _ in range(2):
        async with client.session.get(client.path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert (await client.get())[0] == 200


@pytest.mark.parametrize(("code", "reason"), [(500, "InternalError"), (503, "ServiceUnavailable")])
async def test_errors_with_a_status(
    client: Client, proxy: FaultProxy, code: int, reason: str
) -> None:
    proxy.add(Fault.status(code, reason, "etcdserver: leader changed"))
    status, body = await client.get()
    assert status == code
    assert body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "etcdserver: leader changed",
        "reason": reason,
        "code": code,
    }
    assert (await client.get())[0] == 200


async def test_expired_at_the_start_of_a_watch(client: Client, proxy: FaultProxy) -> None:
    proxy.add(Fault.expired_watch())
    assert (await client.get())[0] == 200
    async with client.watch() as answer:
        assert (answer.status, (await answer.json())["reason"]) == (410, "Expired")
    async with client.watch(timeoutSeconds="1") as answer:
        assert answer.status == 200


async def test_expired_in_the_middle_of_a_watch(client: Client, proxy: FaultProxy) -> None:
    await client.patch("one", "1")
    await client.patch("two", "2")
    proxy.add(Fault.expired_event(after_events=1))
    async with client.watch() as answer:
        added, error = await events(answer, 2)
        assert await answer.content.read() == b""
    assert added["type"] == "ADDED"
    assert (error["type"], error["object"]["code"]) == ("ERROR", 410)


async def test_expired_continue(client: Client, proxy: FaultProxy) -> None:
    await client.patch("one", "1")
    await client.patch("two", "2")
    proxy.add(Fault.expired_continue())
    _, first = await client.get(limit="1")
    token = first["metadata"]["continue"]
    status, body = await client.get(**{"limit": "1", "continue": token})
    assert (status, body["reason"]) == (410, "Expired")
    assert (await client.get(**{"limit": "1", "continue": token}))[0] == 200


async def test_an_answer_cut_after_bytes(client: Client, proxy: FaultProxy) -> None:
    proxy.add(Fault.cut(after_bytes=10))
    received = b""
    async with client.session.get(client.path) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async for chunk in answer.content.iter_any():
                received += chunk
    assert len(received) == 10
    status, body = await client.get()
    assert (status, body["kind"]) == (200, "ConfigMapList")


async def test_a_watch_cut_after_seconds(client: Client, proxy: FaultProxy) -> None:
    await client.patch("one", "1")
    proxy.add(Fault.cut(after_seconds=0.3, query={"watch": "true"}, times=None))
    for _ in range(2):
        async with client.watch(fieldSelector="metadata.name=one") as answer:
            (event,) = await events(answer, 1)
            assert event["object"]["metadata"]["name"] == "one"
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read()


async def test_a_half_open_watch_is_silent(client: Client, proxy: FaultProxy) -> None:
    await client.patch("one", "1")
    proxy.add(Fault.half_open(after_seconds=0.3, query={"watch": "true"}))
    async with client.watch(fieldSelector="metadata.name=one") as answer:
        await events(answer, 1)
        await asyncio.sleep(0.5)
        await client.patch("one", "unheard of")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.read(1), 1)
        assert answer.connection is not None
        assert not answer.content.at_eof()
        # A peer that is silent would not answer the farewell of TLS.
        answer.connection.transport.abort()


async def test_latency_comes_before_another_fault(client: Client, proxy: FaultProxy) -> None:
    proxy.add(Fault.latency(0.4, times=None), Fault.too_many_requests())
    started = time.monotonic()
    async with client.session.get(client.path) as answer:
        assert answer.status == 429
    assert time.monotonic() - started >= 0.4
    proxy.clear()
    assert (await client.get())[0] == 200


async def test_requests_are_counted_and_waited_for(client: Client, proxy: FaultProxy) -> None:
    waiting = asyncio.create_task(
        asyncio.to_thread(proxy.wait_for, Match("GET", query={"limit": "[0-9]+"}), count=2)
    )
    await client.get()
    await client.get(limit="1")
    assert not waiting.done()
    await client.get(limit="2")
    await waiting
    assert proxy.requests() == [
        Seen("GET", client.path, {}),
        Seen("GET", client.path, {"limit": "1"}),
        Seen("GET", client.path, {"limit": "2"}),
    ]
    with pytest.raises(TimeoutError):
        proxy.wait_for(Match("DELETE"), timeout_seconds=0.1)


async def test_usable_in_async_code(lab: Lab, shared: tuple[str, str]) -> None:
    async with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as running:
        context = ssl.create_default_context(cafile=str(running.ca))
        # Anyone may ask for the version: the API server's own answer, without a token.
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{running.url}/version", ssl=context) as answer,
        ):
            assert (await answer.json())["major"] == "1"
