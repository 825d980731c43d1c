"""A session in a file: times, sizes, bounds, and no secrets whatever pieces they came in."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runner.redact import Redactor
from runner.shell.cast import Recorder

REDACTOR = Redactor(b"k" * 32)
SECRET = "hunter2-Zq81"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def recorded(*pieces: bytes, limit_bytes: int = 1000) -> tuple[dict[str, Any], list[Any], int]:
    """One piece a second."""
    clock = Clock()
    recorder = Recorder(clock, (100, 30), limit_bytes=limit_bytes)
    for piece in pieces:
        clock.now += 1
        recorder.output(piece)
    cast, count = recorder.cast(REDACTOR, timestamp=1_800_000_000, title="shop/web-0 podmedic-a-1")
    header, *events = (json.loads(line) for line in cast.splitlines())
    return header, events, count


def shown(events: list[Any]) -> str:
    return "".join(data for _, kind, data in events if kind == "o")


def test_a_plain_session_is_kept_as_it_was() -> None:
    header, events, count = recorded(b"$ ls\r\n", "\u00e9\x1b[1mb\x1b[0m\r\n".encode())
    assert header == {
        "version": 2, "width": 100, "height": 30, "timestamp": 1_800_000_000,
        "title": "shop/web-0 podmedic-a-1",
    }  # fmt: skip
    assert events == [[1.0, "o", "$ ls\r\n"], [2.0, "o", "\u00e9\x1b[1mb\x1b[0m\r\n"]]
    assert count == 0


def test_characters_that_came_in_pieces_are_whole() -> None:
    _, events, _ = recorded(b"a\xe2\x82", b"\xac", b"\xff")
    assert events == [[1.0, "o", "a"], [2.0, "o", "\u20ac"], [3.0, "o", "\ufffd"]]


def pieces_of(text: str) -> Iterator[bytes]:
    for character in text:
        yield character.encode()


@pytest.mark.parametrize(
    "pieces",
    [
        [f"DB_PASSWORD={SECRET}\r\n".encode()],
        list(pieces_of(f"export DB_PASSWORD={SECRET}\r\n")),
        [b"x\r\nDB_PASS", b"WORD=hunter2", b"-Zq81\r\nend\r\n"],
        [f"\x1b[1mDB_PASSWORD\x1b[0m=\x1b[32m{SECRET}\x1b[0m\r\n".encode()],
        [b"DB_PASSWORD=hunter2\x1b[K-Zq81\r\n"],
        [b"DB_PASSWORD=hunter2-\x1b[0mZq", b"81\r\n"],
    ],
    ids=["whole", "typed", "pieces", "coloured", "cursor", "both"],
)
def test_no_secret_is_kept(pieces: list[bytes]) -> None:
    _, events, count = recorded(*pieces)
    text = json.dumps(events)
    assert "hunter2" not in text
    assert "Zq81" not in text
    assert "[redacted:" in shown(events)
    assert count >= 1


def test_times_stay_near_what_they_belong_to() -> None:
    """Around a secret that is shorter than what stands in its place."""
    _, events, _ = recorded(
        b"one\r\n", f"DB_PASSWORD={SECRET}\r\n".encode(), b"two\r\n", b"three\r\n"
    )
    assert [(seconds, data) for seconds, _, data in events if "[redacted" not in data] == [
        (1.0, "one\r\n"), (3.0, "two\r\n"), (4.0, "three\r\n"),
    ]  # fmt: skip


def test_too_much_is_left_out_and_told() -> None:
    _, events, _ = recorded(b"a" * 600, b"b" * 600, b"c" * 600, limit_bytes=1000)
    assert events[:2] == [[1.0, "o", "a" * 600], [2.0, "o", "b" * 400]]
    assert events[2:] == [[2.0, "o", "\r\n[podmedic: 800 more bytes are not kept]\r\n"]]


def test_bursts_are_one_event_and_sizes_are_kept() -> None:
    clock = Clock()
    recorder = Recorder(clock, (80, 24))
    recorder.output(b"a")
    recorder.output(b"b")
    clock.now += 1
    recorder.resize(132, 43)
    recorder.output(b"c")
    cast, _ = recorder.cast(REDACTOR, timestamp=0, title="")
    assert [json.loads(line) for line in cast.splitlines()[1:]] == [
        [0.0, "o", "ab"], [1.0, "r", "132x43"], [1.0, "o", "c"],
    ]  # fmt: skip


def test_nothing_was_shown() -> None:
    assert recorded()[1] == []
