"""What an editor says of playbooks: the real yaml-language-server with our JSON Schema."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.playbook import builtin
from runner.playbook.schema import json_schema
from tests.npm import installed

pytestmark = pytest.mark.tools

# The last one that runs on the Node.js of Debian 12.
PACKAGE = "yaml-language-server@1.19.2"
DEADLINE_SECONDS = 60
MODELINE = "# yaml-language-server: $schema="


@pytest.fixture(scope="module")
def server() -> Path:
    """The server's program, installed once into the cache folder."""
    return installed(PACKAGE) / "yaml-language-server/bin/yaml-language-server"


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """The modeline that an author writes, with the schema that `podmedic schema` prints."""
    file = tmp_path / "playbook.json"
    file.write_text(json.dumps(json_schema()))
    return f"{MODELINE}{file.as_uri()}\n"


class Editor:
    """As much of the language server protocol as it takes to open a file and wait for what is
    said of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._id = 0

    async def start(self, folder: Path) -> None:
        capabilities = {
            "workspace": {"configuration": True},
            "textDocument": {"publishDiagnostics": {}},
        }
        parameters = {
            "processId": os.getpid(),
            "rootUri": folder.as_uri(),
            "capabilities": capabilities,
        }
        await self._send({"id": self._next(), "method": "initialize", "params": parameters})
        while "result" not in await self._receive():
            pass
        await self._send({"method": "initialized", "params": {}})

    async def diagnostics(self, file: Path, text: str) -> list[str]:
        """`line:column: message` of everything the server has to say about a file."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        await self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while True:
            message = await self._receive()
            if message.get("method") != "textDocument/publishDiagnostics":
                continue
            if message["params"]["uri"] == file.as_uri():
                return [_line(each) for each in message["params"]["diagnostics"]]

    def _next(self) -> int:
        self._id += 1
        return self._id

    async def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await self._process.stdin.drain()

    async def _receive(self) -> dict[str, Any]:
        """The next message that is for us; questions of the server are answered on the way."""
        assert self._process.stdout is not None
        while True:
            head = await self._process.stdout.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.splitlines()
                if line.lower().startswith(b"content-length")
            )
            message: dict[str, Any] = json.loads(await self._process.stdout.readexactly(length))
            if "method" not in message or "id" not in message:
                return message
            answer: Any = None
            if message["method"] == "workspace/configuration":
                answer = [
                    {"validate": True, "schemaStore": {"enable": False}}
                    if item.get("section") == "yaml"
                    else {}
                    for item in message["params"]["items"]
                ]
            await self._send({"id": message["id"], "result": answer})


def _line(diagnostic: dict[str, Any]) -> str:
    start = diagnostic["range"]["start"]
    return f"{start['line'] + 1}:{start['character'] + 1}: {diagnostic['message']}"


@asynccontextmanager
async def editor(server: Path, folder: Path) -> AsyncIterator[Editor]:
    node = shutil.which("node")
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        node, server, "--stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        opened = Editor(process)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await opened.start(folder)
        yield opened
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.kill()
        await process.wait()


async def test_nothing_is_wrong_with_the_built_in_playbooks(
    server: Path, schema: str, tmp_path: Path
) -> None:
    said = {}
    async with editor(server, tmp_path) as opened:
        for path in builtin():
            text = path.read_text()
            assert text.startswith(MODELINE)
            text = schema + text.partition("\n")[2]
            async with asyncio.timeout(DEADLINE_SECONDS):
                said[path.stem] = await opened.diagnostics(tmp_path / path.name, text)
    assert said == {path.stem: [] for path in builtin()}


async def test_mistakes_are_marked(server: Path, schema: str, tmp_path: Path) -> None:
    text = f"""{schema}apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {{name: p}}
spec:
  deadlineSeconds: 0
  debugger: {{profile: privileged}}
  steps:
  - name: a
    comand: [ls]
"""
    async with editor(server, tmp_path) as opened, asyncio.timeout(DEADLINE_SECONDS):
        said = await opened.diagnostics(tmp_path / "wrong.yaml", text)
    profiles = '"auto", "restricted", "general", "baseline", "netadmin", "sysadmin"'
    assert sorted(said) == [
        "10:5: Property comand is not allowed.",
        "6:20: Value is below the minimum of 1.",
        f"7:23: Value is not accepted. Valid values: {profiles}.",
        '9:5: Missing property "run".',
    ]
