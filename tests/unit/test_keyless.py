"""`--sigstore` as far as nobody has to be asked: options, tokens, what is refused. With a real
Fulcio, Rekor and timestamp authority: tests/lab/test_sigstore.py."""

import base64
import json
import time
from pathlib import Path

import jwt
import pytest

from runner.bundle import keyless, signing
from runner.bundle.archive import own_files, sha256
from runner.bundle.codec import GZIP
from runner.bundle.directory import verify_directory
from runner.bundle.manifest import Manifest, encode
from runner.bundle.seal import describe, write_bundle
from tests.unit.bundles import KEY, SIGNER, bundle, run_directory, sealed_directory, verified
from tests.unit.test_verify import command

IDENTITY = ("--sigstore-identity", "who", "--sigstore-issuer", "https://issuer")


class _Unsigned(signing.KeylessSigner):
    """Writes what a sigstore bundle looks like from outside, with nobody's signature."""

    def sign(self, statement: bytes) -> bytes:
        inner = {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": signing.PAYLOAD_TYPE,
            "signatures": [{"sig": "AA=="}],
        }
        parts = {"dsseEnvelope": inner, "mediaType": "m", "verificationMaterial": {}}
        return signing.canonical(parts) + b"\n"

    @property
    def identity(self) -> signing.Identity:
        return _Anybody()


class _Anybody(signing.Identity):
    def __init__(self, problem: str = "") -> None:
        self.problem = problem

    def problem_of(self, envelope: bytes) -> str:
        return self.problem


def _bundle(run: Path, path: Path) -> bytes:
    signer = _Unsigned()
    write_bundle(run, path, GZIP, describe(run, signer), signer)
    return path.read_bytes()


_DAY = 86_400


def _token(**claims: object) -> str:
    """For two days: those among the parameters are made long before their test runs."""
    now = int(time.time())
    good = {"aud": "sigstore", "sub": "me", "iat": now, "exp": now + 2 * _DAY, "iss": "https://i"}
    given = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode(given, "x" * 32, "HS256")


def test_a_bundle_signed_with_sigstore_keeps_it_in_a_file_of_its_own(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    data = _bundle(run, tmp_path / "a.tar.gz")
    manifest = describe(run, None).manifest
    assert [name for name, _ in own_files(manifest, _Unsigned().sign(b"{}"))] == [
        "manifest.json", "manifest.sigstore.json", "SHA256SUMS"
    ]  # fmt: skip
    verdict = verified(data, _Anybody())
    assert (verdict.problems, verdict.is_signed, verdict.is_keyless, verdict.is_checked) == (
        [], True, True, True
    )  # fmt: skip
    assert verified(data).problems == []
    assert not verified(data).is_checked
    assert verified(data, _Anybody("was signed by x")).problems == [
        "manifest.sigstore.json was signed by x",
        "the signature in the seal was signed by x",
    ]
    assert command("verify", tmp_path / "a.tar.gz", "-q")[2] == (
        f"podmedic: {tmp_path / 'a.tar.gz'}: the signature was not checked: no "
        "--sigstore-identity was given\n"
    )
    told = command("verify", tmp_path / "a.tar.gz")[1].splitlines()[1]
    assert told == (
        "Signature: NOT CHECKED. There is one; name who should have made it, with sigstore, by "
        "--sigstore-identity and --sigstore-issuer. Without that anybody could have made all of "
        "this."
    )


def test_a_key_is_not_asked_about_sigstore_and_the_reverse(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with_sigstore = verified(_bundle(run, tmp_path / "a.tar.gz"), KEY)
    assert with_sigstore.problems[0] == (
        "manifest.sigstore.json was made with sigstore, not with a key: name who should have "
        "signed by --sigstore-identity and --sigstore-issuer"
    )
    with_a_key = verified(bundle(run, tmp_path / "b.tar.gz", signer=SIGNER), _Anybody())
    assert with_a_key.problems[0] == (
        "manifest.dsse.json was made with a key, not with sigstore: name the public key by --key"
    )
    unsigned = verified(bundle(run, tmp_path / "c.tar.gz"), _Anybody())
    assert unsigned.problems == ["is not signed, so who signed it could not be asked"]


def _statement(manifest: Manifest) -> bytes:
    return signing.manifest_statement(manifest, sha256(encode(manifest)))


def test_what_is_around_the_statement_is_refused_without_sigstore(tmp_path: Path) -> None:
    statement = _statement(describe(run_directory(tmp_path / "run"), None).manifest)
    good = _Unsigned().sign(statement)
    assert signing.problem_of(good, statement, None) == ""
    rewritten = "is not as podmedic writes it: something was added or changed"
    other = "does not state what is here: it belongs to something else, or that was changed"
    more = json.loads(good) | {"more": 1}
    cases = {
        good + b" ": rewritten,
        signing.canonical(more) + b"\n": rewritten,
        _Unsigned().sign(statement + b" "): other,
        good.replace(b"vnd.in-toto+json", b"vnd.in-toto+xml!"): other,
    }
    for envelope, problem in cases.items():
        assert signing.problem_of(envelope, statement, _Anybody()) == problem
    for hostile in (b'{"dsseEnvelope":1}\n', b'{"dsseEnvelope":', b'{"dsseEnvelope":{"a":[]}}\n'):
        said = signing.problem_of(hostile, statement, _Anybody())
        assert said.startswith("is not a sigstore bundle: ")


def test_a_directory_with_both_kinds_says_which_was_added(tmp_path: Path) -> None:
    run = sealed_directory(tmp_path / "run", SIGNER)
    assert verify_directory(run, KEY).problems == []
    (run / "manifest.sigstore.json").write_bytes(_Unsigned().sign(b"{}"))
    assert verify_directory(run, KEY).problems == ["manifest.sigstore.json: was added or renamed"]
    (run / "manifest.sigstore.json").unlink()
    (run / "manifest.dsse.json").rename(run / "manifest.sigstore.json")
    assert verify_directory(run, KEY).problems == ["manifest.sigstore.json: was added or renamed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bundle", "R", "--sigstore", "--key", "k"),
         "--key and --sigstore are two ways to sign: choose one"),
        (("bundle", "R", "--identity-token", "t"), "--identity-token belongs to --sigstore"),
        (("bundle", "R", "--trust-config", "t"), "--trust-config belongs to --sigstore"),
        (("bundle", "R", "--sigstore", "--identity-token", "none"),
         "--identity-token none: cannot be read: No such file or directory"),
        (("verify", "B", "--trust-config", "t"), "--trust-config belongs to --sigstore-identity"),
        (("verify", "B", "--sigstore-identity", "who"),
         "--sigstore-identity and --sigstore-issuer belong together"),
        (("verify", "B", "--sigstore-issuer", "https://issuer"),
         "--sigstore-identity and --sigstore-issuer belong together"),
        (("verify", "B", "--key", "k", *IDENTITY),
         "--key and --sigstore-identity are two ways to sign: choose one"),
        (("verify", "B", "--trust-config", "none", *IDENTITY),
         "--trust-config none: cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(words: tuple[str, ...], said: str) -> None:
    assert command(*words) == (4, "", f"podmedic: {said}\n")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyless, "find_spec", lambda _: None)
    mend = "takes sigstore, which is not installed: pip install 'podmedic[sigstore]'"
    assert command("bundle", "R", "--sigstore") == (4, "", f"podmedic: --sigstore {mend}\n")
    assert command("verify", "B", *IDENTITY) == (4, "", f"podmedic: --sigstore-identity {mend}\n")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (_token(exp=int(time.time()) - 60), "has expired"),
        (_token(aud="https://kubernetes.default.svc"), "is not for the audience sigstore"),
        (_token(aud=None), "is not for the audience sigstore"),
        (_token(iat=int(time.time()) + _DAY), "is not valid yet: do the clocks differ?"),
        (_token(iss=None), "does not say iss: it is no OpenID Connect token"),
        ("", "is no OpenID Connect token (a JWT)"),
        ("secret", "is no OpenID Connect token (a JWT)"),
    ],
)
def test_a_token_that_is_of_no_use_is_told_before_anybody_is_asked(
    token: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    words = ("bundle", tmp_path, "--sigstore", "--identity-token", file)
    assert command(*words) == (4, "", f"podmedic: the identity token in {file} {said}\n")


def test_the_token_is_taken_from_the_environment_and_its_lack_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", "x")
    assert command("bundle", tmp_path, "--sigstore")[2] == (
        "podmedic: the identity token in $SIGSTORE_IDENTITY_TOKEN is no OpenID Connect token "
        "(a JWT)\n"
    )
    monkeypatch.delenv("SIGSTORE_IDENTITY_TOKEN")
    for name in ("GITHUB_ACTIONS", "BUILDKITE", "GITLAB_CI", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    assert command("bundle", tmp_path, "--sigstore")[2] == (
        "podmedic: --sigstore: nothing says who you are: name a token by --identity-token or "
        "$SIGSTORE_IDENTITY_TOKEN\n"
    )


def test_a_trust_config_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "trust.json"
    for text in ("", "[]", "{}", '{"mediaType": "x"}'):
        file.write_text(text)
        code, _, said = command("verify", tmp_path, "--trust-config", file, *IDENTITY)
        assert code == 4
        assert said.startswith(f"podmedic: --trust-config {file} is no ClientTrustConfig of ")
        assert said.count("\n") == 1


def test_the_roots_that_are_known_here_are_used_where_none_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the public sigstore, which has not signed this."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    _bundle(run_directory(tmp_path / "run"), tmp_path / "a.tar.gz")
    code, _, said = command("verify", tmp_path / "a.tar.gz", *IDENTITY)
    lines = said.splitlines()
    assert code == 1
    assert lines[0].startswith(
        "podmedic: the current roots of the public sigstore could not be fetched ("
    )
    assert lines[0].endswith("); those that are known here are used")
    assert "manifest.sigstore.json is not a sigstore bundle: " in lines[1]
    (tmp_path / "home").rename(tmp_path / "gone")
    (tmp_path / "home").touch()
    code, _, said = command("verify", tmp_path / "a.tar.gz", *IDENTITY)
    assert (code, said.count("\n")) == (4, 1)
    assert said.startswith(
        "podmedic: the roots of the public sigstore cannot be kept below $HOME: "
    )
