"""What `podmedic serve` reads of whom, over a real socket, with a few lines in place of the API
server: tests/lab/test_serve.py has a real one."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.test_utils import TestServer

from runner.serve.app import MAX_SIGNED_AT_ONCE, Service
from runner.serve.auth import Auth
from runner.triggers.request import SIGNATURE, TIMESTAMP
from tests.unit.alerts import body
from tests.unit.bombs import zeros
from tests.unit.test_serve_store import World

TOKEN = "a-token-of-the-tests"


@dataclass
class Served:
    world: World
    port: int

    async def send(self, path: str, content: bytes, length: int, headers: dict[str, str]) -> int:
        """The status; of a body of `length` only `content` is ever sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            said = {"Content-Length": length, **headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            line = f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n"
            writer.write(line.encode("utf-8", "surrogateescape") + content)
            await writer.drain()
            async with asyncio.timeout(30):
                return int((await reader.readline()).split()[1])
        finally:
            writer.close()

    async def alerts(
        self, content: bytes, authorization: str = f"Bearer {TOKEN}", encoding: str = "identity"
    ) -> int:
        headers = {"Authorization": authorization, "Content-Encoding": encoding}
        return await self.send("/v1/alerts", content, len(content), headers)


@asynccontextmanager
async def served(folder: Path, *, signatures: bool = True) -> AsyncIterator[Served]:
    token, key = folder / "token", folder / "key"
    token.write_text(TOKEN)
    key.write_text("a-key-of-the-tests")
    auth = Auth(bearer_file=token, hmac_file=key if signatures else None)
    async with World() as world:
        service = Service(
            world.acceptor, world.store, auth, world.metrics, world.configuration, asyncio.Event()
        )
        async with TestServer(service.application(), host="127.0.0.1") as server:
            assert server.port is not None
            yield Served(world, server.port)


def forged() -> dict[str, str]:
    return {TIMESTAMP: str(int(time.time())), SIGNATURE: "sha256=00"}


async def test_strangers_who_claim_to_sign_leave_room_for_alertmanager(tmp_path: Path) -> None:
    """Whether they did is known when their body is there, and they send none."""
    async with served(tmp_path) as serve:
        statuses = asyncio.Queue[int]()

        async def stranger() -> None:
            statuses.put_nowait(await serve.send("/v1/runs", b"{", 1000, forged()))

        strangers = [asyncio.create_task(stranger()) for _ in range(MAX_SIGNED_AT_ONCE + 5)]
        assert [await statuses.get() for _ in range(5)] == [503] * 5
        assert await serve.alerts(body()) == 202
        assert sum(not each.done() for each in strangers) == MAX_SIGNED_AT_ONCE
        for each in strangers:
            each.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)


async def test_where_no_key_is_known_no_signed_body_is_read(tmp_path: Path) -> None:
    async with served(tmp_path, signatures=False) as serve:
        assert await serve.send("/v1/runs", b"{", 1000, forged()) == 401
    async with served(tmp_path) as serve:
        old = {**forged(), TIMESTAMP: str(int(time.time()) - 301)}
        assert await serve.send("/v1/runs", b"{", 1000, old) == 401
        assert await serve.send("/v1/alerts", b"{", 1000, {"Authorization": "Bearer x"}) == 401


async def test_headers_that_are_no_text_are_those_of_strangers(tmp_path: Path) -> None:
    async with served(tmp_path) as serve:
        assert await serve.alerts(body(), "Bearer \udcff") == 401
        assert await serve.alerts(body(), "Basic \udcff") == 401
        signed = {**forged(), SIGNATURE: "sha256=\udcff"}
        assert await serve.send("/v1/runs", b"{}", 2, signed) == 401
        assert serve.world.known() == []


async def test_a_packed_body_counts_by_what_is_in_it(tmp_path: Path) -> None:
    bomb = zeros(256)
    async with served(tmp_path) as serve:
        tracemalloc.start()
        assert await serve.alerts(bomb, encoding="gzip") == 413
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 << 20
        assert await serve.alerts(gzip.compress(body()), encoding="gzip") == 202
