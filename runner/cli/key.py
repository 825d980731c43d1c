"""The key that signs, of `run --bundle --key` and `bundle --key`: a file, or a Secret for who asks
for it (docs/decisions/signing-keys.md). Nothing of that is kept but the signer, in memory."""

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from runner.cli.keyless import Keyless, signer_for
from runner.cli.verify import read_key
from runner.cluster import ClusterError, ErrorReason, Objects, Resource
from runner.late import late
from runner.model.base import Value

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from runner.bundle.signing import KeylessSigner

SCHEME = "k8s://"
METAVAR = "NAME.key|k8s://NAMESPACE/NAME"
_SECRETS = Resource(plural="secrets")
_ENDING = ".key"
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_FORM = late(
    rf"k8s://(?P<namespace>{_LABEL})/(?P<name>{_LABEL}(\.{_LABEL})*)(/(?P<entry>[A-Za-z0-9._-]{{1,253}}))?"
)


class SecretKey(msgspec.Struct, frozen=True):
    """`entry` empty: the only one whose name ends in .key."""

    namespace: str
    name: str
    entry: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.namespace}/{self.name}" + (f"/{self.entry}" if self.entry else "")

    @property
    def told(self) -> str:
        return f"--key {self}: get secrets {self.name} in namespace {self.namespace}"


class _Secret(Value, frozen=True, kw_only=True):
    data: dict[str, str] | None = None


def key_of(given: str | None) -> Path | SecretKey | None:
    """Raises UsageError."""
    if given is None or not given.startswith(SCHEME):
        return None if given is None else Path(given)
    found = _FORM.fullmatch(given)
    if found is None:
        raise click.UsageError(
            f"--key {given}: a key in a Secret looks like {SCHEME}NAMESPACE/NAME, or "
            f"{SCHEME}NAMESPACE/NAME/ENTRY"
        )
    return SecretKey(found["namespace"], found["name"], found["entry"] or "")


def signer_from(
    key_file: Path | None, keyless: Keyless | None = None
) -> "CryptoSigner | KeylessSigner | None":
    """Raises UsageError."""
    if keyless is not None:
        return signer_for(keyless)
    return None if key_file is None else _signer(f"--key {key_file}", read_key(key_file))


async def signer_from_secret(objects: Objects, key: SecretKey) -> "CryptoSigner":
    """One GET, by its name. Raises ClusterError, UsageError."""
    try:
        secret = await objects.get(_SECRETS, key.name, key.namespace, _Secret)
    except ClusterError as error:
        said = f"--key {key}: {error.message}"
        if error.reason is ErrorReason.NOT_FOUND:
            raise click.UsageError(said) from error
        if error.reason is ErrorReason.FORBIDDEN:
            said += f"; `podmedic rbac --key {key}` prints the Role for it"
        raise ClusterError(error.reason, said, status=error.status) from error
    data = secret.data or {}
    entry = key.entry or _only_key(key, data)
    if entry not in data:
        raise click.UsageError(f"{key.told}: it has no entry {entry}")
    try:
        pem = base64.b64decode(data[entry], validate=True)
    except binascii.Error:
        raise click.UsageError(f"{key.told}: entry {entry} is not base64") from None
    return _signer(f"{key.told}: entry {entry}", pem)


def _only_key(key: SecretKey, data: dict[str, str]) -> str:
    found = sorted(entry for entry in data if entry.endswith(_ENDING))
    if len(found) == 1:
        return found[0]
    how_many = f"{len(found)} entries that end" if found else "no entry that ends"
    raise click.UsageError(
        f"{key.told}: it has {how_many} in {_ENDING}; name one: "
        f"{SCHEME}{key.namespace}/{key.name}/{found[0] if found else 'ENTRY'}"
    )


def _signer(what: str, pem: bytes) -> "CryptoSigner":
    from runner.bundle.signing import KeyFileError, signer_of  # noqa: PLC0415

    try:
        return signer_of(pem)
    except KeyFileError as error:
        raise click.UsageError(f"{what} {error}") from error
