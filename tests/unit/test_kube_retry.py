"""What is tried again, and what a request came to in the end."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from runner.cluster import ClusterError, ErrorReason
from runner.kube.backoff import delay_seconds
from runner.kube.limit import RateLimiter
from runner.kube.retry import FailedAttemptError, Retrier, RetryPolicy, outcome

QUICK = RetryPolicy(base_seconds=0.0, cap_seconds=0.0)


def failed(
    reason: ErrorReason, status: int | None = None, *, final: bool = False
) -> FailedAttemptError:
    return FailedAttemptError(ClusterError(reason, reason, status=status), final=final)


LOST = failed(ErrorReason.UNREACHABLE)
BUSY = failed(ErrorReason.THROTTLED, 429)
BROKEN = failed(ErrorReason.SERVER, 500)
GONE = failed(ErrorReason.GONE, 404, final=True)


def attempts(*results: FailedAttemptError | str) -> tuple[Callable[[], Awaitable[str]], list[str]]:
    """An attempt that comes to the next of these each time, and what was left when."""
    left = list(results)
    made: list[str] = []

    async def attempt() -> str:
        result = left.pop(0)
        made.append(str(result))
        if isinstance(result, FailedAttemptError):
            raise failed(result.error.reason, result.error.status, final=result.final)
        return result

    return attempt, made


async def run(*results: FailedAttemptError | str, answered: bool = True) -> tuple[str, int]:
    """The answer or the reason there was none, and the number of attempts."""
    now = asyncio.get_running_loop().time
    retrier = Retrier(QUICK, RateLimiter(0, 1, now), qps=0)
    # What all requests together may is another test's.
    retrier.budget = RateLimiter(0, 1, now)
    retrier.answered = answered
    attempt, made = attempts(*results)
    try:
        return await retrier.run(attempt), len(made)
    except ClusterError as error:
        return error.reason, len(made)


async def test_what_may_pass_is_tried_again() -> None:
    """Up to five times in all."""
    assert await run("ok") == ("ok", 1)
    assert await run(BUSY, BROKEN, LOST, BUSY, "ok") == ("ok", 5)
    assert await run(BROKEN, BROKEN, BROKEN, BROKEN, BROKEN, "ok") == ("ServerError", 5)


async def test_what_is_final_is_not() -> None:
    """At once, or after something else."""
    assert await run(GONE, "ok") == ("PodGone", 1)
    assert await run(BROKEN, GONE, "ok") == ("PodGone", 2)


async def test_no_answer_is_borne_longer_unless_there_never_was_one() -> None:
    """An API server that restarts against an address that is wrong."""
    assert await run(*[LOST] * 79, "ok") == ("ok", 80)
    assert await run(*[LOST] * 80, "ok") == ("Unreachable", 80)
    assert await run(LOST, LOST, "ok", answered=False) == ("ok", 3)
    assert await run(LOST, LOST, LOST, "ok", answered=False) == ("Unreachable", 3)


async def test_the_budget_of_all_retries_ends_a_request_in_time() -> None:
    """Nothing is asked for ever when others use the retries up."""
    policy = RetryPolicy(base_seconds=0.0, cap_seconds=0.0, total_seconds=0.05)
    retrier = Retrier(policy, RateLimiter(0, 1, asyncio.get_running_loop().time), qps=1.0)
    for _ in range(10):
        await retrier.budget.wait()
    attempt, made = attempts(BROKEN, "too late")

    with pytest.raises(ClusterError) as caught:
        await retrier.run(attempt)

    assert caught.value.reason is ErrorReason.SERVER
    assert made == ["ServerError"]


def test_the_policy_ends_at_its_total() -> None:
    """The next attempt has to begin within it."""
    policy = RetryPolicy(total_seconds=60.0)

    assert policy.allows_another(BUSY, 1, 60.0, answered=True)
    assert not policy.allows_another(BUSY, 1, 60.1, answered=True)


def test_s31_three_minutes_without_an_api_server_are_borne() -> None:
    """Whatever chance makes of the pauses; and it ends."""
    policy, chance = RetryPolicy(), random.Random(31)
    for _ in range(200):
        seconds, attempts, pause = 0.0, 1, 0.0
        while policy.allows_another(LOST, attempts, seconds + pause, answered=True):
            seconds, attempts = seconds + pause, attempts + 1
            pause = delay_seconds(
                attempts, chance.random(),
                base_seconds=policy.base_seconds, cap_seconds=policy.cap_seconds,
            )  # fmt: skip
        assert 180.0 < seconds <= 200.0


@pytest.mark.parametrize(
    ("failures", "last_word"),
    [
        ([BUSY], BUSY),
        ([LOST, BUSY, BUSY], LOST),
        ([BUSY, BROKEN, BUSY], BROKEN),
        ([LOST, BROKEN], BROKEN),
        ([LOST, GONE], GONE),
    ],
)
def test_what_may_have_been_done_is_not_called_throttled(
    failures: list[FailedAttemptError], last_word: FailedAttemptError
) -> None:
    """A PATCH whose answer was lost may be in force, whatever a 429 says of its repetition."""
    assert outcome(failures) is last_word
