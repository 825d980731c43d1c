"""Secrets in gzip, also in base64 of it, as programs print what they send or keep."""

import base64
import gzip
import random
import zlib

import pytest

from runner.redact import Redactor
from tests.unit.bombs import zeros
from tests.unit.planted import SHAPED

REDACT = Redactor(b"k" * 32)


@pytest.mark.parametrize("kind", SHAPED)
def test_a_packed_secret_goes_with_what_it_is_packed_in(kind: str) -> None:
    secret = SHAPED[kind](random.Random(kind))
    packed = gzip.compress(f"one line\nthe key is {secret}\n".encode() * 3)
    for text in (
        b"sent " + packed + b" and went",
        b"release: " + base64.b64encode(packed) + b"\n",
        base64.b64encode(base64.b64encode(packed)),
        b"cut " + packed[:-9],
    ):
        clean, redactions = REDACT.redact_bytes(text)
        assert redactions
        assert secret.encode() not in everything(clean)
        assert REDACT.redact_bytes(clean) == (clean, ())


def everything(data: bytes) -> bytes:
    """What somebody who unpacks all of it would see."""
    found = [data]
    for at in range(len(data)):
        if data[at : at + 2] == b"\x1f\x8b":
            try:
                found.append(zlib.decompressobj(31).decompress(data[at:]))
            except zlib.error:
                continue
    return b"".join(found)


def test_what_is_packed_and_no_secret_stays() -> None:
    packed = gzip.compress(b"GET /index.html 200\n" * 100)
    for text in (packed, b"x" + packed + b"\x1f\x8b\x08" + packed, base64.b64encode(packed)):
        assert REDACT.redact_bytes(text) == (text, ())


def test_what_stands_around_it_stays() -> None:
    packed = gzip.compress(b"password=hunter2x\n")
    clean, redactions = REDACT.redact_bytes(b"before\n" + packed + b"after\n")
    assert clean.startswith(b"before\n[redacted:gzip:")
    assert clean.endswith(b"]after\n")
    assert [(one.rule, one.line, one.length) for one in redactions] == [("gzip", 2, len(packed))]


def test_bombs_and_thousands_of_members_cost_little() -> None:
    bomb = zeros(200)
    for text in (bomb, bomb * 4, b"\x1f\x8b\x08" * 200_000, gzip.compress(b"x") * 20_000):
        REDACT.redact_bytes(text)


@pytest.mark.parametrize(
    "before", [b"\x1f\x8b\x08" * 16, gzip.compress(b"x\n") * 20, b"\x1f\x8b\x08 " * 4000]
)
def test_a_secret_behind_more_members_than_are_looked_at_goes_with_them(before: bytes) -> None:
    packed = gzip.compress(b"password=hunter2xZ9\n")
    for text in (before + packed, base64.b64encode(before + packed)):
        clean, redactions = REDACT.redact_bytes(b"sent " + text)
        assert b"hunter2xZ9" not in everything(clean)
        assert packed not in clean
        assert base64.b64encode(packed)[8:24] not in clean
        assert {one.rule for one in redactions} <= {"too-many", "base64", "gzip"}
        assert redactions
        assert REDACT.redact_bytes(clean) == (clean, ())
