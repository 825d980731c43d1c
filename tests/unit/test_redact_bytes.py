"""Redaction on any bytes at all: it never raises, is idempotent, and keeps every other byte."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.redact import Redactor, builtin_rules
from runner.redact.regex import compile_bytes

REDACTOR = Redactor(b"k" * 32)
MARKER = compile_bytes(rb"\[redacted:[a-z0-9-]+:[0-9a-f]{8}\]")

# What rules look for, what stands between, and our own markers: joined at random these ask more of
# the rules than random bytes ever do.
KEYWORDS = sorted({keyword.encode() for rule in builtin_rules() for keyword in rule.keywords})
PIECES = st.sampled_from([
    *KEYWORDS,
    b"=", b": ", b'":"', b'\\":\\"', b" ", b"\n", b"\0", b",", b";", b"&", b"@", b"://u:", b"'",
    b'"', b"\\", b"\\n", b"(", b")", b"]", b"}", b"--", b"- ", b"<", b">", b"</", b"hunter2x",
    b"aB3!xY7_", b"0123456789abcdef", b"A" * 64, b"x" * 300, b"cGFzc3dvcmQ9aHVudGVyMng=",
    b"-----BEGIN RSA " + b"PRIVATE KEY-----", b"-----END RSA " + b"PRIVATE KEY-----",
    b"[redacted:env-line:0123abcd]", b"[redacted:", b":0123abcd]", b"name: DB_PASSWORD", b"value: ",
    b"\xff\xfe", b"\xc3\xa9", b"\x1b[31m", b"Authorization: Bearer ", b"postgres://app:",
])  # fmt: skip
SOUP = st.lists(PIECES, max_size=60).map(b"".join)


def _kept(clean: bytes) -> list[bytes]:
    kept, at = [], 0
    for match in MARKER.finditer(clean):
        kept.append(clean[at : match.start()])
        at = match.end()
    return [*kept, clean[at:]]


def _is_made_of(data: bytes, parts: list[bytes]) -> bool:
    """Whether the parts occur in the data in this order, the first at its start and the last at
    its end."""
    at = 0
    for part in parts:
        found = data.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return data.startswith(parts[0]) and data.endswith(parts[-1])


@given(data=st.one_of(st.binary(max_size=2000), SOUP))
@settings(max_examples=600)
def test_any_bytes(data: bytes) -> None:
    clean, redactions = REDACTOR.redact_bytes(data)

    assert REDACTOR.redact_bytes(clean) == (clean, ())
    assert (clean == data) == (redactions == ())
    if MARKER.search(data) is None:
        assert _is_made_of(data, _kept(clean))


@given(
    text=st.text(st.characters(), max_size=300),
    secret=st.sampled_from(["", "password=é1ü!\ud800x "]),
)
@settings(max_examples=200)
def test_any_text(text: str, secret: str) -> None:
    """Lone surrogates, as a decoder with surrogateescape leaves them, pass through."""
    whole = f"{text}\n{secret}\n{text}"

    clean, redactions = REDACTOR.redact_text(whole)

    assert REDACTOR.redact_text(clean) == (clean, ())
    assert (
        clean.encode("utf-8", "surrogatepass")
        == REDACTOR.redact_bytes(whole.encode("utf-8", "surrogatepass"))[0]
    )
    assert redactions or clean == whole


@given(words=st.lists(st.sampled_from(["--password", "hunter2x", "-p", "a b", "", "x=1", "\n"])))
def test_a_command_line_keeps_its_words(words: list[str]) -> None:
    clean, _ = REDACTOR.redact_argv(words)

    assert len(clean) == len(words)


def test_many_megabytes_of_secrets_and_soup_end() -> None:
    """Beyond the budget whole stretches go; nothing is let through for its number."""
    rng = random.Random(2)
    secrets = [f"S3cr3t{number:05}x" for number in range(20_000)]
    rng.shuffle(secrets)
    data = "\n".join(f"user {number} password={s}" for number, s in enumerate(secrets)).encode()

    clean, redactions = REDACTOR.redact_bytes(data)

    assert b"S3cr3t" not in clean
    assert {redaction.rule for redaction in redactions} == {"pw-assigned", "too-many"}
    assert REDACTOR.redact_bytes(clean) == (clean, ())


def test_a_secret_of_a_megabyte_goes() -> None:
    data = b"before\npassword=" + b"aB3!" * 262_144 + b"\nafter\n"

    clean, redactions = REDACTOR.redact_bytes(data)

    assert clean.startswith(b"before\npassword=[redacted:pw-assigned:")
    assert clean.endswith(b"]\nafter\n")
    assert [(r.line, r.length) for r in redactions] == [(2, 4 * 262_144)]


def test_a_long_line_is_searched_to_its_end() -> None:
    """Whatever falls on the edge of what is looked at in one go."""
    for offset in range(8100, 8260, 3):
        data = b"x " * (offset // 2) + b"connect password=aB3!xY7q host=db " + b"y " * 9000

        clean, redactions = REDACTOR.redact_bytes(data)

        assert b"aB3!xY7q" not in clean
        assert len(redactions) == 1
