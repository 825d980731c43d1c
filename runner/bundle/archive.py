"""The tar in a bundle: a pure function of the manifest, the signature and the files. Headers hold
nothing but names and sizes, so there is one tar for one manifest, and whatever else is in the
place of a header is wrong."""

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from runner.bundle.codec import Codec, seal_of
from runner.bundle.manifest import (
    FILE_NAME,
    SUMS_NAME,
    File,
    Manifest,
    encode,
    sums,
)
from runner.bundle.signing import name_of

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
CHUNK_BYTES = 1 << 20


class ChangedMeanwhileError(Exception):
    """A file is not any more what its hash was made of."""


class _Sink(Protocol):
    def write(self, data: bytes) -> object: ...


def header_of(path: str, size_bytes: int, manifest: Manifest) -> bytes:
    """Its time is that of the run's start: unpacked files carry it, and it is always the same."""
    import tarfile  # noqa: PLC0415  a run that is sealed without a bundle has no use for it

    info = tarfile.TarInfo(path)
    info.size = size_bytes
    info.mode = 0o644
    info.mtime = int(manifest.when.started_at.timestamp())
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding_of(size_bytes: int) -> bytes:
    return bytes(-size_bytes % BLOCK_BYTES)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def own_files(manifest: Manifest, envelope: bytes) -> list[tuple[str, bytes]]:
    """What comes before the files of the run: the manifest, its signature if there is one, and the
    list for `sha256sum -c`."""
    files = [(FILE_NAME, encode(manifest))]
    if envelope:
        files.append((name_of(envelope), envelope))
    digests = [(name, sha256(data)) for name, data in files]
    return [*files, (SUMS_NAME, sums(manifest, digests))]


def write_archive(
    out: _Sink,
    codec: Codec,
    manifest: Manifest,
    envelope: bytes,
    open_file: Callable[[File], BinaryIO],
    sign_archive: Callable[[str], bytes],
) -> None:
    """`sign_archive` makes an envelope (or nothing) of the hash of all bytes before the seal. The
    same arguments give the same bytes. Raises ChangedMeanwhileError, OSError."""
    compressor = codec.compressor()
    digest = hashlib.sha256()
    for piece in _pieces(manifest, envelope, open_file):
        packed = compressor.compress(piece)
        digest.update(packed)
        out.write(packed)
    packed = compressor.flush()
    digest.update(packed)
    out.write(packed)
    out.write(seal_of(codec, digest, sign_archive(digest.hexdigest())))


def _pieces(
    manifest: Manifest, envelope: bytes, open_file: Callable[[File], BinaryIO]
) -> Iterator[bytes]:
    for name, data in own_files(manifest, envelope):
        yield header_of(name, len(data), manifest)
        yield data
        yield padding_of(len(data))
    for file in manifest.files:
        yield header_of(file.path, file.bytes, manifest)
        with open_file(file) as source:
            yield from _content(file, source)
        yield padding_of(file.bytes)
    yield END


def _content(file: File, source: BinaryIO) -> Iterator[bytes]:
    digest = hashlib.sha256()
    left = file.bytes
    while left and (chunk := source.read(min(CHUNK_BYTES, left))):
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if left or source.read(1) or digest.hexdigest() != file.sha256:
        raise ChangedMeanwhileError(f"{file.path} changed while it was being read")
