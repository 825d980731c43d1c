"""`podmedic keygen`, `bundle`, `verify` as a user meets them; run directories; hostile bundles."""

import gzip
import os
import random
import tarfile
import time
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from runner.bundle.archive import header_of, own_files, padding_of
from runner.bundle.codec import ZSTD
from runner.bundle.directory import verify_directory
from runner.bundle.manifest import File, Manifest, encode
from runner.bundle.seal import describe
from runner.bundle.verify import Verdict
from runner.cli.main import explain, podmedic
from tests.unit.bombs import zeros
from tests.unit.bundles import (
    KEY,
    PRIVATE,
    PUBLIC,
    SIGNER,
    bundle,
    run_directory,
    sealed_directory,
    verified,
)


def command(*words: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    result = CliRunner().invoke(podmedic, [str(word) for word in words], standalone_mode=False)
    if isinstance(result.exception, Exception):
        line, code = explain(result.exception)
        return code, result.stdout, f"{result.stderr}podmedic: {line}\n"
    return int(result.return_value), result.stdout, result.stderr


def test_from_keys_to_a_verified_bundle(tmp_path: Path) -> None:
    run, name = run_directory(tmp_path / "run"), tmp_path / "shop"
    assert command("keygen", "-o", name) == (
        0, f"{name}.key signs: keep it secret. {name}.pub verifies: give it to everybody.\n", ""
    )  # fmt: skip
    assert Path(f"{name}.key").stat().st_mode & 0o777 == 0o600
    code, _, said = command("bundle", run, "--key", f"{name}.key")
    file = tmp_path / "run.tar.zst"
    assert (code, said) == (0, f"Bundle: {file} (7 files, signed)\n")
    code, told, said = command("verify", file, "--key", f"{name}.pub")
    assert (code, said) == (0, "")
    assert told.splitlines()[0].startswith(f"{file}: every byte is as it was sealed (7 files, ")
    assert told.splitlines()[1:] == [
        f"Signature: by the key {name}.pub",
        "Run: 20261123-031240-k3f9, 2026-11-23 03:12:40 to 03:13:22 UTC, podmedic 0.1.0",
        "Who: system:serviceaccount:shop:podmedic, on podmedic-1",
        "Where: lab (https://10.0.0.1:6443), cluster uid k1",
        "Changed: 0 ephemeral containers in 0 pods",
    ]
    assert "Signature: NOT CHECKED." in command("verify", file)[1]
    assert command("verify", file, "-q") == (
        0, "", f"podmedic: {file}: the signature was not checked: no --key was given\n"
    )  # fmt: skip
    command("bundle", run, "-o", tmp_path / "u.tar.gz")
    assert "Signature: NONE." in command("verify", tmp_path / "u.tar.gz")[1]

    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    code, told, said = command("verify", file, "--key", f"{name}.pub")
    assert (code, told) == (1, "")
    assert said.splitlines()[-1] == f"podmedic: {file} is NOT what was sealed"


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    name = tmp_path / "shop"
    command("keygen", "-o", name, "--type", "ecdsa-p256")
    before = Path(f"{name}.key").read_bytes()
    code, _, said = command("keygen", "-o", name)
    assert code == 4
    assert said == (
        f"podmedic: {name}.key is there already and is not overwritten: what was signed with it "
        "could not be verified any more; name another one\n"
    )
    Path(f"{name}.key").unlink()
    assert command("keygen", "-o", name)[2].startswith(f"podmedic: {name}.pub is there already")
    assert b"PRIVATE KEY" in before
    assert not Path(f"{name}.key").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "a.tar.zst", "--key", "k.key"), "--key k.key is a private key; to verify takes the public one (NAME.pub)"),
        (("verify", "a.tar.zst", "--key", "no"), "--key no: cannot be read: No such file or directory"),
        (("verify", "a.tar.zst", "--key", "a.tar.zst"), "--key a.tar.zst is not a public key in PEM"),
        (("verify", "no"), "no: cannot be read: No such file or directory"),
        (("bundle", "run", "--key", "k.pub"), "--key k.pub is a public key; to sign takes the private one (NAME.key)"),
        (("bundle", "run", "-o", "run/x.tar.gz"), "run/x.tar.gz lies in the run that it is to hold; name another place"),
        (("bundle", "run", "-o", "x.zip"), "x.zip: a bundle is a .tar.zst or .tar.gz"),
        (("bundle", "no"), "no: there is no such directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle(run_directory(tmp_path / "run"), tmp_path / "a.tar.zst")
    (tmp_path / "k.key").write_bytes(PRIVATE)
    (tmp_path / "k.pub").write_bytes(PUBLIC)
    assert command(*words) == (4, "", f"podmedic: {said}\n")


def test_a_run_directory_tells_all_that_is_wrong(tmp_path: Path) -> None:
    run = sealed_directory(tmp_path / "run", SIGNER)
    assert verify_directory(run, KEY).problems == []
    assert verify_directory(run, KEY).is_checked
    (run / "blobs/0a").write_bytes(b"other")
    (run / "blobs/0b").rename(run / "blobs/0d")
    (run / "report.html").unlink()
    (run / ".hidden").write_bytes(b"x")
    (run / "blobs/0c").unlink()
    (run / "blobs/0c").symlink_to("/etc/passwd")
    os.mkfifo(run / "pipe")
    assert verify_directory(run, KEY).problems == [
        "blobs/0a: was changed: it has 5 bytes, sealed were 520",
        "blobs/0c: is a link or no file any more",
        ".hidden: was added",
        "blobs/0b: was renamed to blobs/0d",
        "pipe: was added, and is no file",
        "report.html: was removed",
    ]


def test_every_byte_of_a_run_directory_counts(tmp_path: Path) -> None:
    """Those of the manifest, its signature and the sums too."""
    run = sealed_directory(tmp_path / "run", SIGNER)
    rng = random.Random(3)
    for name in ("manifest.json", "manifest.dsse.json", "SHA256SUMS", "journal.jsonl", "run.json"):
        data = (run / name).read_bytes()
        for at in rng.sample(range(len(data)), 120):
            (run / name).write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
            assert verify_directory(run, None).problems, (name, at)
        for other in (data[:-1], data + b"\n", b""):
            (run / name).write_bytes(other)
            assert verify_directory(run, None).problems, name
        (run / name).unlink()
        assert verify_directory(run, KEY).problems, name
        (run / name).write_bytes(data)
    assert verify_directory(run, KEY).problems == []


def test_what_changed_after_the_run_is_said(tmp_path: Path) -> None:
    run = sealed_directory(tmp_path / "run")
    (run / "report.html").write_bytes(b"nicer")
    code, _, said = command("bundle", run)
    assert code == 0
    assert said == (
        f"podmedic: {run}/report.html was changed since the run ended; the bundle says so\n"
        f"Bundle: {run}.tar.zst (7 files, not signed: see --key)\n"
    )
    told = command("verify", f"{run}.tar.zst")[1]
    assert told.splitlines()[-1] == (
        "Changed between the end of the run and the sealing: report.html"
    )


def forged(manifest: bytes, members: bytes, head: bytes | None = None) -> bytes:
    """A hostile file, whose seal does not matter: what is refused is refused before it."""
    if head is None:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(manifest)
        head = info.tobuf(tarfile.USTAR_FORMAT)
    return gzip.compress(head + manifest + padding_of(len(manifest)) + members, 1)


def a_manifest(tmp_path: Path) -> Manifest:
    return describe(run_directory(tmp_path / "run"), None).manifest


def files(*paths: str, size_bytes: int = 0) -> tuple[File, ...]:
    return tuple(File(path=path, sha256="0" * 64, bytes=size_bytes) for path in paths)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (files("../x"), "manifest.json names a file '../x', whose name does not stay in the directory"),
        (files("/etc/x"), "manifest.json names a file '/etc/x', whose name does not stay in the directory"),
        (files("a", "a"), "manifest.json names a twice or out of order"),
        (files("b", "a"), "manifest.json names a twice or out of order"),
        (files("A", "a"), "manifest.json names a, which another name is but for its case"),
        (files("Manifest.json"), "manifest.json names Manifest.json, which another name is but for its case"),
        (files("sha256sums"), "manifest.json names sha256sums, which another name is but for its case"),
        (files("a", "a/b"), "manifest.json names a as a file and as a folder"),
        (files("A/b/c", "a/B"), "manifest.json names a/b as a file and as a folder"),
        (files("a\0b"), "manifest.json names a file 'a\\x00b', whose name has characters other than letters, digits, '.', '_' and '-', or begins with one"),
        (files("a", size_bytes=-1), "manifest.json says that a has -1 bytes"),
        (files("a", size_bytes=1 << 60), f"manifest.json says that a has {1 << 60} bytes"),
        (files(*(f"{n:02}" for n in range(99)), size_bytes=1 << 30), f"manifest.json names {99 << 30} bytes of files, more than {64 << 30}"),
    ],
)  # fmt: skip
def test_manifests_that_no_bundle_of_ours_has(
    tmp_path: Path, named: tuple[File, ...], said: str
) -> None:
    manifest = msgspec.structs.replace(a_manifest(tmp_path), files=named)
    assert verified(forged(encode(manifest), b"")).problems == [said]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    manifest = msgspec.structs.replace(a_manifest(tmp_path), files=files("a", size_bytes=8 << 29))
    problems = verified(forged(encode(manifest), b"")).problems
    assert problems[0].startswith(f"refused: {8 << 29} bytes are said to be in a file of ")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "'a' is a link where a was expected: refused"),
        (tarfile.LNKTYPE, "'a' is a link where a was expected: refused"),
        (tarfile.CHRTYPE, "'a' is no file where a was expected: refused"),
        (tarfile.BLKTYPE, "'a' is no file where a was expected: refused"),
        (tarfile.FIFOTYPE, "'a' is no file where a was expected: refused"),
        (tarfile.DIRTYPE, "'a' is no file where a was expected: refused"),
        (tarfile.XHDTYPE, "'a' is no file where a was expected: refused"),
        (tarfile.GNUTYPE_LONGNAME, "'a' is no file where a was expected: refused"),
        (tarfile.GNUTYPE_SPARSE, "a: has 1099511627776 bytes, sealed were 0"),
        (tarfile.REGTYPE, "a: has 1099511627776 bytes, sealed were 0"),
    ],
)
def test_entries_that_are_no_plain_files(tmp_path: Path, kind: bytes, said: str) -> None:
    manifest = msgspec.structs.replace(a_manifest(tmp_path), files=files("a"))
    info = tarfile.TarInfo("a")
    info.type, info.linkname, info.size = kind, "/etc/passwd", 1 << 40
    if kind not in {tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE}:
        info.size = 0
    hostile = info.tobuf(tarfile.GNU_FORMAT)[-512:]
    if kind == tarfile.XHDTYPE:
        hostile = info.tobuf(tarfile.USTAR_FORMAT)
    assert verified(with_sums(manifest, hostile)).problems == [said]


def with_sums(manifest: Manifest, members: bytes) -> bytes:

    pieces = [
        header_of(name, len(data), manifest) + data + padding_of(len(data))
        for name, data in own_files(manifest, b"")
    ]
    return gzip.compress(b"".join(pieces) + members, 1)


def refused_cheaply(data: bytes) -> Verdict:
    tracemalloc.start()
    began = time.process_time()
    verdict = verified(data)
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.problems
    assert seconds < 5
    assert peak < 96 << 20
    return verdict


def test_hostile_streams_cost_little(tmp_path: Path) -> None:
    manifest = a_manifest(tmp_path)
    refused_cheaply(zeros(512))
    giant = tarfile.TarInfo("manifest.json")
    giant.size = 1 << 40
    assert refused_cheaply(gzip.compress(giant.tobuf(tarfile.GNU_FORMAT))).problems == [
        "does not begin with manifest.json: it is no bundle of podmedic, or was changed"
    ]
    members = b"".join(tarfile.TarInfo(f"f{n}").tobuf(tarfile.USTAR_FORMAT) for n in range(20_000))
    assert (
        refused_cheaply(forged(encode(manifest), members))
        .problems[0]
        .startswith("manifest.json: its tar header was changed")
    )
    assert (
        refused_cheaply(forged(b"[" * (1 << 20), b""))
        .problems[0]
        .startswith("manifest.json is not a manifest: ")
    )
    # A window of two gigabytes, and blocks that hold nothing, for ever.
    window = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x00\x00\x00" * 1000
    assert "cannot be unpacked" in refused_cheaply(window).problems[0]
    empty = ZSTD.compressor().compress(b"")
    refused_cheaply(empty + b"\x28\xb5\x2f\xfd\x00\x58" + b"\x00\x00\x00" * 1_000_000)
    for junk in (b"", b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"):
        refused_cheaply(junk)


def test_nothing_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bundle(run_directory(tmp_path / "run"), tmp_path / "a.tar.zst", signer=SIGNER)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert verified(data, KEY).problems == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "key", ["k8s://shop", "k8s:///x", "k8s://shop/a/b/c", "k8s://Shop/x", "k8s://a/../b"]
)
def test_what_is_no_name_of_a_secret(tmp_path: Path, key: str) -> None:
    """Refused before anything is asked or written."""
    said = f"podmedic: --key {key}: a key in a Secret looks like k8s://NAMESPACE/NAME, or k8s://NAMESPACE/NAME/ENTRY\n"
    run = run_directory(tmp_path / "run")
    assert command("bundle", run, "--key", key) == (4, "", said)
    assert command("run", "-n", "shop", "--bundle", "--key", key) == (4, "", said)
    assert command("rbac", "--key", key) == (4, "", said)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_signature_is_verified_without_a_cluster(tmp_path: Path) -> None:
    sealed = tmp_path / "run.tar.zst"
    bundle(run_directory(tmp_path / "run"), sealed)
    code, _, said = command("verify", sealed, "--key", "k8s://shop/podmedic-key")
    assert code == 4
    assert said.endswith("to verify takes a file (NAME.pub) and no cluster\n")
