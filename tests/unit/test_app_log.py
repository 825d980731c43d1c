"""Which of a container's logs is read when it dies at that very moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runner.examine.evidence import app_log
from runner.examine.search import Search
from runner.model.examination import LogExcerpt
from runner.model.pod import Pod
from tests.unit.pods import pod, running, terminated

PIECE = 16 << 10
GONE = b"unable to retrieve container logs for containerd://2bfc7c97"


def read(given: Pod, read_log: Any, **budget: Any) -> tuple[Sequence[LogExcerpt], str]:
    ctx = SimpleNamespace(
        cluster=SimpleNamespace(read_log=read_log),
        hub=SimpleNamespace(latest=lambda _: given),
        limits=SimpleNamespace(log_read_seconds=5),
        redact=SimpleNamespace(redact_bytes=lambda data: (data.replace(b"hunter2", b"***"), ())),
    )
    name = given.spec.containers[0].name
    return asyncio.run(app_log(cast(Any, ctx), given, name, **budget))


class Kubelet:
    """Answers as it does: lines longer than 16 KiB are several to it, the first bytes win."""

    def __init__(self, log: bytes, chunk: int = 1000, begins: str = "") -> None:
        self.log, self.chunk, self.begins, self.times = log, chunk, begins, 0
        self.asked: list[tuple[int | None, int]] = []

    async def __call__(
        self, *_: Any, limit_bytes: int, tail_lines: int | None = None, timestamps: bool = False,
        **__: Any,
    ) -> AsyncIterator[bytes]:  # fmt: skip
        if timestamps:
            self.times += 1
            yield f"{self.begins} {self.log.decode()}".encode()[:limit_bytes]
            return
        self.asked.append((tail_lines, limit_bytes))
        pieces = [
            line[at : at + PIECE]
            for line in self.log.splitlines(keepends=True)
            for at in range(0, len(line), PIECE)
        ]
        data = b"".join(pieces if tail_lines is None else pieces[-tail_lines:])[:limit_bytes]
        for at in range(0, len(data), self.chunk):
            yield data[at : at + self.chunk]


def test_when_the_instance_has_ended_before_we_asked_its_own_log_is_the_last() -> None:
    """The kubelet has no log of an instance before the last one then, and says so with status 200."""
    asked: list[bool] = []

    async def read_log(*_: Any, previous: bool, **__: Any) -> AsyncIterator[bytes]:
        asked.append(previous)
        yield GONE if previous else b"fatal: no rates\n"

    (log,), problem = read(pod(running(restartCount=2)), read_log, tail_lines=9, limit_bytes=999)
    assert (log.text, log.previous, problem) == ("fatal: no rates\n", False, "")
    assert asked == [True, False]


FILLER = [b"%06d GET /orders 200 in 3 ms" % n for n in range(40_000)]
PANIC = b"panic: runtime error: index out of range [7] with length 3"
TRACE = b"goroutine 1 [running]:\nmain.main()\n\t/app/main.go:12 +0x1d"


def with_panic_at(index: int, count: int = len(FILLER)) -> bytes:
    lines = [*FILLER[:index], PANIC, TRACE, *FILLER[index:count]]
    return b"\n".join(lines) + b"\n"


# A megabyte of log, and one that comes in pieces shorter than a line.
@pytest.mark.parametrize(("count", "chunk"), [(40_000, 65_536), (4_000, 7)])
@pytest.mark.parametrize("place", [0, 1, 0.5, 0.9])
def test_the_reason_is_found_where_it_is(place: float, count: int, chunk: int) -> None:
    """The last 200 lines say nothing."""
    index = int(place * count) if 0 < place < 1 else int(place)
    kubelet = Kubelet(with_panic_at(index, count), chunk)
    (log,), problem = read(
        pod(terminated(2)), kubelet, tail_lines=200, limit_bytes=65_536, search_bytes=4 << 20
    )
    assert problem == ""
    assert log.text.encode() == b"\n".join(FILLER[count - 200 : count]) + b"\n"
    around = [*FILLER[max(index - 59, 0) : index], PANIC, TRACE, *FILLER[index : index + 7]]
    assert log.earlier.encode() == b"\n".join(around) + b"\n"
    assert kubelet.asked == [(200, 16 << 20), (None, 4 << 20)]


@pytest.mark.parametrize(
    ("log", "given"),
    [
        (with_panic_at(40_000), pod(terminated(2))),  # its end says it
        (b"\n".join(FILLER[:150]), pod(terminated(2))),  # that is all of it
        (with_panic_at(9), pod(running())),  # nothing ended
    ],
    ids=["in its end", "short", "alive"],
)
def test_nothing_is_searched_for_where_nothing_is_missing(log: bytes, given: Pod) -> None:
    kubelet = Kubelet(log)
    (found,), _ = read(given, kubelet, tail_lines=200, limit_bytes=65_536, search_bytes=4 << 20)
    assert (found.earlier, len(kubelet.asked)) == ("", 1)


def test_a_log_that_is_longer_than_the_budget_is_searched_as_far_as_that() -> None:
    for index, found in ((100, True), (39_000, False)):
        kubelet = Kubelet(with_panic_at(index))
        (log,), _ = read(
            pod(terminated(2)), kubelet, tail_lines=200, limit_bytes=65_536, search_bytes=500_000
        )
        assert (PANIC.decode() in log.earlier) is found


def test_the_log_of_another_instance_by_now_is_left_alone() -> None:
    old, new = Kubelet(with_panic_at(9)[:-1] + b" (1)\n"), Kubelet(with_panic_at(9))

    def restarted(*args: Any, tail_lines: int | None, **more: Any) -> AsyncIterator[bytes]:
        return (new if tail_lines is None else old)(*args, tail_lines=tail_lines, **more)

    (log,), _ = read(
        pod(terminated(2)), restarted, tail_lines=200, limit_bytes=65_536, search_bytes=4 << 20
    )
    assert log.earlier == ""


def test_of_long_lines_the_last_bytes_are_kept() -> None:
    """`limitBytes` of the API would keep the first ones."""
    log = b"x" * 100_000 + b"\n" + b"y" * 100_000 + b"\nKeyError: 'url'\n"
    kubelet = Kubelet(log)
    (found,), _ = read(pod(terminated(1)), kubelet, tail_lines=200, limit_bytes=1000)
    assert (found.text.encode(), found.truncated) == (log[-1000:], True)
    # Twice as much as is ever read for an end: fewer lines are asked for.
    kubelet = Kubelet((b"z" * 16_000 + b"\n") * 2100 + b"the end\n", 65_536)
    (found,), _ = read(pod(terminated(1)), kubelet, tail_lines=5000, limit_bytes=1000)
    assert found.text.encode() == b"z" * 991 + b"\nthe end\n"
    assert [lines for lines, _ in kubelet.asked] == [5000, 256]


def test_the_last_reason_of_several_counts_and_what_is_only_told_does_not() -> None:
    search = Search()
    log = b"FATAL: first\n" + b"".join(b"%d\n" % n for n in range(100)) + b"FATAL: second\nbye\n"
    search.feed(log + b"INFO the word FATAL alone is no reason\n" * 3)
    lines = search.result().splitlines()
    assert lines[:2] + lines[59:61] == [b"41", b"42", b"FATAL: second", b"bye"]
    nothing = Search()
    nothing.feed(b"\xff\xfe all is well\n" * 10_000)
    assert nothing.result() == b""
    endless = Search()
    for _ in range(1000):
        endless.feed(b"FATAL: " + b"x" * 1000)
    assert 0 < len(endless.result()) <= 64 << 10


LIVED = {"startedAt": "2026-11-28T10:00:00Z", "finishedAt": "2026-11-28T10:05:00Z"}
SHORT = {**LIVED, "finishedAt": "2026-11-28T10:00:09Z"}


@pytest.mark.parametrize(
    ("log", "times", "begins", "late", "asked"),
    [
        (b"bye\n", LIVED, "2026-11-28T10:04:02.123456789Z", 242, 1),
        (b"bye\n", LIVED, "2026-11-28T10:00:01.5Z", None, 1),
        (b"bye\n", LIVED, "unable to retrieve", None, 1),
        # It says why, or the kubelet did not look in time.
        (b"KeyError: 'url'\n", LIVED, "2026-11-28T10:04:02Z", None, 0),
        (b"bye\n", SHORT, "2026-11-28T10:00:08Z", None, 0),
    ],
)
def test_a_log_that_begins_late_may_have_been_rotated(
    log: bytes, times: dict[str, str], begins: str, late: int | None, asked: int
) -> None:
    kubelet = Kubelet(log, begins=begins)
    ended = {"exitCode": 1, "reason": "Error", **times}
    given = pod({"state": {"terminated": ended}, "containerID": "containerd://1"})
    (found,), _ = read(given, kubelet, tail_lines=200, limit_bytes=999, search_bytes=9)
    assert (found.begins_after_seconds, kubelet.times) == (late, asked)


def test_what_is_found_passes_the_choke_point_too() -> None:
    secret = b"connecting with password=hunter2\n"
    kubelet = Kubelet(secret + with_panic_at(0) + secret)
    (log,), _ = read(
        pod(terminated(2)), kubelet, tail_lines=200, limit_bytes=65_536, search_bytes=4 << 20
    )
    assert "password=***" in log.earlier
    assert "password=***" in log.text
    assert "hunter2" not in log.earlier + log.text
