"""The compressed file around the tar: how it is written, how it is read in bounded memory, and the
seal at its end.

A decompressor overlooks much: bits of a header, other ways to say the same bytes, what follows the
end. So the file ends with a seal that every tool skips, a frame of zstd that holds no data, or an
empty member of gzip: the signature of all bytes before it, if there is one, and then the SHA-256 of
all bytes before that hash.
"""

import os
import sys
import zlib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import msgspec

if TYPE_CHECKING:
    from hashlib import _Hash

    from backports import zstd

MAX_SEAL_BYTES = 32 * 1024
_CHUNK_BYTES = 128 * 1024
_DIGEST_CHARS = 64
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC = b"\x1f\x8b"
# No level that we write with looks further back.
_MAX_WINDOW_LOG = 23
_SKIPPABLE = b"\x5d\x2a\x4d\x18"
# An empty member with an extra field, whose only subfield is PM.
_MEMBER = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"
_MEMBER_REST = b"\x03\x00" + bytes(8)
_SUBFIELD = b"PM"


@cache
def _zstd() -> Any:
    """Imported for a bundle: a run that is sealed without one has no use for it."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


class DamagedError(Exception):
    """The file cannot be read on; one line without its name."""


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Codec(Protocol):
    def compressor(self) -> Compressor: ...
    def decompressor(self) -> "_Decompressor": ...
    def seal(self, payload_bytes: int) -> tuple[bytes, bytes]:
        """What stands before and behind a payload of that length."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def more(self, data: bytes) -> bytes:
        """At most some hundred kilobytes; with b"" what is left of the data given before."""

    @property
    def is_hungry(self) -> bool: ...


class _Zstd:
    def compressor(self) -> Compressor:
        zstd = _zstd()
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: 6,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        return cast(Compressor, zstd.ZstdCompressor(options=options))

    def decompressor(self) -> _Decompressor:
        return _ZstdReader()

    def seal(self, payload_bytes: int) -> tuple[bytes, bytes]:
        return _SKIPPABLE + payload_bytes.to_bytes(4, "little"), b""


class _ZstdReader:
    def __init__(self) -> None:
        limit: dict[int, int] = {_zstd().DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        self._raw: zstd.ZstdDecompressor = _zstd().ZstdDecompressor(options=limit)

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data

    @property
    def is_hungry(self) -> bool:
        return self._raw.needs_input

    def more(self, data: bytes) -> bytes:
        try:
            return self._raw.decompress(data, _CHUNK_BYTES)
        except _zstd().ZstdError as error:
            raise DamagedError(f"cannot be unpacked: {error}") from error


class _Gzip:
    def compressor(self) -> Compressor:
        return zlib.compressobj(6, zlib.DEFLATED, 31)

    def decompressor(self) -> _Decompressor:
        return _GzipReader()

    def seal(self, payload_bytes: int) -> tuple[bytes, bytes]:
        field = _SUBFIELD + payload_bytes.to_bytes(2, "little")
        extra_bytes = (len(field) + payload_bytes).to_bytes(2, "little")
        return _MEMBER + extra_bytes + field, _MEMBER_REST


class _GzipReader:
    def __init__(self) -> None:
        self._raw = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data

    @property
    def is_hungry(self) -> bool:
        return not self._raw.unconsumed_tail

    def more(self, data: bytes) -> bytes:
        try:
            return self._raw.decompress(data or self._raw.unconsumed_tail, _CHUNK_BYTES)
        except zlib.error as error:
            raise DamagedError(f"cannot be unpacked: {error}") from error


ZSTD: Codec = _Zstd()
GZIP: Codec = _Gzip()


def codec_for(name: str) -> Codec | None:
    """By the end of a file's name."""
    if name.endswith((".tar.zst", ".tzst")):
        return ZSTD
    return GZIP if name.endswith((".tar.gz", ".tgz")) else None


def seal_of(codec: Codec, digest: "_Hash", envelope: bytes) -> bytes:
    """`digest` has heard all bytes before the seal; `envelope` may be empty."""
    before, behind = codec.seal(len(envelope) + _DIGEST_CHARS)
    digest = digest.copy()
    digest.update(before + envelope)
    return before + envelope + digest.hexdigest().encode() + behind


def envelope_in(codec: Codec, seal: bytes) -> bytes:
    """What stands where the envelope would be: whoever reads it makes the seal anew and compares.
    Raises DamagedError."""
    before, behind = codec.seal(0)
    room = len(before) + _DIGEST_CHARS + len(behind)
    if len(seal) < room:
        raise DamagedError("has no seal at its end: it was cut, or is no bundle of podmedic")
    return seal[len(before) : len(seal) - _DIGEST_CHARS - len(behind)]


class Unpacked(msgspec.Struct):
    """The tar in a compressed file, from its beginning. `digest` hears all bytes of the file that
    belong to the tar."""

    file: BinaryIO
    digest: "_Hash"
    codec: Codec
    _raw: _Decompressor
    _ready: bytearray
    packed_bytes: int = 0
    _last: bytes = b""

    @classmethod
    def open(cls, file: BinaryIO, digest: "_Hash") -> "Unpacked":
        """Raises DamagedError, OSError."""
        magic = file.read(4)
        file.seek(0)
        codec = ZSTD if magic == _ZSTD_MAGIC else GZIP if magic[:2] == _GZIP_MAGIC else None
        if codec is None:
            raise DamagedError("is neither a .tar.zst nor a .tar.gz")
        return cls(file, digest, codec, codec.decompressor(), bytearray())

    def read(self, length: int) -> bytes:
        """Fewer bytes at the end of the tar only. Raises DamagedError, OSError."""
        while len(self._ready) < length and not self._raw.eof:
            self._fill()
        data = bytes(self._ready[:length])
        del self._ready[:length]
        return data

    def _fill(self) -> None:
        data = b""
        if self._raw.is_hungry:
            data = self.file.read(_CHUNK_BYTES)
            if not data:
                raise DamagedError(f"is cut: it ends after {self.packed_bytes} bytes")
            self.digest.update(self._last)
            self.packed_bytes += len(data)
            self._last = data
        self._ready += self._raw.more(data)
        if self._raw.eof:
            # What is not of the tar was in the last chunk that was read.
            unused = len(self._raw.unused_data)
            self.digest.update(self._last[: len(self._last) - unused])
            self.packed_bytes -= unused
            self.file.seek(-unused, os.SEEK_CUR)

    def rest(self) -> bytes:
        """What follows the tar's compressed bytes, as far as a seal can be long."""
        return self.file.read(MAX_SEAL_BYTES + 1)
