"""Signatures without a key that somebody has to keep: whoever runs podmedic proves to a certificate
authority (Fulcio) by a token who they are, signs with a key of that moment, and a log (Rekor) and a
timestamp authority say when. All of it is the library sigstore's, an extra; imported only here, and
only where it is asked for."""

import json
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from runner.bundle.codec import MAX_SEAL_BYTES
from runner.bundle.signing import (
    PAYLOAD_TYPE,
    Identity,
    KeylessSigner,
    SigningError,
    canonical,
)

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
    from sigstore.sign import Signer

AUDIENCE = "sigstore"
_TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"
_TRIES = 3
_WAIT_SECONDS = 0.5
# The library's requests to Fulcio and Rekor would wait for ever.
_DEADLINE_SECONDS = 60.0
_SEAL_ROOM_BYTES = 1024
_MAX_TOLD = 300
_ISSUER_OIDS = ("1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1")
# What the library says where certificates, logs or clocks are not those of the trust.
_OF_ANOTHER_SIGSTORE = ("verified time", "certificate chain", "verify SCT", "invalid log entry")
_ELSEWHERE = " (signed with another sigstore? --trust-config names it)"
T = TypeVar("T")


class TrustError(Exception):
    """What was read says nothing of whom to trust; one line."""


class TokenError(Exception):
    """Who is signing is not shown by this token; one line without its name."""


def missing() -> str:
    """What to say where the extra is not installed; empty where it is."""
    if find_spec("sigstore") is None:
        return "takes sigstore, which is not installed: pip install 'podmedic[sigstore]'"
    return ""


class Trust(msgspec.Struct, frozen=True):
    """`signing` is None where nobody could sign with it. `stale` says why the roots are not known
    to be the current ones."""

    root: "TrustedRoot"
    signing: "ClientTrustConfig | None"
    stale: str = ""


def trust_in(data: bytes) -> Trust:
    """A ClientTrustConfig, or a TrustedRoot alone, which is enough to verify. Raises TrustError."""
    from sigstore.models import ClientTrustConfig, TrustedRoot  # noqa: PLC0415
    from sigstore_models.trustroot.v1 import TrustedRoot as RootDocument  # noqa: PLC0415

    try:
        if str(json.loads(data)["mediaType"]).startswith(_TRUSTED_ROOT):
            return Trust(TrustedRoot(RootDocument.from_json(data)), None)
        config = ClientTrustConfig.from_json(data.decode())
        return Trust(config.trusted_root, config)
    except Exception as error:
        raise TrustError(f"is no ClientTrustConfig of sigstore: {_told(error)}") from error


def public_trust() -> Trust:
    """That of the public instance: its current roots, or the last that are known here where they
    cannot be fetched. Raises TrustError."""
    from sigstore.errors import Error  # noqa: PLC0415
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415

    stale = ""
    with _heard("sigstore"), _heard("tuf"):
        try:
            try:
                config = ClientTrustConfig.production()
            except Error as error:
                stale = _told(error.__cause__ or error)
                config = ClientTrustConfig.production(offline=True)
            return Trust(config.trusted_root, config, stale)
        except (Error, OSError, ValueError) as error:
            raise TrustError(
                f"the roots of the public sigstore cannot be kept below $HOME: {_told(error)}"
            ) from error


def check_token(token: str) -> None:
    """As far as can be seen without asking anybody. Raises TokenError."""
    _identity_token(token)


def _identity_token(token: str) -> Any:
    from sigstore.oidc import IdentityError, IdentityToken  # noqa: PLC0415

    try:
        return IdentityToken(token.strip())
    except IdentityError as error:
        raise TokenError(_wrong_token(error)) from error


def _wrong_token(error: Exception) -> str:
    import jwt  # noqa: PLC0415

    match error.__cause__:
        case jwt.ExpiredSignatureError():
            return "has expired"
        case jwt.ImmatureSignatureError():
            return "is not valid yet: do the clocks differ?"
        case jwt.InvalidAudienceError() | jwt.MissingRequiredClaimError(claim="aud"):
            return f"is not for the audience {AUDIENCE}"
        case jwt.MissingRequiredClaimError() as missing_claim:
            return f"does not say {missing_claim.claim}: it is no OpenID Connect token"
        case jwt.DecodeError():
            return "is no OpenID Connect token (a JWT)"
    return _told(error)


class SigstoreSigner(KeylessSigner):
    """`token` is asked when it is needed: a projected one is renewed while a run goes on. May
    raise SigningError, as `sign` does."""

    def __init__(self, token: Callable[[], str], trust: Trust) -> None:
        self._token = token
        self._trust = trust
        self._signer: Signer | None = None
        self._identity: Identity | None = None
        # Each signature is an entry in a public log; the same statement needs one.
        self._made: dict[bytes, bytes] = {}

    @property
    def identity(self) -> Identity:
        assert self._identity is not None, "nothing was signed yet"
        return self._identity

    def sign(self, statement: bytes) -> bytes:
        if statement not in self._made:
            with _heard("sigstore") as said:
                self._made[statement] = self._signed(statement, said)
        return self._made[statement]

    def _signed(self, statement: bytes, said: list[str]) -> bytes:
        from sigstore.errors import Error  # noqa: PLC0415

        try:
            bundle = _with_deadline(lambda: self._try(statement))
        except SigningError:
            raise
        except Error as error:
            # That a timestamp authority did not answer is a warning to the library.
            why = f" ({said[-1]})" if said else ""
            raise SigningError(f"{_told(error)}{why}") from error
        except OSError as error:
            raise SigningError(_unreachable(error)) from error
        except Exception as error:
            raise SigningError(_answered(error)) from error
        self._identity = SigstoreIdentity(self._trust, *_named_in(bundle.signing_certificate))
        envelope = canonical(json.loads(bundle.to_json())) + b"\n"
        if len(envelope) > MAX_SEAL_BYTES - _SEAL_ROOM_BYTES:
            raise SigningError(f"the signature has {len(envelope)} bytes, more than a seal holds")
        # Better now than in a year.
        if problem := self.identity.problem_of(envelope):
            raise SigningError(f"what was signed could not be verified: it {problem}")
        return envelope

    def _try(self, statement: bytes) -> "Bundle":
        from sigstore.dsse import Statement  # noqa: PLC0415
        from sigstore.sign import ExpiredCertificate  # noqa: PLC0415

        for left in reversed(range(_TRIES)):
            try:
                if self._signer is None:
                    self._signer = self._certified()
                return self._signer.sign_dsse(Statement(statement))
            except ExpiredCertificate:
                # It holds for ten minutes, and to pack a large run can take longer.
                self._signer = None
                if not left:
                    raise
            except Exception as error:
                if not left or not _may_pass(error):
                    raise
                time.sleep(_WAIT_SECONDS)
        raise AssertionError

    def _certified(self) -> "Signer":
        from sigstore.sign import Signer, SigningContext  # noqa: PLC0415

        if self._trust.signing is None:
            raise SigningError("a TrustedRoot does not say where Fulcio and Rekor are")
        try:
            token = _identity_token(self._token())
        except TokenError as error:
            raise SigningError(f"the identity token {error}") from error
        return Signer(token, SigningContext.from_trust_config(self._trust.signing))


class SigstoreIdentity(Identity):
    """As `cosign verify-blob` has it: --certificate-identity, --certificate-oidc-issuer."""

    def __init__(self, trust: Trust, name: str, issuer: str) -> None:
        self._trust = trust
        self.name = name
        self.issuer = issuer

    def problem_of(self, envelope: bytes) -> str:
        from sigstore.errors import Error  # noqa: PLC0415
        from sigstore.models import Bundle  # noqa: PLC0415
        from sigstore.verify import Verifier  # noqa: PLC0415

        try:
            bundle = Bundle.from_json(envelope)
            same = canonical(json.loads(bundle.to_json())) + b"\n" == envelope
        except Exception as error:  # noqa: BLE001  (whatever hostile JSON makes the library raise)
            return f"is not a sigstore bundle: {_told(error)}"
        if not same:
            return "is not as podmedic writes it: something was added or changed"
        with _heard("sigstore"):
            try:
                kind, _ = Verifier(trusted_root=self._trust.root).verify_dsse(bundle, self)
            except _OtherIdentityError as error:
                return str(error)
            except Error as error:
                text = _told(error)
                hint = _ELSEWHERE if any(word in text for word in _OF_ANOTHER_SIGSTORE) else ""
                return f"does not hold: {text}{hint}"
            except Exception as error:  # noqa: BLE001  (the same)
                return f"does not hold: {type(error).__name__}: {_told(error)}"
        return "" if kind == PAYLOAD_TYPE else f"holds {kind}"

    def verify(self, certificate: "Certificate") -> None:
        """The library's VerificationPolicy."""
        from sigstore.errors import VerificationError  # noqa: PLC0415
        from sigstore.verify.policy import (  # noqa: PLC0415
            AllOf,
            AnyOf,
            OIDCIssuer,
            OIDCIssuerV2,
        )
        from sigstore.verify.policy import Identity as Named  # noqa: PLC0415

        issued = AnyOf([OIDCIssuerV2(self.issuer), OIDCIssuer(self.issuer)])
        try:
            AllOf([issued, Named(identity=self.name)]).verify(certificate)
        except VerificationError as error:
            name, issuer = _named_in(certificate)
            raise _OtherIdentityError(
                f"was signed by {name} (issuer {issuer}), not by {self.name} (issuer {self.issuer})"
            ) from error


class _OtherIdentityError(Exception):
    pass


def _named_in(certificate: "Certificate") -> tuple[str, str]:
    """For whom it was made, and whose word that is."""
    from cryptography import x509  # noqa: PLC0415

    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    issuer = b""
    for number, oid in enumerate(_ISSUER_OIDS):
        try:
            found = extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except x509.ExtensionNotFound:
            continue
        if isinstance(found, x509.UnrecognizedExtension):
            issuer = found.value if number else _utf8_string(found.value)
            break
    told = [name.value for name in names]
    text = [
        name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in told
    ]
    return ", ".join(text), issuer.decode(errors="replace")


def _utf8_string(der: bytes) -> bytes:
    """The content of a DER UTF8String."""
    long_form = der[1] & 0x7F if len(der) > 1 and der[1] & 0x80 else 0
    return der[2 + long_form :]


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """The library's warnings, which are not for our stderr; nor are cryptography's about
    certificates that are not to its taste."""
    said: list[str] = []
    logger = logging.getLogger(name)
    handler = _Listener(said)
    propagated = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield said
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(_told(Exception(record.getMessage())))


def _with_deadline(work: Callable[[], T]) -> T:
    """In a thread, because the library's requests cannot be told to end."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  (raised again by whoever waits)
            failed.append(error)

    thread = threading.Thread(target=run, name="sigstore", daemon=True)
    thread.start()
    thread.join(_DEADLINE_SECONDS)
    if failed:
        raise failed[0]
    if not done:
        raise SigningError(f"Fulcio, Rekor or the TSA did not answer in {_DEADLINE_SECONDS:g} s")
    return done[0]


def _response_of(error: BaseException) -> Any:
    """What the server answered, if it did."""
    seen: BaseException | None = error
    while seen is not None:
        if (response := getattr(seen, "response", None)) is not None:
            return response
        seen = seen.__cause__ or seen.__context__
    return None


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, SigningError):
        return False
    response = _response_of(error)
    return isinstance(error, OSError) if response is None else response.status_code >= 500


def _unreachable(error: OSError) -> str:
    request = getattr(error, "request", None)
    url = str(getattr(request, "url", None) or "sigstore")
    inner: BaseException | None = error
    reason = ""
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            reason = inner.strerror
        inner = inner.__cause__ or inner.__context__
    return f"{url} cannot be reached: {reason or _told(error)}"


def _answered(error: Exception) -> str:
    response = _response_of(error)
    if response is None:
        return _told(error)
    text = str(response.text)
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["message"])
    return f"{response.url} answered {response.status_code}: {_told(Exception(text))}"


def _told(error: BaseException) -> str:
    text = " ".join(re.sub(r"\s+", " ", str(error)).split())
    return text[:_MAX_TOLD] or type(error).__name__
