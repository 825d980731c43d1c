"""One object under a retention of its own (S3 object lock). obstore has no word for it, and what
headers it is told to add it does not sign, which S3 refuses; so this is a request of its own after
the upload, for the version that was written, signed by AWS' own library as the same identity."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from runner.late import late
from runner.storage.credentials import AwsCredentials, CredentialsError

Mode = Literal["governance", "compliance"]
_ATTEMPTS = 6
_ALL_SECONDS = 120
_ONE_SECONDS = 60
_MOST_BYTES = 64 * 1024
_AGAIN = {429, 500, 502, 503, 504}
_CODE = late(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = late(r"<Message>([^<]{1,300})")
_MODE = late(r"<Mode>([A-Za-z]{1,20})</Mode>")
_UNTIL = late(r"<RetainUntilDate>([^<]{1,40})</RetainUntilDate>")


class RetainError(Exception):
    """The object is not kept as it was asked; what the store said, in one line."""


class _RefusedError(RetainError):
    """The store's word is final."""


class _AgainError(RetainError):
    """May help to ask again."""


class Retention(msgspec.Struct, frozen=True):
    """Nobody can delete the object before `until`; with `governance` who has the right to bypass
    it can, with `compliance` not even the account's owner."""

    mode: Mode
    until: datetime

    def __str__(self) -> str:
        return f"{self.mode}, until {_date(self.until)}"

    @property
    def document(self) -> bytes:
        return (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{self.mode.upper()}</Mode>"
            f"<RetainUntilDate>{_date(self.until)}</RetainUntilDate></Retention>"
        ).encode()

    def is_met_by(self, found: "Retention") -> bool:
        """A bucket's default may keep it longer or more strictly than was asked."""
        strict = found.mode == "compliance" or self.mode == "governance"
        # Stores know whole seconds.
        return strict and found.until >= self.until.replace(microsecond=0)


def retention_of(document: str) -> Retention | None:
    """What a store says; None where it says none."""
    mode, until = _MODE.search(document), _UNTIL.search(document)
    if not (mode and until) or mode[1] not in {"GOVERNANCE", "COMPLIANCE"}:
        return None
    try:
        when = datetime.fromisoformat(until[1])
    except ValueError:
        return None
    kind: Mode = "compliance" if mode[1] == "COMPLIANCE" else "governance"
    return Retention(kind, when if when.tzinfo else when.replace(tzinfo=UTC))


def retain(
    presigned: str, version: str | None, wanted: Retention, credentials: AwsCredentials
) -> bool:
    """`presigned` says where the object is, as obstore reaches it, and in which region. Setting
    the same again changes nothing. False where it may be set and not read back. Raises
    RetainError."""
    ask = _asker(presigned, version, credentials)
    found = _found(ask)
    if found is not None and wanted.is_met_by(found):
        return True
    ask("PUT", wanted.document)
    try:
        now = retention_of(ask("GET", b""))
    except _RefusedError:
        return False
    if now is None or not wanted.is_met_by(now):
        raise RetainError(f"the store took it and says now: {now or 'none'}")
    return True


def _found(ask: Callable[[str, bytes], str]) -> Retention | None:
    """As by the default of the bucket, which a PUT might shorten. A store that has never heard of
    retention answers with the object, and would take a PUT for another one."""
    try:
        said = ask("GET", b"")
    except _RefusedError:
        return None
    found = retention_of(said)
    if found is None:
        raise RetainError("the store knows no retention of objects: it answers something else")
    return found


def _asker(
    presigned: str, version: str | None, credentials: AwsCredentials
) -> Callable[[str, bytes], str]:
    # The extra `cloud`; nobody else waits for it.
    import tenacity  # noqa: PLC0415
    from awscrt import auth, http  # noqa: PLC0415

    where = urlsplit(presigned)
    region = parse_qs(where.query)["X-Amz-Credential"][0].split("/")[2]
    query = "retention=" + (f"&versionId={quote(version, safe='')}" if version else "")

    def once(method: str, body: bytes) -> str:
        digest = hashlib.sha256(body)
        request = http.HttpRequest(method, f"{where.path}?{query}")
        request.headers.add("Host", where.netloc)
        if body:
            request.headers.add("Content-Type", "application/xml")
            request.headers.add("x-amz-checksum-sha256", base64.b64encode(digest.digest()).decode())
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=credentials.provider,
            region=region,
            service="s3",
            # S3 signs paths as they are on the wire.
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=digest.hexdigest(),
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        try:
            auth.aws_sign_request(request, config).result(_ONE_SECONDS)
        except Exception as error:
            raise _RefusedError(str(CredentialsError())) from error
        return _sent(
            f"{where.scheme}://{where.netloc}{request.path}", method, dict(request.headers), body
        )

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_AgainError),
        stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_after_delay(_ALL_SECONDS),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    )
    return lambda method, body: again(once, method, body)


def _sent(url: str, method: str, headers: Mapping[str, str], body: bytes) -> str:
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    asked = urllib.request.Request(  # noqa: S310  (the scheme is that of the upload)
        url, data=body or None, method=method, headers=headers
    )
    try:
        with urllib.request.urlopen(asked, timeout=_ONE_SECONDS) as answer:  # noqa: S310
            return str(answer.read(_MOST_BYTES).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        with error:
            said = _said(error.code, error.read(_MOST_BYTES).decode(errors="replace"))
        kind = _AgainError if error.code in _AGAIN else _RefusedError
        raise kind(said) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise _AgainError(f"no answer from {urlsplit(url).netloc}: {reason}") from error


def _said(status: int, document: str) -> str:
    code, message = _CODE.search(document), _MESSAGE.search(document)
    if code is None:
        return f"the store answers {status}"
    text = " ".join(message[1].split()).rstrip(".") if message else ""
    return f"the store says {code[1]}" + (f": {text}" if text else "")


def _date(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
