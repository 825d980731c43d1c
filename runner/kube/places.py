"""How many requests have a connection at a time."""

import asyncio


class Places:
    """`few` while they are enough, for each connection more costs a handshake. As long as somebody
    waits, a few more every `patience_seconds`, `most` in all."""

    def __init__(self, few: int, most: int, patience_seconds: float) -> None:
        self.count = few
        self._step = few
        self._most = most
        self._patience_seconds = patience_seconds
        self._free = asyncio.Semaphore(few)
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        if self._free.locked() and self._timer is None:
            self._wait_on()
        await self._free.acquire()

    def give_back(self) -> None:
        self._free.release()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait_on(self) -> None:
        if self.count < self._most:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._patience_seconds, self._grow)

    def _grow(self) -> None:
        self._timer = None
        if not self._free.locked():
            return
        more = min(self._step, self._most - self.count)
        self.count += more
        for _ in range(more):
            self._free.release()
        self._wait_on()
