"""A run directory as `podmedic run` leaves it, and bundles made of it."""

import asyncio
import io
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from securesystemslib.signer import CryptoSigner, SSlibKey

from runner import journal
from runner.bundle import signing
from runner.bundle.codec import GZIP, ZSTD, Codec, codec_for
from runner.bundle.seal import describe, write_beside, write_bundle
from runner.bundle.verify import Verdict, verify_bundle
from runner.model.report import Report
from runner.record import Actor, encode
from runner.report import write
from tests.unit.report_samples import report_of
from tests.unit.test_resume import record

NOW = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)
CODECS = {".tar.zst": ZSTD, ".tar.gz": GZIP}
PRIVATE, PUBLIC = signing.generate("ed25519")
SIGNER: CryptoSigner = signing.signer_of(PRIVATE)
KEY: SSlibKey = signing.public_key_of(PUBLIC)
OTHER: SSlibKey = signing.public_key_of(signing.generate("ed25519")[1])
ACTOR = Actor(user="system:serviceaccount:shop:podmedic", host="podmedic-1", image="r@sha256:1")
BLOBS = {"blobs/0a": b"first output\n" * 40, "blobs/0b": b"second output\n", "blobs/0c": b""}


def run_directory(
    directory: Path, report: Report | None = None, *, files: dict[str, bytes] | None = None
) -> Path:
    report = report_of() if report is None else report
    directory.mkdir()
    made = msgspec.structs.replace(record(actor=ACTOR), run=report.run.id)
    (directory / "run.json").write_bytes(encode(made))
    asyncio.run(_journal(directory / journal.FILE_NAME, report.run.id))
    write(directory, report)
    for name, data in (BLOBS if files is None else files).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


async def _journal(path: Path, run_id: str) -> None:
    book = journal.Journal(path, run_id, lambda: NOW)
    for event in ("run", "injecting", "finished"):
        await book.record(event, pod="web-0")
    book.close()


_NO_ASCII = bytes(byte | 0x80 for byte in range(256))


def noise(size: int) -> bytes:
    """Hardly smaller when it is packed, and like no secret: of 20 MiB of any bytes every third time
    some look like `pw=…`."""
    return os.urandom(size).translate(_NO_ASCII)


def bundle(
    directory: Path, path: Path, *, signer: CryptoSigner | None = None, without: Iterable[str] = ()
) -> bytes:
    codec: Codec | None = codec_for(path.name)
    assert codec is not None
    write_bundle(
        directory, path, codec, describe(directory, signer, without=tuple(without)), signer
    )
    return path.read_bytes()


def sealed_directory(directory: Path, signer: CryptoSigner | None = None) -> Path:
    write_beside(run_directory(directory), signer)
    return directory


def verified(data: bytes, whose: SSlibKey | signing.Identity | None = None) -> Verdict:
    return verify_bundle(io.BytesIO(data), len(data), whose)
