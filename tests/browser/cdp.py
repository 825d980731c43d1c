"""A real headless Chromium, spoken to over its DevTools protocol."""

import asyncio
import base64
import itertools
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-port=0", "--window-size=1280,900",
)  # fmt: skip
DEADLINE_SECONDS = 60
Json = dict[str, Any]


class PageError(Exception):
    """What the page's own script threw, or the browser's refusal of a command."""


class Browser:
    """A running Chromium: sends commands, hands answers and events to the tab they are for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._pages: dict[str, Page] = {}

    async def send(self, method: str, session_id: str = "", **params: Any) -> Json:
        number = next(self._numbers)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message: Json = {"id": number, "method": method, "params": params}
        if session_id:
            message["sessionId"] = session_id
        await self._socket.send_json(message)
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await answer

    async def listen(self) -> None:
        async for message in self._socket:
            data = message.json()
            if future := self._waiting.pop(data.get("id", 0), None):
                if "error" in data:
                    future.set_exception(PageError(data["error"]["message"]))
                else:
                    future.set_result(data["result"])
            elif page := self._pages.get(data.get("sessionId", "")):
                page.note(data["method"], data["params"])

    @asynccontextmanager
    async def page(self) -> AsyncIterator["Page"]:
        """An empty tab, closed at the end. Our pages store nothing that it could share with the one
        before; a context of its own would be a third of a second of CPU for each test."""
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.send(f"{domain}.enable")
        try:
            yield page
        finally:
            del self._pages[attached["sessionId"]]
            await self.send("Target.closeTarget", targetId=target["targetId"])


class Page:
    """One tab. `complaints` are console messages, exceptions and policy violations; `requests`
    every address asked for besides the page itself; `dialogs` what tried to pop up."""

    def __init__(self, browser: Browser, session_id: str) -> None:
        self._browser = browser
        self._session_id = session_id
        self._events: dict[str, asyncio.Event] = {}
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []

    async def send(self, method: str, **params: Any) -> Json:
        return await self._browser.send(method, self._session_id, **params)

    async def open(self, url: str) -> None:
        """Returns when the page has loaded, afresh, and its script is ready."""
        await self.navigate("about:blank")
        await self.navigate(url)
        await self.evaluate(
            """new Promise((resolve) => {
                const root = document.documentElement;
                const look = () => root.dataset.ready && resolve(true);
                new MutationObserver(look).observe(root, {attributes: true});
                look();
            })"""
        )

    async def navigate(self, url: str) -> None:
        self._events["Page.loadEventFired"] = asyncio.Event()
        await self.send("Page.navigate", url=url)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self._events["Page.loadEventFired"].wait()

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    async def painted(self) -> None:
        """Returns when what was asked for before is on the screen."""
        await self.evaluate(
            "new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))"
        )

    async def press(self, key: str) -> None:
        """A key as a person presses it: `j`, `Enter`, `Escape`."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        codes = {"Enter": 13, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent",
                type=kind, key=key, windowsVirtualKeyCode=codes.get(key, 0), **text,
            )  # fmt: skip
        await self.painted()

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)
        await self.painted()

    async def screenshot(self) -> bytes:
        """All of the page, also what is below the window, as PNG."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def note(self, method: str, params: Json) -> None:
        if event := self._events.get(method):
            event.set()
        if method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{params['type']}: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {params['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"log: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent" and params.get("type") != "Document":
            self.requests.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    """A browser of its own, with its data in `profile`, which ends with the context."""
    process = await asyncio.create_subprocess_exec(
        "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stderr
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            address = await _address(process.stderr)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            browser = Browser(socket)
            tasks = [
                asyncio.create_task(_drain(process.stderr)),
                asyncio.create_task(browser.listen()),
            ]
            try:
                yield browser
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(stderr: asyncio.StreamReader) -> str:
    said = b""
    async for line in stderr:
        said += line
        if found := re.match(rb"DevTools listening on (ws://\S+)", line):
            return found.group(1).decode()
    raise PageError(f"chromium did not start: {said.decode(errors='replace')}")


async def _drain(stderr: asyncio.StreamReader) -> None:
    async for _line in stderr:
        pass
