"""Is a bundle what was sealed? Nothing is unpacked, nothing that the bundle says is believed: its
tar is read as a stream and held against the only one that its manifest can have."""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from runner.bundle import signing
from runner.bundle.archive import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    END,
    header_of,
    own_files,
    padding_of,
    sha256,
)
from runner.bundle.codec import MAX_SEAL_BYTES, DamagedError, Unpacked, envelope_in, seal_of
from runner.bundle.manifest import (
    FILE_NAME,
    MAX_BYTES,
    OWN_NAMES,
    SIGNATURE_NAME,
    SIGSTORE_NAME,
    SUMS_NAME,
    File,
    Manifest,
    ManifestError,
    decode,
)
from runner.journal import FILE_NAME as JOURNAL_NAME
from runner.journal import Chain, ChainReader

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from runner.bundle.signing import Identity

# So many times more than the file itself may come out of it, and this much in any case.
MAX_RATIO = 2000
FREE_BYTES = 1 << 30
_MAX_PROBLEMS = 1000

Listen = Callable[[File, bytes], None]
"""Hears of each chunk of a file; b"" at its end."""


class Verdict(msgspec.Struct):
    """`problems` are lines that say which file and what is wrong; none: all is as it was sealed.
    `is_signed`: there is a signature, whoever made it (`is_keyless`: with sigstore); `is_checked`:
    it was made by the given key or identity."""

    problems: list[str] = msgspec.field(default_factory=list)
    manifest: Manifest | None = None
    manifest_sha256: str = ""
    is_signed: bool = False
    is_keyless: bool = False
    is_checked: bool = False

    def add(self, problem: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)


class _WrongError(Exception):
    """The rest cannot be read any more."""


def verify_bundle(
    file: BinaryIO, size_bytes: int, whose: "Key | Identity | None", listen: Listen | None = None
) -> Verdict:
    """Raises OSError. `listen` hears the content of every file, wrong or not."""
    verdict = Verdict()
    digest = hashlib.sha256()
    try:
        stream = Unpacked.open(file, digest)
        reader = _Reader(stream, verdict, listen)
        reader.run(size_bytes, whose)
        seal = stream.rest()
        _check_seal(stream, digest, seal, verdict, whose)
    except (DamagedError, _WrongError) as error:
        verdict.add(str(error))
    verdict.is_checked = verdict.is_checked and not verdict.problems
    return verdict


def manifest_of(file: BinaryIO, size_bytes: int) -> Manifest | None:
    """What a bundle says of itself, unchecked; None for what is none. Raises OSError."""
    verdict = Verdict()
    try:
        return _Reader(Unpacked.open(file, hashlib.sha256()), verdict, None).manifest(size_bytes)
    except (DamagedError, _WrongError):
        return None


class _Reader:
    def __init__(self, stream: Unpacked, verdict: Verdict, listen: Listen | None) -> None:
        self._stream = stream
        self._verdict = verdict
        self._listen = listen
        self._chain = ChainReader()

    def run(self, size_bytes: int, whose: "Key | Identity | None") -> None:
        manifest = self.manifest(size_bytes)
        self._envelope_and_sums(manifest, whose)
        for number, file in enumerate(manifest.files):
            self._expect_header(header_of(file.path, file.bytes, manifest), number, manifest)
            self._content(file)
        self._expect_end(manifest)

    def _read(self, length: int, what: str) -> bytes:
        try:
            data = self._stream.read(length)
        except DamagedError as error:
            raise DamagedError(f"{error} (while reading {what})") from error
        if len(data) < length:
            raise _WrongError(f"the tar ends within {what}: it was cut")
        return data

    def manifest(self, size_bytes: int) -> Manifest:
        head = self._read(BLOCK_BYTES, FILE_NAME)
        info = _header(head)
        if info is None or info.name != FILE_NAME or not 0 < info.size <= MAX_BYTES:
            raise _WrongError(
                f"does not begin with {FILE_NAME}: it is no bundle of podmedic, or was changed"
            )
        data = self._read(info.size, FILE_NAME)
        try:
            manifest = decode(data)
        except ManifestError as error:
            raise _WrongError(f"{FILE_NAME} {error}") from error
        total = sum(file.bytes for file in manifest.files)
        if total > FREE_BYTES + MAX_RATIO * size_bytes:
            raise _WrongError(
                f"refused: {total} bytes are said to be in a file of {size_bytes}; that is a bomb"
            )
        if head != header_of(FILE_NAME, len(data), manifest):
            self._verdict.add(f"{FILE_NAME}: its tar header was changed")
        self._verdict.manifest = manifest
        self._verdict.manifest_sha256 = sha256(data)
        self._expect_padding(FILE_NAME, len(data))
        return manifest

    def _envelope_and_sums(self, manifest: Manifest, whose: "Key | Identity | None") -> None:
        verdict = self._verdict
        head = self._read(BLOCK_BYTES, "the file after the manifest")
        info = _header(head)
        envelope = b""
        if info is not None and info.name in {SIGNATURE_NAME, SIGSTORE_NAME}:
            if not 0 < info.size <= signing.MAX_BYTES:
                raise _WrongError(f"{info.name} is said to have {info.size} bytes")
            envelope = self._read(info.size, info.name)
            if head != header_of(signing.name_of(envelope), info.size, manifest):
                verdict.add(f"{info.name}: its tar header was changed")
            self._expect_padding(info.name, info.size)
            head = self._read(BLOCK_BYTES, SUMS_NAME)
        check_envelope(verdict, envelope, whose)
        _, expected = own_files(manifest, envelope)[-1]
        if head != header_of(SUMS_NAME, len(expected), manifest):
            raise _WrongError(_misplaced(_header(head), SUMS_NAME, manifest))
        if self._read(len(expected), SUMS_NAME) != expected:
            verdict.add(f"{SUMS_NAME}: was changed")
        self._expect_padding(SUMS_NAME, len(expected))

    def _expect_header(self, expected: bytes, number: int, manifest: Manifest) -> None:
        path = manifest.files[number].path
        head = self._read(BLOCK_BYTES, path)
        if head == expected:
            return
        info = _header(head)
        same = (tarfile.REGTYPE, path, manifest.files[number].bytes)
        if info is not None and (info.type, info.name, info.size) == same:
            self._verdict.add(f"{path}: its tar header was changed")
            return
        raise _WrongError(_misplaced(info, path, manifest))

    def _content(self, file: File) -> None:
        digest = hashlib.sha256()
        is_journal = file.path == JOURNAL_NAME
        left = file.bytes
        while left:
            chunk = self._read(min(CHUNK_BYTES, left), file.path)
            digest.update(chunk)
            left -= len(chunk)
            if is_journal:
                self._chain.feed(chunk)
            if self._listen is not None:
                self._listen(file, chunk)
        if self._listen is not None:
            self._listen(file, b"")
        if digest.hexdigest() != file.sha256:
            self._verdict.add(_changed(file, digest.hexdigest()))
        if is_journal:
            check_chain(self._verdict, self._chain.end())
        self._expect_padding(file.path, file.bytes)

    def _expect_padding(self, path: str, size_bytes: int) -> None:
        padding = padding_of(size_bytes)
        if padding and self._read(len(padding), path) != padding:
            self._verdict.add(f"{path}: something was hidden behind it")

    def _expect_end(self, manifest: Manifest) -> None:
        end = self._stream.read(len(END))
        if end[:BLOCK_BYTES] != END[:BLOCK_BYTES]:
            if len(end) < BLOCK_BYTES:
                raise _WrongError("the tar has no end: it was cut")
            raise _WrongError(_misplaced(_header(end[:BLOCK_BYTES]), "", manifest))
        if end != END:
            self._verdict.add("the end of the tar was changed")
        if self._stream.read(1):
            raise _WrongError("something was added behind the end of the tar")


def _check_seal(
    stream: Unpacked,
    digest: "hashlib._Hash",
    seal: bytes,
    verdict: Verdict,
    whose: "Key | Identity | None",
) -> None:
    if len(seal) > MAX_SEAL_BYTES:
        raise _WrongError("something was added behind the end")
    envelope = envelope_in(stream.codec, seal)
    if seal_of(stream.codec, digest, envelope) != seal:
        verdict.add(
            "the bytes of the file are not those that were sealed: a byte was changed or added, "
            "or the same was packed in another way"
        )
    if bool(envelope) != verdict.is_signed:
        verdict.add(
            "the manifest is signed and the seal of the file is not"
            if verdict.is_signed
            else "the seal of the file is signed and the manifest is not"
        )
    elif envelope:
        statement = signing.archive_statement(verdict.manifest_sha256, digest.hexdigest())
        if why := signing.problem_of(envelope, statement, whose):
            verdict.add(f"the signature in the seal {why}")


def check_envelope(verdict: Verdict, envelope: bytes, whose: "Key | Identity | None") -> None:
    """Empty: there is none."""
    manifest = verdict.manifest
    assert manifest is not None
    verdict.is_signed = bool(envelope)
    verdict.is_keyless = signing.is_keyless(envelope)
    if not envelope:
        if whose is not None:
            asked = "who signed it" if isinstance(whose, signing.Identity) else "the key"
            verdict.add(f"is not signed, so {asked} could not be asked")
        return
    statement = signing.manifest_statement(manifest, verdict.manifest_sha256)
    why = signing.problem_of(envelope, statement, whose)
    if why:
        verdict.add(f"{signing.name_of(envelope)} {why}")
    verdict.is_checked = whose is not None and not why


def check_chain(verdict: Verdict, chain: Chain) -> None:
    if chain.broken_at:
        verdict.add(
            f"{JOURNAL_NAME}:{chain.broken_at}: does not follow from the line before it: a line "
            "was changed, removed, added or moved before the bundle was made"
        )


def _changed(file: File, found: str) -> str:
    return f"{file.path}: was changed: sha256 is {found}, sealed was {file.sha256}"


def _header(head: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(head, "utf-8", "replace")
    except tarfile.HeaderError:
        return None


def _misplaced(info: tarfile.TarInfo | None, path: str, manifest: Manifest) -> str:
    """What is wrong where `path`, or the end, was expected."""
    expected = f"where {path} was expected" if path else "where the end was expected"
    if info is None:
        return f"{path or 'the end'}: its tar header was changed"
    name = repr(info.name) if len(info.name) < 300 else f"a name of {len(info.name)} characters"
    if info.type not in {tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE}:
        kind = "a link" if info.issym() or info.islnk() else "no file"
        return f"{name} is {kind} {expected}: refused"
    sealed = {file.path: file.bytes for file in manifest.files}
    if info.name == path:
        return f"{path}: has {info.size} bytes, sealed were {sealed.get(path, '?')}"
    if info.name in sealed or info.name in OWN_NAMES:
        if path and info.name > path:
            return f"{path}: was removed or moved: {info.name} stands in its place"
        return f"{info.name}: stands a second time or was moved, {expected}"
    return f"{name} was added or renamed: it stands {expected}"


def lines_of(verdict: Verdict) -> Iterator[str]:
    yield from verdict.problems
    if len(verdict.problems) == _MAX_PROBLEMS:
        yield "and more"
