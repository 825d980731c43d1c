"""From a run directory to one file, or to a directory that has its own manifest."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from runner import record
from runner.bundle import manifest as manifests
from runner.bundle import signing
from runner.bundle.archive import (
    ChangedMeanwhileError,
    own_files,
    sha256,
    write_archive,
)
from runner.bundle.codec import Codec
from runner.bundle.directory import (
    DirectoryError,
    chain_in,
    changed_since,
    files_of,
    foreign_in,
    open_plain,
)
from runner.bundle.manifest import File, Manifest
from runner.bundle.signing import SigningError
from runner.record import RecordError
from runner.redact import Redactor
from runner.report import JSON_NAME
from runner.report.document import ReportError, from_json
from runner.report.files import OutputError, growing_file, write_atomically

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from runner.bundle.scan import Found
    from runner.bundle.signing import KeylessSigner

_MAX_REPORT_BYTES = 1 << 30


class Sealed(msgspec.Struct, frozen=True):
    """What is to be written; `broken_at` is the journal's line that does not follow from the one
    before it, 0 if there is none; `rules` are ids and hashes of those that were asked."""

    manifest: Manifest
    envelope: bytes
    broken_at: int
    rules: tuple[tuple[str, str], ...] = ()


def describe(
    directory: Path, signer: "CryptoSigner | KeylessSigner | None", *, without: Sequence[str] = ()
) -> Sealed:
    """`without`: beginnings of paths that are to be left out. Raises RecordError, OutputError."""
    found = record.read(directory)
    try:
        with open_plain(directory / JSON_NAME) as file:
            report = from_json(file.read(_MAX_REPORT_BYTES))
        chain = chain_in(directory)
        files = files_of(directory)
        changed = changed_since(directory, files)
        foreign = foreign_in(directory)
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise RecordError(
            f"{directory} has no {name}: the run did not get as far as that; "
            "`podmedic resume` finishes it"
        ) from None
    except OSError as error:
        raise RecordError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except ReportError as error:
        raise RecordError(f"{directory / JSON_NAME}: {error}") from error
    except DirectoryError as error:
        raise RecordError(str(error)) from error
    if report.run.id != found.run:
        raise RecordError(
            f"{directory} holds the report of run {report.run.id} and the record of {found.run}, "
            "which did not get as far as a report; `podmedic resume` finishes it"
        )
    is_out = [file.path.startswith(tuple(without)) for file in files]
    manifest = manifests.make(
        found,
        report,
        chain,
        (file for file, out in zip(files, is_out, strict=True) if not out),
        left_out=[file for file, out in zip(files, is_out, strict=True) if out],
        changed_since_run=changed,
        foreign=foreign,
    )
    rules = tuple(each for one in report.run.playbooks for each in one.rules.items())
    return Sealed(manifest, _signed(manifest, signer), chain.broken_at, rules)


def _signed(manifest: Manifest, signer: "CryptoSigner | KeylessSigner | None") -> bytes:
    if signer is None:
        return b""
    digest = sha256(manifests.encode(manifest))
    return _sign(signer, signing.manifest_statement(manifest, digest))


def _sign(signer: "CryptoSigner | KeylessSigner", statement: bytes) -> bytes:
    """Raises OutputError."""
    try:
        return signing.sign(signer, statement)
    except SigningError as error:
        raise OutputError(f"cannot sign: {error}") from error


class SecretsFoundError(Exception):
    """What was about to leave holds what looks like secrets; `found` says where."""

    def __init__(self, found: "Sequence[Found]") -> None:
        super().__init__(f"{len(found)} secrets")
        self.found = found


def write_bundle(
    directory: Path,
    path: Path,
    codec: Codec,
    sealed: Sealed,
    signer: "CryptoSigner | KeylessSigner | None",
    redactor: Redactor | None = None,
    *,
    unchecked: Sequence[str] = (),
) -> None:
    """Whole or not at all, and read back before it is in its place: every byte, and by `redactor`
    (None: not at all) for secrets, but for files whose paths begin with `unchecked`. Raises
    OutputError, SecretsFoundError, and RecordError for what changed meanwhile."""
    digest = sha256(manifests.encode(sealed.manifest))

    def sign(archive_sha256: str) -> bytes:
        if signer is None:
            return b""
        return _sign(signer, signing.archive_statement(digest, archive_sha256))

    def open_file(file: File) -> BinaryIO:
        try:
            return open_plain(directory / file.path)
        except OSError as error:
            raise ChangedMeanwhileError(f"{file.path}: {error.strerror}") from error

    try:
        with growing_file(path) as out:
            write_archive(out, codec, sealed.manifest, sealed.envelope, open_file, sign)
            with out.read_back() as written:
                _look_through(written, path, sealed, signer, redactor, tuple(unchecked))
            out.keep()
    except ChangedMeanwhileError as error:
        raise RecordError(f"{directory}: {error}; is the run still under way?") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _look_through(
    written: BinaryIO,
    path: Path,
    sealed: Sealed,
    signer: "CryptoSigner | KeylessSigner | None",
    redactor: Redactor | None,
    unchecked: tuple[str, ...],
) -> None:
    # Imported here: a directory gets its manifest without it.
    from runner.bundle.scan import SecretScan  # noqa: PLC0415
    from runner.bundle.verify import verify_bundle  # noqa: PLC0415

    scan = None if redactor is None else SecretScan(redactor, sealed.rules)

    def listen(file: File, chunk: bytes) -> None:
        if scan is not None and not file.path.startswith(unchecked or ("\0",)):
            scan(file, chunk)

    size_bytes = os.fstat(written.fileno()).st_size
    verdict = verify_bundle(written, size_bytes, signing.by(signer), listen)
    # A chain that was broken before is told by whoever asked for the bundle.
    wrong = [] if sealed.broken_at else verdict.problems
    if wrong:
        raise OutputError(f"cannot write {path}: what was written reads otherwise: {wrong[0]}")
    if scan is not None and scan.unread:
        raise OutputError(
            f"cannot write {path}: {scan.unread[0]} could not be looked through for secrets: it is "
            "too large when unpacked, or no gzip after all"
        )
    if scan is not None and scan.found:
        raise SecretsFoundError(scan.found)


def write_beside(directory: Path, signer: "CryptoSigner | KeylessSigner | None") -> None:
    """The run directory gets a manifest of its own. Raises OutputError, RecordError."""
    sealed = describe(directory, signer)
    # The manifest last: where there is one, what belongs to it is there too.
    for name, data in reversed(own_files(sealed.manifest, sealed.envelope)):
        write_atomically(directory / name, data)
