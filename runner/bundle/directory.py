"""The files of a run directory: read without following links, hashed, held against a manifest."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runner.bundle import signing
from runner.bundle.archive import CHUNK_BYTES, own_files, sha256
from runner.bundle.manifest import (
    FILE_NAME,
    MAX_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    OWN_NAMES,
    SIGNATURE_NAME,
    SIGSTORE_NAME,
    SUMS_NAME,
    File,
    Manifest,
    ManifestError,
    decode,
)
from runner.bundle.verify import Verdict, check_chain, check_envelope
from runner.journal import FILE_NAME as JOURNAL_NAME
from runner.journal import Chain, ChainReader
from runner.model.names import why_not_portable

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from runner.bundle.signing import Identity

_MAX_DEPTH = 16
_MAX_FOREIGN = 1000
ANYTHING = "*"
_OWN_FOLDERS = frozenset({"blobs", "artifacts"})
# Reports and comparisons have many formats.
_OWN_FILE = re.compile(
    r"run\.json|journal\.jsonl|results\.jsonl|redactions\.jsonl|evidence\.json\.gz"
    r"|junit\.xml|findings\.csv|(report|diff)\.[A-Za-z0-9][A-Za-z0-9.]*"
)
# O_NONBLOCK: to open a pipe would wait for its other end.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DirectoryError(Exception):
    """There is something in a run directory that no bundle can hold; one line."""


def open_plain(path: Path) -> BinaryIO:
    """A regular file, and nothing that pretends to be one. Raises OSError."""
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def is_of_a_run(name: str) -> bool:
    """Whether podmedic gives files and folders at the top of a run directory such names."""
    return name in _OWN_FOLDERS or _OWN_FILE.fullmatch(name) is not None


def foreign_in(directory: Path) -> tuple[str, ...]:
    """What else lies at the top of it: a volume's `lost+found`, or a whole home folder. It is not
    looked into. Raises OSError."""
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries if not is_of_a_run(entry.name))
    names = [name for name in names if name not in OWN_NAMES]
    return tuple(names) if len(names) <= _MAX_FOREIGN else (ANYTHING,)


def walk(directory: Path, skip: Callable[[str], bool]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Relative paths of all that is no directory, in no order, but for what is to be skipped at the
    top. Raises OSError, DirectoryError for more of it than a run leaves."""
    waiting = [(directory, "", 0)]
    count = 0
    while waiting:
        folder, prefix, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if depth == 0 and skip(entry.name):
                    continue
                count += 1
                if count > 2 * MAX_FILES or depth > _MAX_DEPTH:
                    raise DirectoryError(f"{directory} holds more than a run leaves: refused")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{prefix}{entry.name}/", depth + 1))
                else:
                    yield prefix + entry.name, entry


def files_of(directory: Path) -> list[File]:
    """With their hashes, in order of their names. Not the manifest and what comes with it. Raises
    DirectoryError, OSError."""
    files = []
    folded: dict[str, str] = {}
    for path, entry in walk(directory, lambda name: not is_of_a_run(name)):
        if not entry.is_file(follow_symlinks=False):
            kind = "a link" if entry.is_symlink() else "no regular file"
            raise DirectoryError(f"{entry.path} is {kind}: move it out of the run directory")
        if why := why_not_portable(path):
            mend = "rename it or move it out of the run directory"
            raise DirectoryError(f"{entry.path} cannot be kept everywhere, its name {why}: {mend}")
        other = folded.setdefault(path.casefold(), path)
        if other != path:
            raise DirectoryError(f"{directory}: {other} and {path} differ in their case only")
        file = hashed(directory, path)
        if file.bytes > MAX_FILE_BYTES:
            raise DirectoryError(f"{entry.path} has more than {MAX_FILE_BYTES} bytes")
        files.append(file)
    if len(files) > MAX_FILES:
        raise DirectoryError(f"{directory} holds more than {MAX_FILES} files")
    return sorted(files, key=lambda file: file.path)


def hashed(directory: Path, path: str) -> File:
    """Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open_plain(directory / path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return File(path=path, sha256=digest.hexdigest(), bytes=size)


def _own(directory: Path, name: str, limit: int) -> bytes:
    """Empty where there is none. Raises OSError."""
    try:
        with open_plain(directory / name) as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        return b""


def chain_in(directory: Path) -> Chain:
    """Raises OSError."""
    reader = ChainReader()
    with open_plain(directory / JOURNAL_NAME) as file:
        while chunk := file.read(CHUNK_BYTES):
            reader.feed(chunk)
    return reader.end()


def read_manifest(directory: Path) -> tuple[Manifest, bytes] | None:
    """None where there is none. Raises ManifestError, OSError."""
    data = _own(directory, FILE_NAME, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise ManifestError(f"has more than {MAX_BYTES} bytes")
    return (decode(data), data) if data else None


def changed_since(directory: Path, files: list[File]) -> list[str]:
    """Files that are not any more as the run's own manifest says. Raises OSError."""
    try:
        found = read_manifest(directory)
    except ManifestError:
        return [FILE_NAME]
    if found is None:
        return []
    now = {file.path: file for file in files}
    return [file.path for file in found[0].files if now.get(file.path) != file]


def verify_directory(directory: Path, whose: "Key | Identity | None") -> Verdict:
    """All that is wrong, not only the first of it. Raises OSError."""
    verdict = Verdict()
    try:
        found = read_manifest(directory)
    except ManifestError as error:
        verdict.add(f"{FILE_NAME} {error}")
        return verdict
    if found is None:
        verdict.add(f"has no {FILE_NAME}: it is no run, the run did not end, or it was removed")
        return verdict
    manifest, data = found
    verdict.manifest, verdict.manifest_sha256 = manifest, sha256(data)
    found_signatures = {
        name: data
        for name in (SIGNATURE_NAME, SIGSTORE_NAME)
        if (data := _own(directory, name, signing.MAX_BYTES))
    }
    envelope = next(iter(found_signatures.values()), b"")
    for name in found_signatures.keys() - {signing.name_of(envelope)}:
        verdict.add(f"{name}: was added or renamed")
    check_envelope(verdict, envelope, whose)
    expected = own_files(manifest, envelope)[-1][1]
    if _own(directory, SUMS_NAME, len(expected)) != expected:
        verdict.add(f"{SUMS_NAME}: was changed or removed")
    try:
        _compare(directory, manifest, verdict)
    except DirectoryError as error:
        verdict.add(str(error))
    verdict.is_checked = verdict.is_checked and not verdict.problems
    return verdict


def _compare(directory: Path, manifest: Manifest, verdict: Verdict) -> None:
    known = frozenset(manifest.foreign)
    there = dict(walk(directory, lambda name: name in known or _is_any(name, known)))
    missing: dict[tuple[str, int], str] = {}
    for file in manifest.files:
        entry = there.pop(file.path, None)
        if entry is None:
            missing[file.sha256, file.bytes] = file.path
        elif not entry.is_file(follow_symlinks=False):
            verdict.add(f"{file.path}: is a link or no file any more")
        else:
            found = hashed(directory, file.path)
            if found != file:
                verdict.add(f"{file.path}: was changed: {_difference(file, found)}")
        if file.path == JOURNAL_NAME and entry is not None:
            check_chain(verdict, chain_in(directory))
    for path in sorted(there.keys() - set(OWN_NAMES)):
        if there[path].is_file(follow_symlinks=False):
            found = hashed(directory, path)
            was = missing.pop((found.sha256, found.bytes), None)
            verdict.add(f"{path}: was added" if was is None else f"{was}: was renamed to {path}")
        else:
            verdict.add(f"{path}: was added, and is no file")
    for path in sorted(missing.values()):
        verdict.add(f"{path}: was removed")


def _is_any(name: str, known: frozenset[str]) -> bool:
    return ANYTHING in known and not is_of_a_run(name)


def _difference(sealed: File, found: File) -> str:
    if found.bytes != sealed.bytes:
        return f"it has {found.bytes} bytes, sealed were {sealed.bytes}"
    return f"sha256 is {found.sha256}, sealed was {sealed.sha256}"
