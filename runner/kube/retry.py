"""Trying again: which failures, how often, how long, and how much all of it may add to the load."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from runner.cluster import ClusterError, ErrorReason
from runner.kube.backoff import delay_seconds
from runner.kube.limit import RateLimiter

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

# What all retries together may add to the load: a tenth of the requests, a tenth of the rate.
_RETRIES_PER_REQUEST = 0.1
_RETRIES_AT_ONCE = 10
_RETRIES_PER_SECOND = 5.0


class FailedAttemptError(Exception):
    """One attempt came to nothing; `final` when another one is useless."""

    def __init__(
        self, error: ClusterError, *, final: bool, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.final = final
        self.retry_after_seconds = retry_after_seconds


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long one request is tried; waiting for the rate limit does not count.

    Without an answer it is tried more often and longer than with one: an API server that is
    restarted or upgraded refuses connections for minutes, all of them at once, and costs nothing
    meanwhile. A server that never answered yet is more likely the wrong one.
    """

    attempts: int = 5
    attempts_without_answer: int = 80
    attempts_before_first_answer: int = 3
    total_seconds: float = 60.0
    total_seconds_without_answer: float = 200.0
    base_seconds: float = 0.5
    cap_seconds: float = 8.0

    def allows_another(
        self, failed: FailedAttemptError, attempts: int, seconds: float, *, answered: bool
    ) -> bool:
        """After so many attempts, when the next one would begin `seconds` after the first."""
        most = self.attempts
        if failed.error.status is None:
            most = self.attempts_without_answer if answered else self.attempts_before_first_answer
        return not failed.final and attempts < most and seconds <= self.bound_seconds(failed)

    def bound_seconds(self, failed: FailedAttemptError) -> float:
        if failed.error.status is None:
            return self.total_seconds_without_answer
        return self.total_seconds


def outcome(failures: Sequence[FailedAttemptError]) -> FailedAttemptError:
    """What a request came to whose attempts all failed: the last word of the server, but for a
    429, which says nothing of an earlier attempt that may have been carried out."""
    last = failures[-1]
    if last.error.reason is not ErrorReason.THROTTLED:
        return last
    open_ones = (ErrorReason.UNREACHABLE, ErrorReason.SERVER)
    return next((one for one in failures if one.error.reason in open_ones), last)


class Retrier:
    """Sends requests again for one client. `limiter` goes before each attempt."""

    def __init__(self, policy: RetryPolicy, limiter: RateLimiter, qps: float) -> None:
        loop = asyncio.get_running_loop()
        per_second = max(1.0, qps / 10) if qps > 0 else _RETRIES_PER_SECOND
        self.policy = policy
        self.limiter = limiter
        self.budget = RateLimiter(per_second, _RETRIES_AT_ONCE, loop.time)
        self.answered = False

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Until there is an answer, or the policy has enough of it; raises ClusterError."""
        self.budget.deposit(_RETRIES_PER_REQUEST)
        trial = _Trial(self, attempt)
        # Tenacity costs more CPU than a whole request: it only gets to see those that failed.
        with suppress(FailedAttemptError):
            return await trial.once()
        if not trial.failures[0].final:
            import tenacity  # noqa: PLC0415  (a start without it is quicker)

            again = tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(FailedAttemptError),
                wait=trial.wait,
                stop=trial.is_over,
                reraise=True,
            )
            with suppress(FailedAttemptError):
                return await again(trial.first_or_next)
        failed = outcome(trial.failures)
        raise failed.error from failed.__cause__


class _Trial(Generic[T]):
    """The attempts of one request."""

    def __init__(self, retrier: Retrier, attempt: Callable[[], Awaitable[T]]) -> None:
        self._retrier = retrier
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._waited_seconds = 0.0
        self._is_replayed = False
        self.failures: list[FailedAttemptError] = []

    async def once(self) -> T:
        waiting_since = self._loop.time()
        await self._retrier.limiter.wait()
        self._waited_seconds += self._loop.time() - waiting_since
        try:
            return await self._attempt()
        except FailedAttemptError as failed:
            self.failures.append(failed)
            raise

    async def first_or_next(self) -> T:
        """The first failure again, as tenacity's first attempt; after that real ones."""
        if not self._is_replayed:
            self._is_replayed = True
            raise self.failures[0]
        try:
            most = self._retrier.policy.bound_seconds(self.failures[-1])
            async with asyncio.timeout(most - self._spent_seconds):
                await self._retrier.budget.wait()
        except TimeoutError:
            self.failures[-1].final = True
            raise self.failures[-1] from self.failures[-1].__cause__
        return await self.once()

    @property
    def _spent_seconds(self) -> float:
        return self._loop.time() - self._began_at - self._waited_seconds

    def wait(self, state: "tenacity.RetryCallState") -> float:
        policy = self._retrier.policy
        return delay_seconds(
            state.attempt_number,
            random.random(),  # noqa: S311
            base_seconds=policy.base_seconds,
            cap_seconds=policy.cap_seconds,
            retry_after_seconds=self.failures[-1].retry_after_seconds,
        )

    def is_over(self, state: "tenacity.RetryCallState") -> bool:
        return not self._retrier.policy.allows_another(
            self.failures[-1],
            state.attempt_number,
            self._spent_seconds + state.upcoming_sleep,
            answered=self._retrier.answered,
        )
