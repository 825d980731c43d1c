"""What is compressed or encrypted holds by chance what a rule looks for: that is no secret, and a
secret among it is one."""

import gzip
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.redact import Redactor
from tests.unit.planted import BASE62, NAMED, SHAPED, URLS, drawn, password
from tests.unit.test_bundle_scan import scanned
from tests.unit.test_redact_bytes import SOUP

REDACTOR = Redactor(b"k" * 32)


def noise(seed: object, length: int = 4096) -> bytes:
    return random.Random(f"{seed}").randbytes(length)


@pytest.mark.parametrize("seed", [12, 14, 34])
def test_random_blobs_of_20_mib_hold_no_secret(seed: int) -> None:
    """Of the seeds 0 to 39 those in which a rule matches: `pwd` or `://`, a sign, something."""
    blob = random.Random(seed).randbytes(20 << 20)
    assert scanned("artifacts/shop/web-0/p.s.tar", blob) == []


@pytest.mark.parametrize(
    "accident",
    [
        b"\xf3pwd=\x93\xf1\x8c!",
        b"\x02Pwd: \xaa\xbb",
        b"://\xa0:\xb1\xc2\xd3@",
        b"\x9cpWD:a7\xfe\x01",
    ],
)
def test_a_few_letters_are_an_accident_in_noise_alone(accident: bytes) -> None:
    for seed in range(20):
        data = noise(seed) + accident + noise(-seed - 1)
        assert REDACTOR.redact_bytes(data) == (data, ())
    for one_side in (noise(1) + accident + b"\0" * 300, b"\0" * 300 + accident + noise(1)):
        assert scanned("artifacts/core", one_side)
    assert scanned("artifacts/core", b"\0" * 300 + accident + b"\0" * 300)


@pytest.mark.parametrize(
    "secret",
    [b"pwd=hunter2", b"DB_PWD=hunt", b"password=hunter2", b"passwd:hunter", b"PASSWORD=ab",
     b"redis://:abc@db", "пароль_pwd=привет".encode(), b"token=hunter2", b'"secret":"x9Yz"'],
)  # fmt: skip
def test_a_secret_in_noise_is_found(secret: bytes) -> None:
    for seed in range(20):
        assert scanned("artifacts/heap", noise(seed) + b"\0" + secret + b"\0" + noise(-seed - 1))


@pytest.mark.parametrize("form", [*NAMED.values(), *URLS.values(), *SHAPED])
def test_no_form_of_a_secret_passes_as_noise(form: str) -> None:
    rng = random.Random(form)
    for seed in range(5):
        if form in SHAPED:
            secret = SHAPED[form](rng)
            text = f"\n{secret}\n"
        else:
            secret = drawn(rng, BASE62, 8) if form in URLS.values() else password(rng)
            text = form.format(secret)
        data = noise(seed) + text.encode("latin-1") + b"\0" + noise(-seed - 1)
        assert secret.encode() not in REDACTOR.redact_bytes(data)[0]


@given(soups=st.lists(SOUP, max_size=4), seed=st.integers())
@settings(max_examples=150)
def test_noise_is_redacted_once(soups: list[bytes], seed: int) -> None:
    data = noise(seed, 300) + b"".join(soup + noise(f"{seed}{soup!r}", 300) for soup in soups)
    clean, _ = REDACTOR.redact_bytes(data)
    assert REDACTOR.redact_bytes(clean) == (clean, ())


def test_classes_of_java_without_names_are_no_hashes() -> None:
    """They stand in every heap dump, and in stack traces."""
    names = b"\tat app.Handler$1$$Lambda$37+0x00007f4330034000.run(Unknown Source)\n"
    assert REDACTOR.redact_bytes(names * 3) == (names * 3, ())
    shadow = "root:$" + "1$abcdefgh$" + "0123456789abcdefghij./:19000:0:99999:7:::\n"
    assert scanned("artifacts/shadow", names + shadow.encode())[0].rule == "crypt-number"


def test_many_names_that_look_like_base64_of_a_keyword_cost_no_heap_dump() -> None:
    """`docl` is how base64 writes a token of GitHub; a dump of a JDK has it a thousand times."""
    name = b"\0\0\0\x46\x08/modules/jdk.javadoc/jdk/javadoc/internal/doclint/Messages.class!"
    assert scanned("artifacts/heap.hprof", (name + b"\0" * 2000) * 2000) == []


def test_a_capture_of_many_packed_answers_is_looked_through() -> None:
    line = b"2026-11-23T04:36:47Z INFO GET /index.html 200\n"
    packets = [gzip.compress(line * 300 + noise(n, 200)) for n in range(100)]
    assert scanned("artifacts/web.pcap", (b"\0" * 60).join(packets)) == []
    packets[70] = gzip.compress(line * 300 + b"DB_PASSWORD=hunter2xZ\n" + line)
    found = scanned("artifacts/web.pcap", (b"\0" * 60).join(packets))
    assert [one.rule for one in found] == ["env-line", "gzip"]
