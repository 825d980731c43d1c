"""Who may speak to `podmedic serve`. Secrets are files, read anew for each request: what the
kubelet or a person replaces holds at once."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from pathlib import Path

import msgspec

_MAX_BYTES = 64 * 1024
MIN_LENGTH = 16


class AuthError(Exception):
    """A file of secrets that cannot be used; one line for people."""


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """One of these ways is enough. `client_certificates`: TLS has verified the client's."""

    bearer_file: Path | None = None
    basic_file: Path | None = None
    hmac_file: Path | None = None
    client_certificates: bool = False

    @property
    def is_configured(self) -> bool:
        return self.client_certificates or any((self.bearer_file, self.basic_file, self.hmac_file))

    def check(self) -> None:
        """Raises AuthError for a file that is missing, empty or too easy to guess."""
        for option, path, least in (
            ("--bearer-token-file", self.bearer_file, MIN_LENGTH),
            ("--basic-auth-file", self.basic_file, MIN_LENGTH),
            ("--hmac-key-file", self.hmac_file, MIN_LENGTH),
        ):
            if path is None:
                continue
            try:
                lines = _lines(path)
            except OSError as error:
                raise AuthError(f"{option} {path}: {error.strerror}") from None
            if not lines:
                raise AuthError(f"{option} {path}: it is empty")
            for line in lines:
                secret = line.partition(b":")[2] if path is self.basic_file else line
                if len(secret) < least:
                    what = "USER:PASSWORD with a password" if path is self.basic_file else "secrets"
                    raise AuthError(
                        f"{option} {path}: expected {what} of {least} characters at least, "
                        "one a line"
                    )

    def admits(self, authorization: str, *, certificate: bool) -> bool:
        """By the header `Authorization`, or because TLS knows the client."""
        if self.client_certificates and certificate:
            return True
        scheme, _, given = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return _is_one_of(_as_bytes(given.strip()), _read(self.bearer_file))
            case "basic":
                return _is_one_of(_decoded(given.strip()), _read(self.basic_file))
        return False

    def signing_keys(self) -> Collection[bytes]:
        return _read(self.hmac_file)


def _as_bytes(header: str) -> bytes:
    """As they came: aiohttp reads what is no UTF-8 as lone surrogates."""
    return header.encode("utf-8", "surrogateescape")


def _is_one_of(given: bytes, known: Collection[bytes]) -> bool:
    """In a time that says nothing of what is known: neither where it differs nor how long it is."""
    digest, found = hashlib.sha256(given).digest(), False
    for each in known:
        found |= hmac.compare_digest(digest, hashlib.sha256(each).digest())
    return found and bool(given)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _read(path: Path | None) -> Collection[bytes]:
    """Nobody is admitted by a file that cannot be read."""
    try:
        return () if path is None else _lines(path)
    except OSError:
        return ()


def _lines(path: Path) -> list[bytes]:
    """Several lines: the old and the new one while it is replaced."""
    with path.open("rb") as file:
        return [line.strip() for line in file.read(_MAX_BYTES).splitlines() if line.strip()]
