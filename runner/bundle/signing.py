"""Signatures: a DSSE envelope around an in-toto statement. The cryptography is securesystemslib's;
this says what is signed and that there is one spelling of it. Without a key the envelope lies in a
bundle of sigstore: runner.bundle.keyless."""

import base64
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from runner.bundle.manifest import SIGNATURE_NAME, SIGSTORE_NAME, Manifest

if TYPE_CHECKING:
    # At run time where it is needed: a run whose bundle nobody signs does not wait for it.
    from securesystemslib.signer import CryptoSigner, Key, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
ARCHIVE = "https://podmedic.io/attestation/archive/v1alpha1"
KeyType = Literal["ed25519", "ecdsa-p256"]
_SCHEMES = ("ed25519", "ecdsa-sha2-nistp256")
_MAX_KEY_BYTES = 16 * 1024
MAX_BYTES = 1024 * 1024


# What podmedic writes is sorted, so the first key tells the two kinds from each other.
_KEYLESS_BEGINNING = b'{"dsseEnvelope":'
_REWRITTEN = "is not as podmedic writes it: something was added or changed"
_OF_SOMETHING_ELSE = (
    "does not state what is here: it belongs to something else, or that was changed"
)
_KEYLESS_PARTS = {"dsseEnvelope", "mediaType", "verificationMaterial"}


class KeyFileError(Exception):
    """What was read is no key that can be used; one line."""


class SigningError(Exception):
    """There is no signature, for a reason outside of podmedic; one line."""


class Identity(ABC):
    """Whose signature counts where there is no key to ask."""

    @abstractmethod
    def problem_of(self, envelope: bytes) -> str:
        """Why this was not signed by them; empty if it was. What is signed is not looked at."""


class KeylessSigner(ABC):
    @abstractmethod
    def sign(self, statement: bytes) -> bytes:
        """The sigstore bundle, as `problem_of` takes it. Raises SigningError."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Who has signed, once something was signed."""


def is_keyless(envelope: bytes) -> bool:
    return envelope.startswith(_KEYLESS_BEGINNING)


def name_of(envelope: bytes) -> str:
    """The file that the signature of a manifest lies in."""
    return SIGSTORE_NAME if is_keyless(envelope) else SIGNATURE_NAME


def generate(kind: KeyType) -> tuple[bytes, bytes]:
    """A private key (PKCS #8) and its public one, in PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    signer = CryptoSigner.generate_ed25519() if kind == "ed25519" else CryptoSigner.generate_ecdsa()
    private = signer.private_bytes
    public = serialization.load_pem_private_key(private, None).public_key()
    return private, public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def signer_of(pem: bytes) -> "CryptoSigner":
    """Raises KeyFileError."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    if b"PUBLIC KEY" in pem[:_MAX_KEY_BYTES]:
        raise KeyFileError("is a public key; to sign takes the private one (NAME.key)")
    if b"-----BEGIN ENCRYPTED " in pem[:_MAX_KEY_BYTES]:
        raise KeyFileError("is encrypted; podmedic asks for no passwords")
    try:
        signer = CryptoSigner(load_pem_private_key(pem[:_MAX_KEY_BYTES], None))
    except TypeError:
        raise KeyFileError("is encrypted; podmedic asks for no passwords") from None
    except Exception as error:
        raise KeyFileError("is not a private key in PEM") from error
    _accepted(signer.public_key)
    return signer


def public_key_of(pem: bytes) -> "SSlibKey":
    """Raises KeyFileError."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    from securesystemslib.signer import SSlibKey  # noqa: PLC0415

    if b"PRIVATE KEY" in pem[:_MAX_KEY_BYTES]:
        raise KeyFileError("is a private key; to verify takes the public one (NAME.pub)")
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(pem[:_MAX_KEY_BYTES]))
    except Exception as error:
        raise KeyFileError("is not a public key in PEM") from error
    _accepted(key)
    return key


def _accepted(key: "SSlibKey") -> None:
    if key.scheme not in _SCHEMES:
        raise KeyFileError(f"is a key for {key.scheme}; ed25519 and ECDSA P-256 can be used")


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def manifest_statement(manifest: Manifest, sha256: str) -> bytes:
    """The predicate is in-toto's test-result: what was asked (playbooks and policy by their
    hashes) and how it ended."""
    asked = [(one.name, one.sha256) for one in manifest.playbooks]
    if manifest.policy is not None:
        asked.append((manifest.policy.name, manifest.policy.sha256))
    return _statement(
        {"manifest.json": sha256},
        TEST_RESULT,
        {
            "result": _result(manifest),
            "configuration": [
                {"name": name, "digest": {"sha256": digest}} for name, digest in asked if digest
            ],
        },
    )


def _result(manifest: Manifest) -> str:
    """In the words of that predicate. What could not be examined did not pass."""
    if manifest.when.aborted or manifest.when.interrupted:
        return "FAILED"
    seen = {outcome for outcome, count in manifest.outcomes.items() if count}
    if seen <= {"passed", "skipped"}:
        return "PASSED"
    return "WARNED" if seen <= {"passed", "skipped", "warned"} else "FAILED"


def archive_statement(manifest_sha256: str, archive_sha256: str) -> bytes:
    """About the bytes of the file up to its seal: another compression of the same is found."""
    return _statement({"archive": archive_sha256}, ARCHIVE, {"manifestSha256": manifest_sha256})


def _statement(subjects: dict[str, str], predicate_type: str, predicate: dict[str, Any]) -> bytes:
    return canonical(
        {
            "_type": STATEMENT,
            "subject": [
                {"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()
            ],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sign(signer: "CryptoSigner | KeylessSigner", statement: bytes) -> bytes:
    """The envelope. Raises SigningError."""
    if isinstance(signer, KeylessSigner):
        return signer.sign(statement)
    from securesystemslib.dsse import Envelope  # noqa: PLC0415

    envelope = Envelope(statement, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical(envelope.to_dict()) + b"\n"


def by(signer: "CryptoSigner | KeylessSigner | None") -> "Key | Identity | None":
    """By what its signatures are verified."""
    if signer is None:
        return None
    return signer.identity if isinstance(signer, KeylessSigner) else signer.public_key


def problem_of(envelope: bytes, statement: bytes, whose: "Key | Identity | None") -> str:
    """Why the envelope is not one of ours around this statement, signed by this key or identity if
    there is one to check by; empty if it is."""
    if is_keyless(envelope):
        return _keyless_problem(envelope, statement, whose)
    if isinstance(whose, Identity):
        return "was made with a key, not with sigstore: name the public key by --key"
    from securesystemslib.dsse import Envelope  # noqa: PLC0415
    from securesystemslib.exceptions import Error as LibraryError  # noqa: PLC0415

    try:
        found = Envelope.from_dict(json.loads(envelope))
        same = canonical(found.to_dict()) + b"\n" == envelope
    except Exception as error:  # noqa: BLE001  (whatever hostile JSON makes the library raise)
        return f"is not a DSSE envelope: {_told(error)}"
    if not same:
        return _REWRITTEN
    if found.payload_type != PAYLOAD_TYPE or found.payload != statement:
        return _OF_SOMETHING_ELSE
    if len(found.signatures) != 1:
        return f"has {len(found.signatures)} signatures instead of one"
    if whose is None:
        return ""
    try:
        found.verify([whose], 1)
    except (LibraryError, ValueError):
        if whose.keyid not in found.signatures:
            return "was signed by another key than the given one"
        return "has a signature that is wrong: it or what was signed was changed"
    return ""


def _keyless_problem(envelope: bytes, statement: bytes, whose: "Key | Identity | None") -> str:
    """What is around the statement is read as plain JSON: to see that it belongs to something else
    takes no sigstore."""
    try:
        found = json.loads(envelope)
        same = canonical(found) + b"\n" == envelope and found.keys() == _KEYLESS_PARTS
        inner = found["dsseEnvelope"]
        stated = inner["payloadType"], base64.b64decode(inner["payload"], validate=True)
    except Exception as error:  # noqa: BLE001  (whatever hostile JSON raises)
        return f"is not a sigstore bundle: {_told(error)}"
    if not same:
        return _REWRITTEN
    if stated != (PAYLOAD_TYPE, statement):
        return _OF_SOMETHING_ELSE
    if whose is None:
        return ""
    if not isinstance(whose, Identity):
        return (
            "was made with sigstore, not with a key: name who should have signed by "
            "--sigstore-identity and --sigstore-issuer"
        )
    return whose.problem_of(envelope)
