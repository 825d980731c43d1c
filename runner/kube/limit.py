"""The client's own rate limits: a token bucket before every request, another before retries."""

import asyncio
from collections import deque
from collections.abc import Callable


class TokenBucket:
    """`burst` requests at once, `qps` a second in the long run; times are seconds of one clock.

    Tokens are counted when they are taken, not promised ahead: whatever delays a caller, no
    window of t seconds ever sees more than burst + qps * t requests.
    """

    def __init__(self, qps: float, burst: int, now: float) -> None:
        self._qps = qps
        self._burst = float(max(burst, 1))
        self._tokens = self._burst
        self._counted_at = now

    def take(self, now: float) -> float:
        """0.0 when a token was taken, else the seconds until there will be one."""
        if self._qps <= 0:
            return 0.0
        if now > self._counted_at:
            self.add((now - self._counted_at) * self._qps)
            self._counted_at = now
        # A wait that was computed exactly may come out a rounding error too short.
        if self._tokens >= 1.0 - 1e-9:
            self._tokens = max(0.0, self._tokens - 1.0)
            return 0.0
        return (1.0 - self._tokens) / self._qps

    def add(self, tokens: float) -> None:
        """More than time alone brings, up to the burst."""
        self._tokens = min(self._burst, self._tokens + tokens)


class RateLimiter:
    """First come, first served; a caller that is cancelled while waiting takes no token."""

    def __init__(self, qps: float, burst: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bucket = TokenBucket(qps, burst, clock())
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Return when one request may be sent."""
        if not self._waiting and self._bucket.take(self._clock()) == 0.0:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._timer is None:
            self._serve()
        await turn

    def deposit(self, tokens: float) -> None:
        """Something earned more than time alone brings."""
        self._bucket.add(tokens)
        if self._timer is not None:
            self._timer.cancel()
            self._serve()

    def _serve(self) -> None:
        self._timer = None
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            seconds = self._bucket.take(self._clock())
            if seconds > 0.0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(seconds, self._serve)
                return
            self._waiting.popleft().set_result(None)
