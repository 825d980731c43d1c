"""Redaction: secrets go, everything else stays byte for byte."""

import hmac

from runner.redact import Redaction, Redactor

KEY = b"k" * 32


def test_the_name_stays_and_the_value_goes() -> None:
    token = hmac.digest(KEY, b"hunter2hunter2", "sha256").hex()[:8]

    clean, redactions = Redactor(KEY).redact_text("a\nconnecting password=hunter2hunter2 tail\n")

    assert clean == f"a\nconnecting password=[redacted:pw-assigned:{token}] tail\n"
    assert redactions == (Redaction(rule="pw-assigned", line=2, length=14),)


def test_redacting_twice_changes_nothing() -> None:
    once, _ = Redactor(KEY).redact_bytes(b"\xff\x00 postgres://app:s3cr3t@db/x password: abcdef\n")

    assert Redactor(KEY).redact_bytes(once) == (once, ())
