"""What comes out: markers, the account of them, echoes, and the command line."""

import hmac

from runner.redact import Redaction, Redactor

KEY = b"k" * 32


def _token(secret: bytes, key: bytes = KEY) -> str:
    return hmac.digest(key, secret, "sha256").hex()[:8]


def test_the_name_stays_and_the_value_goes() -> None:
    clean, redactions = Redactor(KEY).redact_text("a\nconnecting password=hunter2x tail\n")

    marker = f"[redacted:pw-assigned:{_token(b'hunter2x')}]"
    assert clean == f"a\nconnecting password={marker} tail\n"
    assert redactions == (Redaction(rule="pw-assigned", line=2, length=8),)


def test_equal_secrets_have_equal_tokens_under_one_key_only() -> None:
    text = "password=hunter2x secret=hunter2x"
    token, other = _token(b"hunter2x"), _token(b"hunter2x", b"other")

    assert Redactor(KEY).redact_text(text)[0] == (
        f"password=[redacted:pw-assigned:{token}] secret=[redacted:assigned:{token}]"
    )
    assert Redactor(b"other").redact_text(text)[0] == (
        f"password=[redacted:pw-assigned:{other}] secret=[redacted:assigned:{other}]"
    )


def test_what_surrounds_a_secret_stays_readable() -> None:
    """Users, hosts, parameters and flags are what a cause is read from."""
    cases = {
        "dial postgres://app:s3cr3tpw@db.prod:5432/orders failed": "dial postgres://app:*@db.prod:5432/orders failed",
        "mysql -h db -u root -ps3cr3tpw orders": "mysql -h db -u root -p* orders",
        "connect(host=db, password=s3cr3tpw, user=app)": "connect(host=db, password=*, user=app)",
        "GET /cb?token=s3cr3tpw&state=1": "GET /cb?token=*&state=1",
        "Authorization: Bearer s3cr3tpw123456": "Authorization: Bearer *",
        '{"user":"app","password":"s3cr3tpw","port":1}': '{"user":"app","password":"*","port":1}',
        'export API_KEY="s3cr3tpw"\nX=1': 'export API_KEY="*"\nX=1',
        "--password s3cr3tpw --host db": "--password * --host db",
        "Server=db;Password=s3cr3t pw;Database=x": "Server=db;Password=*;Database=x",
        "map[Authorization:[Bearer s3cr3tpw12345]]": "map[Authorization:[Bearer *]]",
    }  # fmt: skip

    for text, expected in cases.items():
        clean, redactions = Redactor(KEY).redact_text(text)
        (redaction,) = redactions
        before, after = clean.split(f"[redacted:{redaction.rule}:")
        assert before + "*" + after[9:] == expected


def test_a_secret_goes_where_nothing_tells_of_it_once_it_is_known() -> None:
    text = 'DB_PASSWORD=S3cr3t!x\nlogin failed for app/S3cr3t!x: "S3cr3t!x"\n'
    marker = f"[redacted:env-line:{_token(b'S3cr3t!x')}]"

    clean, redactions = Redactor(KEY).redact_text(text)

    assert clean == f'DB_PASSWORD={marker}\nlogin failed for app/{marker}: "{marker}"\n'
    assert [r.line for r in redactions] == [1, 2, 2]


def test_a_password_that_is_an_ordinary_word_does_not_blank_that_word() -> None:
    text = "password=postgres\nconnecting to postgres-0.postgres as postgres\n"

    clean, _ = Redactor(KEY).redact_text(text)

    assert clean.splitlines()[1] == "connecting to postgres-0.postgres as postgres"


def test_what_the_caller_knows_goes() -> None:
    clean, redactions = Redactor(KEY).redact_bytes(
        b"user blue-horse, table of x", known=[b"blue-horse", b"of", b""]
    )

    assert clean == f"user [redacted:known:{_token(b'blue-horse')}], table of x".encode()
    assert redactions == (Redaction(rule="known", line=1, length=10),)


def test_what_is_known_may_be_a_part_of_a_marker() -> None:
    redactor = Redactor(KEY)
    known = [b"redacted", b"known:", b"pw-assigned"]

    clean, _ = redactor.redact_bytes(b"redacted password=hunter2x", known=known)

    assert (
        clean
        == (
            f"[redacted:known:{_token(b'redacted')}] "
            f"password=[redacted:pw-assigned:{_token(b'hunter2x')}]"
        ).encode()
    )
    assert redactor.redact_bytes(clean, known=known) == (clean, ())


def test_a_command_line_is_read_as_a_whole() -> None:
    words = ["sh", "-c", "x", "--password", "hunter2x", "--token=t0k3n99", "--port", "80"]

    clean, redactions = Redactor(KEY).redact_argv(words)

    assert clean == (
        "sh", "-c", "x",
        "--password", f"[redacted:flag:{_token(b'hunter2x')}]",
        f"--token=[redacted:flag:{_token(b't0k3n99')}]",
        "--port", "80",
    )  # fmt: skip
    assert redactions == (
        Redaction(rule="flag", line=1, length=8),
        Redaction(rule="flag", line=1, length=7),
    )


def test_lines_are_those_of_the_text_as_it_came_in() -> None:
    """A key of several lines becomes a marker of none; what is behind it keeps its number."""
    body = "\n".join(["A" * 64] * 3)
    key = f"-----BEGIN {'PRIVATE'} KEY-----\n{body}\n-----END {'PRIVATE'} KEY-----\n"

    _, redactions = Redactor(KEY).redact_text(f"one\n{key}password=hunter2x\n{key}")

    assert [(r.rule, r.line) for r in redactions] == [("pem", 3), ("pw-assigned", 7), ("pem", 9)]
    assert redactions[0].length == 3 * 64 + 2


def test_clean_text_comes_back_as_the_same_object() -> None:
    text = "nothing here"

    assert Redactor(KEY).redact_text(text)[0] is text
