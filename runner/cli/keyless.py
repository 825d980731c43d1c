"""`--sigstore` of `run` and `bundle`, `--sigstore-identity` of `verify`: who signs or has signed
without a key."""

import os
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from runner.cli.main import complain

if TYPE_CHECKING:
    from runner.bundle.keyless import SigstoreIdentity, Trust
    from runner.bundle.signing import KeylessSigner

TOKEN_VARIABLE = "SIGSTORE_IDENTITY_TOKEN"  # noqa: S105  (its name)
_MAX_TOKEN_BYTES = 64 * 1024
_MAX_TRUST_BYTES = 4 * 1024 * 1024

trust_option = click.option(
    "--trust-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="ClientTrustConfig of a sigstore of your own  [default: the public one]",
)
_SIGN: tuple[Callable[[Any], Any], ...] = (
    click.option("--sigstore", is_flag=True,
                 help="Sign it without a key, by a certificate of who you are."),
    click.option("--identity-token", "identity_file", metavar="FILE",
                 type=click.Path(path_type=Path),
                 help="OpenID Connect token that says who, for the audience sigstore  [default: "
                 f"${TOKEN_VARIABLE}, then what a CI service gives]"),
    trust_option,
)  # fmt: skip
_VERIFY: tuple[Callable[[Any], Any], ...] = (
    click.option("--sigstore-identity", "identity", metavar="NAME",
                 help="Who should have signed it with --sigstore: the name in the certificate, "
                 "such as https://kubernetes.io/namespaces/shop/serviceaccounts/podmedic."),
    click.option("--sigstore-issuer", "issuer", metavar="URL",
                 help="Who vouches for that name: the issuer of the token."),
    trust_option,
)  # fmt: skip


def sign_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda c, option: option(c), reversed(_SIGN), command)


def verify_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda c, option: option(c), reversed(_VERIFY), command)


class Keyless(msgspec.Struct, frozen=True):
    """`token` None: from the environment."""

    token: Path | None
    trust: Path | None


def keyless_of(
    sigstore: bool, token: Path | None, trust: Path | None, *, key: object
) -> Keyless | None:
    """None where nothing is to be signed that way. Raises UsageError."""
    if not sigstore:
        for option, given in (("--identity-token", token), ("--trust-config", trust)):
            if given is not None:
                raise click.UsageError(f"{option} belongs to --sigstore")
        return None
    if key is not None:
        raise click.UsageError("--key and --sigstore are two ways to sign: choose one")
    return Keyless(token, trust)


def signer_for(keyless: Keyless) -> "KeylessSigner":
    """Nobody is asked before something is signed. Raises UsageError."""
    _installed("--sigstore")
    from runner.bundle.keyless import SigstoreSigner, TokenError, check_token  # noqa: PLC0415

    read = partial(_token, keyless.token)
    try:
        check_token(read())
    except TokenError as error:
        where = keyless.token or f"${TOKEN_VARIABLE}"
        raise click.UsageError(f"the identity token in {where} {error}") from error
    return SigstoreSigner(read, trust_from(keyless.trust))


def identity_for(
    identity: str | None, issuer: str | None, trust: Path | None, *, key: object
) -> "SigstoreIdentity | None":
    """None where nobody was named. Raises UsageError."""
    if identity is None and issuer is None:
        if trust is not None:
            raise click.UsageError("--trust-config belongs to --sigstore-identity")
        return None
    if key is not None:
        raise click.UsageError("--key and --sigstore-identity are two ways to sign: choose one")
    # Anybody can have an issuer that gives them any name.
    if not identity or not issuer:
        raise click.UsageError("--sigstore-identity and --sigstore-issuer belong together")
    _installed("--sigstore-identity")
    from runner.bundle.keyless import SigstoreIdentity  # noqa: PLC0415

    return SigstoreIdentity(trust_from(trust), identity, issuer)


def _installed(option: str) -> None:
    from runner.bundle.keyless import missing  # noqa: PLC0415

    if said := missing():
        raise click.UsageError(f"{option} {said}")


def trust_from(file: Path | None) -> "Trust":
    """Raises UsageError."""
    from runner.bundle.keyless import TrustError, public_trust, trust_in  # noqa: PLC0415

    try:
        if file is not None:
            return trust_in(_read("--trust-config", file, _MAX_TRUST_BYTES))
        trust = public_trust()
    except TrustError as error:
        raise click.UsageError(f"--trust-config {file} {error}" if file else str(error)) from error
    if trust.stale:
        complain(
            f"the current roots of the public sigstore could not be fetched ({trust.stale}); those "
            "that are known here are used"
        )
    return trust


def _token(file: Path | None) -> str:
    """Raises UsageError."""
    if file is not None:
        return _read("--identity-token", file, _MAX_TOKEN_BYTES).decode(errors="replace")
    if token := os.environ.get(TOKEN_VARIABLE):
        return token
    from sigstore.oidc import IdentityError, detect_credential  # noqa: PLC0415

    try:
        token = detect_credential()
    except IdentityError as error:
        raise click.UsageError(f"--sigstore: {error}") from error
    if token is None:
        raise click.UsageError(
            f"--sigstore: nothing says who you are: name a token by --identity-token or "
            f"${TOKEN_VARIABLE}"
        )
    return token


def _read(option: str, file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(limit)
    except OSError as error:
        raise click.UsageError(f"{option} {file}: cannot be read: {error.strerror}") from error
