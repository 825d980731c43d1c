"""The client's own rate limit, its waits after failures, and lines out of chunks."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.kube.backoff import delay_seconds, retry_after
from runner.kube.limit import RateLimiter, TokenBucket
from runner.kube.lines import LineSplitter, LineTooLongError
from runner.kube.watch import Pacer


def test_the_burst_is_free_and_the_rest_waits_its_turn() -> None:
    """Three at once, then one each half second."""
    bucket = TokenBucket(2.0, 3, now=100.0)

    waits = [bucket.take(100.0) for _ in range(4)]

    assert waits == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(100.25) == pytest.approx(0.25)
    assert bucket.take(100.5) == 0.0
    assert bucket.take(100.5) == pytest.approx(0.5)


def test_no_limit() -> None:
    """A rate of 0 or less lets everything through."""
    bucket = TokenBucket(0.0, 1, now=0.0)

    assert [bucket.take(0.0) for _ in range(1000)] == [0.0] * 1000


@given(
    qps=st.floats(0.5, 500.0),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=150),
)
def test_no_window_sees_more_than_it_may(qps: float, burst: int, steps: list[float]) -> None:
    """However callers are delayed: burst + qps * t in any window of t seconds."""
    bucket, now, sent = TokenBucket(qps, burst, now=0.0), 0.0, []
    for step in steps:
        now += step
        if bucket.take(now) == 0.0:
            sent.append(now)

    for first in range(len(sent)):
        for last in range(first, len(sent)):
            allowed = burst + qps * (sent[last] - sent[first])
            assert last - first + 1 <= allowed + 1e-6


@given(qps=st.floats(0.5, 500.0), burst=st.integers(1, 50), count=st.integers(1, 300))
def test_who_waits_as_told_loses_nothing(qps: float, burst: int, count: int) -> None:
    """The rate asked for is used to the full: the n-th request goes at (n - burst) / qps."""
    bucket, now = TokenBucket(qps, burst, now=0.0), 0.0
    for _ in range(count):
        while (wait := bucket.take(now)) > 0.0:
            now += wait

    assert now == pytest.approx(max(0, count - burst) / qps, abs=1e-6)


async def test_a_deposit_lets_someone_through_at_once() -> None:
    """Whoever waits for a slow bucket goes when a whole token was earned otherwise."""
    limiter = RateLimiter(0.0001, 1, _Clock())
    await limiter.wait()
    waiting = asyncio.create_task(limiter.wait())
    await asyncio.sleep(0)

    limiter.deposit(0.5)
    await asyncio.sleep(0)
    too_early = waiting.done()
    limiter.deposit(0.5)
    await waiting

    assert not too_early


async def test_first_come_first_served() -> None:
    """Those who wait go in the order in which they came, and who gives up takes no token."""
    clock = _Clock()
    limiter = RateLimiter(1000.0, 1, clock)
    order: list[int] = []

    async def request(number: int) -> None:
        await limiter.wait()
        order.append(number)

    await limiter.wait()
    tasks = [asyncio.create_task(request(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    while not all(task.done() for task in tasks):
        clock.now += 0.001
        await asyncio.sleep(0.001)

    assert order == [0, 2, 3, 4]


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(failures=st.integers(1, 1000), draw=st.floats(0.0, 0.999))
def test_waits_grow_to_a_cap(failures: int, draw: float) -> None:
    """Full jitter: anything between nothing and the ceiling."""
    seconds = delay_seconds(failures, draw, base_seconds=0.5, cap_seconds=8.0)

    assert 0.0 <= seconds <= min(8.0, 0.5 * 2 ** min(failures - 1, 30))


def test_the_ceilings() -> None:
    """0.5, 1, 2, 4, 8, 8 seconds at most."""
    ceilings = [delay_seconds(n, 1.0, base_seconds=0.5, cap_seconds=8.0) for n in range(1, 7)]

    assert ceilings == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


@given(asked=st.floats(0.0, 60.0), draw=st.floats(0.0, 0.999), failures=st.integers(1, 20))
def test_never_earlier_than_the_server_asks(asked: float, draw: float, failures: int) -> None:
    """Retry-After is the least, with at most a second of jitter on top."""
    seconds = delay_seconds(
        failures, draw, base_seconds=0.5, cap_seconds=8.0, retry_after_seconds=asked
    )

    assert asked <= seconds <= asked + 1.0


def test_a_server_cannot_stop_us_for_hours() -> None:
    """A Retry-After of a day counts as a minute."""
    seconds = delay_seconds(1, 0.0, base_seconds=0.5, cap_seconds=8.0, retry_after_seconds=86400.0)

    assert seconds == 60.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("1", 1.0),
        (" 30 ", 30.0),
        ("", None),
        ("-1", None),
        ("²", None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("9" * 400, 999999.0),
    ],
)
def test_retry_after_header(header: str | None, seconds: float | None) -> None:
    """Whole seconds, or nothing we can use."""
    assert retry_after(header) == seconds


@given(lines=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b""))), data=st.data())
def test_lines_do_not_depend_on_chunks(lines: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, the same lines come out; half a line at the end does not."""
    stream = b"".join(line + b"\n" for line in lines) + b"half"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    splitter, out = LineSplitter(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += splitter.feed(stream[start:end])

    assert out == [line for line in lines if line]


def test_a_long_line_in_small_chunks() -> None:
    """1.5 MB, the largest object there is, comes whole."""
    line, splitter = b"x" * 1_500_000, LineSplitter()
    out: list[bytes] = []
    for start in range(0, len(line), 1000):
        out += splitter.feed(line[start : start + 1000])
    out += splitter.feed(b"\nrest")

    assert out == [line]


def test_a_line_without_end() -> None:
    """What never ends is given up at the limit, not collected for ever."""
    splitter = LineSplitter(limit=100)
    assert splitter.feed(b"x" * 100) == []

    with pytest.raises(LineTooLongError, match="a line is longer than 100 bytes"):
        splitter.feed(b"x")


def test_a_quiet_watch_is_read_at_once_and_a_busy_one_in_batches() -> None:
    """A hundred lines a second make the difference, judged second by second."""
    pacer, pauses = Pacer(now=0.0), []
    for second, lines in enumerate([10, 500, 500, 20, 20], start=1):
        pauses.append(pacer.pause_seconds(float(second), lines))

    assert pauses == [0.0, 0.1, 0.1, 0.0, 0.0]


def test_a_reader_that_may_wait_gets_batches_sooner() -> None:
    """From ten lines a second on, for as long as it may."""
    pacer, pauses = Pacer(now=0.0), []
    for second, lines in enumerate([10, 11, 60, 500, 60], start=1):
        pauses.append(pacer.pause_seconds(float(second), lines, may_wait=True))
    pauses.append(pacer.pause_seconds(5.1, 6, may_wait=False))

    assert pauses == [0.0, 0.2, 0.2, 0.1, 0.2, 0.0]
