"""One file to one object. obstore (Rust's object_store) speaks to the stores; this says how often,
how long, what is checked afterwards, and what went wrong in one line."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runner.late import late
from runner.storage.credentials import AwsCredentials, CredentialsError
from runner.storage.place import Place
from runner.storage.retain import RetainError, Retention, retain

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
_READ_BYTES = 1 << 20
_RETRIES = 5
_CONTENT_TYPES = {".zst": "application/zstd", ".gz": "application/gzip"}
# The stores answer in XML, which the client quotes in the middle of its own words.
_CODE = late(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = late(r"<Message>((?:(?! RequestId:)[^<]){1,300})")
_STATUS = late(r"status code: (\d{3}[A-Za-z ]*)")
_REQUEST = late(r"Error performing [A-Z]+ (https?://[^/\s]+)")
_REASON = late(r'(?:message|error): "([^"]{1,200})"')
_CREDENTIALS = {
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_KEY, or AZURE_CLIENT_ID and what belongs to it",
}


class UploadError(Exception):
    """The object is not there, or not what was sent; one line."""


class Uploaded(msgspec.Struct, frozen=True):
    """`read_back`: the object was fetched again and is byte for byte the file. Where that is not
    allowed, the store has checked what it got. `retention_seen`: the store was asked for it."""

    url: str
    bytes: int
    read_back: bool
    retention: Retention | None = None
    retention_seen: bool = False


def upload(path: Path, place: Place, retention: Retention | None = None) -> Uploaded:
    """Multipart where it is large; each request is tried again for two minutes at most. Raises
    UploadError; the object is then what it was before, or absent, unless the error says that it is
    there and not retained."""
    # The extra `cloud`; nobody else waits for it.
    import obstore  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    size, sha256 = _hashed(path)
    # What is missing is said before anything is sent.
    aws = _aws(place)
    store = _store(place, aws)
    attributes = {
        "Content-Type": _CONTENT_TYPES.get(path.suffix, "application/octet-stream"),
        # Azure takes identifiers only.
        "podmedic_sha256" if place.scheme == "az" else "podmedic-sha256": sha256,
    }
    if place.scheme == "file":
        attributes = {}
    try:
        put = obstore.put(
            store,
            place.key,
            path,
            attributes=attributes,
            chunk_size=_PART_BYTES,
            max_concurrency=_PARTS_AT_ONCE,
        )
    except Exception as error:
        raise UploadError(f"cannot upload to {place.url}: {told(error, place.scheme)}") from error
    # First: what is not what was sent must go, and could not.
    try:
        read_back = _is_the_same(store, place, size, sha256)
    except UploadError as error:
        raise error if retention is None else UploadError(f"{error}; nothing was locked") from error
    if retention is None:
        return Uploaded(place.url, size, read_back)
    try:
        if not isinstance(store, S3Store) or aws is None:
            raise RetainError("only S3 locks one object")  # noqa: TRY301
        signed = obstore.sign(store, "PUT", place.key, timedelta(minutes=1))
        seen = retain(signed, put["version"], retention, aws)
    except Exception as error:
        why = str(error) if isinstance(error, RetainError) else told(error, place.scheme)
        raise UploadError(
            f"{place.url} was written and is NOT LOCKED as --retain asks: {why}"
        ) from error
    return Uploaded(place.url, size, read_back, retention, seen)


def _aws(place: Place) -> AwsCredentials | None:
    if place.scheme != "s3":
        return None
    aws = AwsCredentials()
    try:
        aws()
    except CredentialsError as error:
        raise UploadError(f"cannot upload to {place.url}: {error}") from error
    return aws


def _store(place: Place, aws: AwsCredentials | None) -> "ObjectStore":
    from obstore.store import AzureStore, GCSStore, LocalStore, S3Store  # noqa: PLC0415

    client: ClientConfig = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
    retries: RetryConfig = {
        "max_retries": _RETRIES,
        "retry_timeout": timedelta(minutes=2),
        "backoff": {
            "init_backoff": timedelta(seconds=0.2),
            "max_backoff": timedelta(seconds=5),
            "base": 2,
        },
    }
    host, _, folder = place.base.partition("://")[2].partition("/")
    try:
        match place.scheme:
            case "s3":
                # The store checks each part against it; a bucket with object lock demands it.
                return S3Store(
                    host,
                    client_options=client,
                    retry_config=retries,
                    credential_provider=aws,
                    checksum_algorithm="SHA256",
                )
            case "gs":
                return GCSStore(host, client_options=client, retry_config=retries)
            case "az":
                return AzureStore(
                    folder, account_name=host, client_options=client, retry_config=retries
                )
            case _:
                return LocalStore(f"/{folder}", mkdir=True)
    except Exception as error:
        raise UploadError(f"cannot upload to {place.url}: {told(error, place.scheme)}") from error


def _hashed(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise UploadError(f"{path}: cannot be read: {error.strerror}") from error
    return size, digest.hexdigest()


def _is_the_same(store: "ObjectStore", place: Place, size: int, sha256: str) -> bool:
    """False where it may not be read: evidence is best kept where its writer cannot read. Raises
    UploadError where it is something else, which is then taken away."""
    import obstore  # noqa: PLC0415
    from obstore.exceptions import PermissionDeniedError  # noqa: PLC0415

    digest, found = hashlib.sha256(), 0
    try:
        for chunk in obstore.get(store, place.key).stream(min_chunk_size=_READ_BYTES):
            digest.update(chunk)
            found += len(chunk)
    except PermissionDeniedError:
        return False
    except Exception as error:
        why = told(error, place.scheme)
        raise UploadError(
            f"{place.url} was written and cannot be read back to be checked: {why}"
        ) from error
    if (found, digest.hexdigest()) == (size, sha256):
        return True
    try:
        obstore.delete(store, place.key)
        gone = "and was removed"
    except Exception as error:  # noqa: BLE001  (whatever it is, the object stays)
        gone = f"and could not be removed: {told(error, place.scheme)}"
    raise UploadError(
        f"{place.url} is not what was sent ({found} bytes of {size}, sha256 "
        f"{digest.hexdigest()[:16]}… instead of {sha256[:16]}…) {gone}"
    )


def told(error: Exception, scheme: str = "s3") -> str:
    """What the store said, without the client's own account of how it tried."""
    text, _, debug = str(error).partition("Debug source")
    text = " ".join(text.split())
    code, message = _CODE.search(text), _MESSAGE.search(text)
    if code:
        said = f"{code[1]}: {' '.join(message[1].split()).rstrip('.')}" if message else code[1]
        return f"the store says {said}"
    if "169.254.169.254" in text and scheme in _CREDENTIALS:
        return (
            f"no credentials were found: they come from the environment ({_CREDENTIALS[scheme]}, a "
            "web identity, or the instance), as for other tools"
        )
    if status := _STATUS.search(text):
        return f"the store answers {status[1]}"
    if server := _REQUEST.search(text):
        reasons = _REASON.findall(debug)
        reason = reasons[-1] if reasons else text.rpartition(" - ")[2]
        return f"no answer from {server[1]}: {reason}"
    return text[:300] or type(error).__name__
