"""Planted secrets of many kinds, in every form a pod may print them, never come out."""

import base64
import random

import pytest

from runner.redact import Redactor
from tests.unit.planted import ANYWHERE, BASE62, NAMED, SHAPED, URLS, drawn, password


def _leaks(text: str, secret: str) -> bool:
    clean, redactions = Redactor(b"k" * 32).redact_bytes(text.encode("latin-1"))
    return secret.encode() in clean or not redactions


@pytest.mark.parametrize("kind", SHAPED)
def test_a_secret_with_a_shape_goes_wherever_it_stands(kind: str) -> None:
    """Each in fourteen texts that say nothing of secrets."""
    rng = random.Random(kind)
    cases = [(form, SHAPED[kind](rng)) for form in ANYWHERE for _ in range(3)]

    leaked = [form for form, secret in cases if _leaks(form.format(secret), secret)]

    assert leaked == []


@pytest.mark.parametrize("form", NAMED)
def test_a_password_goes_wherever_a_name_tells_of_it(form: str) -> None:
    """Twenty passwords with punctuation in each form."""
    rng = random.Random(form)
    secrets = [password(rng) for _ in range(20)]

    leaked = [secret for secret in secrets if _leaks(NAMED[form].format(secret), secret)]

    assert leaked == []


@pytest.mark.parametrize("form", URLS)
def test_a_password_goes_from_a_url(form: str) -> None:
    rng = random.Random(form)
    secrets = [drawn(rng, BASE62 + "!%^*+=-_.~", rng.randint(6, 24)) for _ in range(20)]

    leaked = [secret for secret in secrets if _leaks(URLS[form].format(secret), secret)]

    assert leaked == []


# Passwords that look like something else at first.
AWKWARD = (
    "%aB3x9kz", "%s9aB3xkz", "&amp9Xyz", "$ecret9X", "${half9X", "$(half9X", "{brace9X}", "(par9X)",
    "[sq9X]", "#hash9Xy", "a,b;c&d9X", "no9X!yes", "null9Xyz", "true!9Xyz", "x9=y==", "9X9X9X9X",
    "1234567890", "12345678", "hunter", "correcthorse", "p:a:s:s9X", "a@b9Xyz", "a/b9Xyz", "/slash9X",
    "\xc3\xbc\xe9n\xef9X", "self.9Xyz", "get9X(yz", "...9X...y", "****9Xyz", "<lt9X", "a<b>c9X",
    "C0mplex|Pipe", "back\\\\slash9X", "a`b9Xyz", "~tilde9X", "^caret9X", "!bang9X", "+plus9X",
)  # fmt: skip


@pytest.mark.parametrize("form", ["env", "environ", "json", "yaml quoted pw", "pod env"])
def test_an_awkward_password_goes(form: str) -> None:
    forms = {**NAMED, "yaml quoted pw": '  password: "{0}"\n'}

    assert [each for each in AWKWARD if _leaks(forms[form].format(each), each)] == []


@pytest.mark.parametrize("form", ["log", "argv equals", "properties", "ado", "describe"])
def test_an_awkward_password_goes_without_quotes(form: str) -> None:
    awkward = [each for each in AWKWARD if each[0] not in "<(["]

    assert [each for each in awkward if _leaks(NAMED[form].format(each), each)] == []


_LONG = {**NAMED, **{f"url {name}": form for name, form in URLS.items()}}


@pytest.mark.parametrize("form", _LONG)
def test_the_same_in_base64(form: str) -> None:
    """Whatever the place within a group of three bytes at which the text begins."""
    for shift in range(3):
        rng = random.Random(form)
        text = "-" * shift + "\n" + _LONG[form].format(drawn(rng, BASE62, 16))
        encoded = base64.b64encode(text.encode("latin-1")).decode()

        clean, _ = Redactor(b"k" * 32).redact_text(f"data:\n  config: {encoded}\n  other: x\n")

        assert encoded not in clean, shift
        assert clean.startswith("data:\n  config: [redacted:base64:"), shift
        assert clean.endswith("]\n  other: x\n"), shift


@pytest.mark.parametrize("kind", SHAPED)
def test_a_secret_with_a_shape_in_base64(kind: str) -> None:
    rng = random.Random(kind)
    encoded = base64.b64encode(f"value {SHAPED[kind](rng)} end".encode()).decode()

    clean, _ = Redactor(b"k" * 32).redact_text(f"x={encoded} y")

    assert encoded not in clean
