"""Private keys: the one secret that spans lines, whole or cut."""

import random
import re

import pytest

from runner.redact import Redactor

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
KINDS = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "PGP ")


def _lines(seed: int, count: int = 6) -> list[str]:
    rng = random.Random(seed)
    lines = ["".join(rng.choices(_BASE64, k=64)) for _ in range(count)]
    return [*lines, "".join(rng.choices(_BASE64, k=22)) + "=="]


def _marks(kind: str) -> tuple[str, str]:
    block = " BLOCK" if kind == "PGP " else ""
    return tuple(f"-----{word} {kind}PRIVATE" + f" KEY{block}-----" for word in ("BEGIN", "END"))  # type: ignore[return-value]


def _masked(text: str) -> str:
    clean = Redactor(b"k").redact_text(text)[0]
    return re.sub(r"\[redacted:pem:[0-9a-f]{8}\]", "*", clean)


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_goes_and_the_marks_stay(kind: str) -> None:
    begin, end = _marks(kind)

    text = "\n".join(["before", begin, *_lines(1), end, "after"])

    assert _masked(text) == f"before\n{begin}\n*\n{end}\nafter"


def test_headers_within_go_too() -> None:
    begin, end = _marks("RSA ")
    headers = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-256-CBC,0123456789ABCDEF", ""]

    text = "\n".join([begin, *headers, *_lines(2), end])

    assert _masked(text) == f"{begin}\n*\n{end}"


def test_on_one_line_with_line_ends_written_out() -> None:
    begin, end = _marks("")
    key = "\\n".join([begin, *_lines(3), end, ""])

    assert _masked(f'{{"type":"service_account","k":"{key}","x":1}}') == (
        f'{{"type":"service_account","k":"{begin}\\n*\\n{end}\\n","x":1}}'
    )


def test_behind_time_stamps() -> None:
    begin, end = _marks("EC ")
    stamp = "2025-11-23T04:36:47.123456789Z stdout F "

    text = "\n".join(stamp + line for line in ["before", begin, *_lines(4), end, "after"])

    clean = _masked(text)
    assert not [line for line in _lines(4) if line in clean]
    assert clean.splitlines()[0] == stamp + "before"
    assert clean.splitlines()[-1] == stamp + "after"


def test_indented_in_yaml() -> None:
    begin, end = _marks("RSA ")
    text = "tls.key: |\n" + "\n".join("    " + line for line in [begin, *_lines(5), end]) + "\nx: 1"

    assert _masked(text) == f"tls.key: |\n    {begin}\n    *\n    {end}\nx: 1"


@pytest.mark.parametrize("prefix", ["", "2025-11-23T04:36:47.123Z stdout F ", "    ", "> "])
def test_a_key_whose_beginning_is_cut_off(prefix: str) -> None:
    """The end of a log may begin in the middle of a key."""
    _, end = _marks("RSA ")
    text = "\n".join(prefix + line for line in [*_lines(6), end, "server started"])

    clean = _masked(text)

    assert not [line for line in _lines(6) if line in clean]
    assert clean.endswith(f"{end}\n{prefix}server started")


@pytest.mark.parametrize("prefix", ["", "2025-11-23T04:36:47.123Z stdout F ", "    "])
def test_a_key_whose_end_is_cut_off(prefix: str) -> None:
    begin, _ = _marks("RSA ")
    lines = [begin, *_lines(7)[:-1], "QUJDREVG"]

    clean = _masked("\n".join(prefix + line for line in lines))

    assert not [line for line in lines[1:-1] if line in clean]


def test_a_key_that_never_ends_does_not_take_the_log_with_it() -> None:
    begin, _ = _marks("RSA ")
    text = "\n".join([begin, *_lines(8), "2025 INFO server started", "2025 INFO listening"])

    assert _masked(text) == f"{begin}\n*\n2025 INFO server started\n2025 INFO listening"


def test_certificates_and_public_keys_stay() -> None:
    text = "\n".join(
        ["-----BEGIN CERTIFICATE-----", *_lines(9), "-----END CERTIFICATE-----",
         "-----BEGIN PUBLIC KEY-----", *_lines(10), "-----END PUBLIC KEY-----"]
    )  # fmt: skip

    assert Redactor(b"k").redact_text(text) == (text, ())
