"""Streams that are small and unpack to much."""

import gzip
import struct
import zlib

_MIB = bytes(1 << 20)


def zeros(mib: int) -> bytes:
    """Gzip of so many MiB of zeros: one packed MiB, repeated; to pack them all takes seconds."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(_MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    sum_of_all = 0
    for _ in range(mib):
        sum_of_all = zlib.crc32(_MIB, sum_of_all)
    head = gzip.compress(b"")[:10]
    return head + block * mib + packer.flush() + struct.pack("<II", sum_of_all, mib << 20)
