"""A bundle is the same file whenever it is made of the same run, and every byte of it counts."""

import gzip
import hashlib
import io
import itertools
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey

from runner.bundle import signing
from runner.bundle.codec import GZIP, ZSTD, Unpacked, envelope_in, seal_of
from runner.bundle.directory import verify_directory
from runner.bundle.manifest import AddedContainer, ChangedPod, File, Who, decode, encode
from runner.bundle.seal import describe, write_beside
from runner.record import RecordError
from runner.report.output import FILES
from tests.unit.bundles import CODECS, KEY, OTHER, SIGNER, bundle, run_directory, verified
from tests.unit.report_samples import report_of, rich_report

SUFFIXES = pytest.mark.parametrize("suffix", CODECS)
SIGNERS = pytest.mark.parametrize("signer", [SIGNER, None], ids=["signed", "unsigned"])


@SUFFIXES
@SIGNERS
def test_the_same_run_gives_the_same_file(
    tmp_path: Path, suffix: str, signer: CryptoSigner | None
) -> None:
    """Whatever the times and modes of its files are."""
    run = run_directory(tmp_path / "run", rich_report())
    first = bundle(run, tmp_path / f"a{suffix}", signer=signer)
    for path in run.rglob("*"):
        os.utime(path, (1, 1))
    (run / "report.json").chmod(0o600)
    assert bundle(run, tmp_path / f"b{suffix}", signer=signer) == first
    assert (tmp_path / f"a{suffix}").stat().st_mode & 0o777 == 0o600


def test_the_manifest_says_who_what_where_and_what_was_changed(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run", rich_report())
    manifest = describe(run, None).manifest
    report = rich_report()
    assert manifest.run == report.run.id
    assert manifest.who == Who(
        user="system:serviceaccount:shop:podmedic", host="podmedic-1", runner_version="0.1.0",
        runner_image="r@sha256:1",
    )  # fmt: skip
    assert (manifest.where.cluster_uid, manifest.where.server) == ("k1", "https://10.0.0.1:6443")
    assert manifest.where.namespaces == ("shop", "infra", "evil")
    assert (manifest.when.started_at, manifest.when.finished_at) == (
        report.run.started_at,
        report.run.finished_at,
    )
    assert manifest.playbooks == report.run.playbooks
    assert manifest.redacted
    assert (manifest.journal.chained, manifest.journal.unchained) == (3, 0)
    data = (run / "blobs/0a").read_bytes()
    assert (
        File(path="blobs/0a", sha256=hashlib.sha256(data).hexdigest(), bytes=520) in manifest.files
    )
    injected = [pod for pod in report.pods if pod.injections]
    assert injected
    assert manifest.changed_pods == tuple(
        ChangedPod(
            namespace=pod.namespace, name=pod.name, uid=pod.uid, node=pod.node,
            outcome=pod.outcome.value, harm=pod.harm.verdict.value if pod.harm else "",
            added=tuple(
                AddedContainer(
                    container=one.container, image=one.image, image_id=one.image_id,
                    strategy=one.strategy, profile=one.profile,
                    target_container_name=one.target_container_name,
                    injected_at=one.injected_at, reused=one.reused,
                )
                for one in pod.injections
            ),
        )
        for pod in injected
    )  # fmt: skip


@SUFFIXES
def test_the_right_key_and_no_other(tmp_path: Path, suffix: str) -> None:
    run = run_directory(tmp_path / "run")
    signed = bundle(run, tmp_path / f"a{suffix}", signer=SIGNER)
    right = verified(signed, KEY)
    assert (right.problems, right.is_signed, right.is_checked) == ([], True, True)
    unasked = verified(signed)
    assert (unasked.problems, unasked.is_signed, unasked.is_checked) == ([], True, False)
    wrong = verified(signed, OTHER)
    assert wrong.problems == [
        "manifest.dsse.json was signed by another key than the given one",
        "the signature in the seal was signed by another key than the given one",
    ]
    unsigned = bundle(run, tmp_path / f"b{suffix}")
    assert verified(unsigned).problems == []
    assert not verified(unsigned).is_signed
    assert verified(unsigned, KEY).problems == ["is not signed, so the key could not be asked"]


def test_ecdsa_signs_as_well(tmp_path: Path) -> None:
    private, public = signing.generate("ecdsa-p256")
    run = run_directory(tmp_path / "run")
    data = bundle(run, tmp_path / "a.tar.zst", signer=signing.signer_of(private))
    verdict = verified(data, signing.public_key_of(public))
    assert (verdict.problems, verdict.is_checked) == ([], True)
    assert verified(data, KEY).problems[0].startswith("manifest.dsse.json was signed by another")


def mutations(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Every byte once with one bit flipped, in an order of its own for each; and then some."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    for _ in range(120):
        a, b = sorted(rng.sample(range(len(data) + 1), 2))
        yield data[:a]
        yield data[:a] + data[b:]
        yield data[:a] + rng.randbytes(rng.randint(1, 8)) + data[a:]
        yield data[:a] + bytes(512) + data[a:]
        c = rng.randint(b, len(data))
        yield data[:a] + data[b:c] + data[a:b] + data[c:]
    yield data + b"\0"
    yield data + data
    yield b""


@SUFFIXES
@pytest.mark.parametrize(
    ("signer", "key"),
    [(SIGNER, KEY), (SIGNER, None), (None, None)],
    ids=["key", "signed-but-no-key", "unsigned"],
)
def test_every_flip_cut_addition_and_swap_is_found(
    tmp_path: Path, suffix: str, signer: CryptoSigner | None, key: SSlibKey | None
) -> None:
    run = run_directory(tmp_path / "run")
    (run / "report.html").write_bytes(b"<html>short</html>\n")
    data = bundle(run, tmp_path / f"a{suffix}", signer=signer)
    assert verified(data, key).problems == []
    changed = [each for each in mutations(data, random.Random(7)) if each != data]
    assert len(changed) > 2000
    unnoticed = [each for each in changed if not verified(each, key).problems]
    assert unnoticed == []


def tar_members(data: bytes, suffix: str) -> bytes:
    return b"".join(_unpacked(data, suffix))


def _unpacked(data: bytes, suffix: str) -> Iterator[bytes]:
    if suffix == ".tar.gz":
        yield gzip.decompress(data)
        return
    reader = ZSTD.decompressor()
    piece = reader.more(data)
    while piece or not reader.eof:
        yield piece
        piece = b"" if reader.eof else reader.more(b"")


def packed_again(tar: bytes, original: bytes, suffix: str) -> bytes:
    """What somebody without the key can do: a right seal around other bytes."""
    codec = CODECS[suffix]
    stream = Unpacked.open(io.BytesIO(original), hashlib.sha256())
    while stream.read(1 << 20):
        pass
    envelope = envelope_in(codec, stream.rest())
    compressor = codec.compressor()
    body = compressor.compress(tar) + compressor.flush()
    return body + seal_of(codec, hashlib.sha256(body), envelope)


@SUFFIXES
def test_which_file_and_what_is_wrong(tmp_path: Path, suffix: str) -> None:
    """In the tar itself, by somebody who packs and seals it anew but has no key."""
    run = run_directory(tmp_path / "run")
    data = bundle(run, tmp_path / f"a{suffix}", signer=SIGNER)
    tar = tar_members(data, suffix)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        places = {m.name: (m.offset, m.offset_data, m.size) for m in archive}

    def said(changed: bytes) -> str:
        problems = verified(packed_again(changed, data, suffix), KEY).problems
        assert problems
        return problems[0]

    def without(name: str) -> bytes:
        offset, start, size = places[name]
        return tar[:offset] + tar[start + size + -size % 512 :]

    offset, start, _ = places["blobs/0b"]
    first_end = places["blobs/0a"][1] + places["blobs/0a"][2]
    changed = tar[:start] + b"S" + tar[start + 1 :]
    now = hashlib.sha256(b"Second output\n").hexdigest()
    then = hashlib.sha256(b"second output\n").hexdigest()
    assert said(changed) == f"blobs/0b: was changed: sha256 is {now}, sealed was {then}"
    hidden = tar[:first_end] + b"hidden" + tar[first_end + 6 :]
    assert said(hidden) == "blobs/0a: something was hidden behind it"
    assert said(without("blobs/0b")) == (
        "blobs/0b: was removed or moved: blobs/0c stands in its place"
    )
    assert said(without("report.json")) == (
        "report.json: was removed or moved: run.json stands in its place"
    )
    entry = tarfile.TarInfo("blobs/0bb").tobuf(tarfile.USTAR_FORMAT)
    assert said(tar[:offset] + entry + tar[offset:]) == (
        "'blobs/0bb' was added or renamed: it stands where blobs/0b was expected"
    )
    again = tar[:offset] + tar[places["blobs/0a"][0] : offset] + tar[offset:]
    assert said(again) == (
        "blobs/0a: stands a second time or was moved, where blobs/0b was expected"
    )
    assert said(tar[:-1024] + entry + tar[-1024:]) == (
        "'blobs/0bb' was added or renamed: it stands where the end was expected"
    )
    assert said(tar + bytes(512)) == "something was added behind the end of the tar"
    assert said(tar[:-1024]) == "the tar has no end: it was cut"
    assert said(tar[: start + 3]) == "the tar ends within blobs/0b: it was cut"


@SUFFIXES
def test_the_same_packed_in_another_way(tmp_path: Path, suffix: str) -> None:
    """Nothing in it is different. Who has no key cannot make it pass for what was signed."""
    run = run_directory(tmp_path / "run")
    data = bundle(run, tmp_path / f"a{suffix}", signer=SIGNER)
    other = {".tar.gz": ".tar.zst", ".tar.zst": ".tar.gz"}[suffix]
    tar = tar_members(data, suffix)
    body = gzip.compress(tar, 1) if other == ".tar.gz" else ZSTD.compressor().compress(tar)
    assert verified(body, KEY).problems
    compressor = CODECS[other].compressor()
    stray = compressor.compress(tar) + compressor.flush()
    forged = stray + seal_of(CODECS[other], hashlib.sha256(stray), b"")
    assert verified(forged, KEY).problems == [
        "the manifest is signed and the seal of the file is not"
    ]
    assert GZIP is CODECS[".tar.gz"]


def test_a_journal_that_was_changed_before_is_told(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    path = run / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"injecting"', b'"refused"'))
    assert describe(run, None).broken_at == 3
    problems = verified(bundle(run, tmp_path / "a.tar.zst", signer=SIGNER), KEY).problems
    assert "\n".join(problems) == (
        "journal.jsonl:3: does not follow from the line before it: a line was changed, removed, "
        "added or moved before the bundle was made"
    )


def test_artifacts_are_named_as_not_redacted_or_left_out(tmp_path: Path) -> None:
    name = "artifacts/shop/web-0/p.s.tar"
    run = run_directory(tmp_path / "run", files={name: b"raw"})
    assert describe(run, None).manifest.not_redacted == (name,)
    left = describe(run, None, without=["artifacts/"]).manifest
    assert [file.path for file in left.left_out] == [name]
    assert name not in [file.path for file in left.files]
    data = bundle(run, tmp_path / "a.tar.zst", without=["artifacts/"])
    assert verified(data).problems == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blobs/aux.txt", "its name is a name that Windows reserves"),
        ("blobs/a b", "its name has characters other than"),
        ("blobs/x.", "its name ends with a dot"),
        ("blobs/" + "a" * 101, "its name has a part that is longer than 100 characters"),
        ("blobs/" + "/".join(["d" * 60] * 4), "its name is longer than 200 characters"),
    ],
)
def test_names_that_not_every_file_system_holds(tmp_path: Path, name: str, said: str) -> None:
    run = run_directory(tmp_path / "run", files={name: b""})
    with pytest.raises(RecordError) as refused:
        describe(run, None)
    assert f"{run / name} cannot be kept everywhere, {said}" in str(refused.value)


def test_what_is_no_file_is_not_followed(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / "blobs" / "0A").write_bytes(b"")
    with pytest.raises(RecordError, match="differ in their case only"):
        describe(run, None)
    (run / "blobs" / "0A").unlink()
    (run / "blobs" / "link").symlink_to("/etc/passwd")
    with pytest.raises(RecordError, match=r"link is a link: move it out"):
        describe(run, None)
    (run / "blobs" / "link").unlink()
    os.mkfifo(run / "report.pipe")
    with pytest.raises(RecordError, match=r"pipe is no regular file"):
        describe(run, None)


def test_a_run_without_a_report(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / "report.json").unlink()
    with pytest.raises(RecordError, match=r"has no report.json.*`podmedic resume` finishes it"):
        describe(run, None)


def test_every_manifest_is_read_back_as_it_was(tmp_path: Path) -> None:
    for number, report in enumerate((rich_report(), report_of())):
        manifest = describe(run_directory(tmp_path / f"{number}", report), None).manifest
        assert decode(encode(manifest)) == manifest
    assert list(itertools.islice(encode(manifest).splitlines(), 2)) == [
        b"{",
        b'  "apiVersion": "podmedic.io/v1alpha1",',
    ]


def test_only_what_is_the_runs_is_taken(tmp_path: Path) -> None:
    """A volume has `lost+found`, which only root may read; somebody keeps runs in a home folder."""
    run = run_directory(
        tmp_path / "run", files={name: b"x" for name in FILES.values() if name != "report.json"}
    )
    for name in ("lost+found", "photos"):
        (run / name).mkdir(mode=0)
    (run / ".profile").symlink_to("/nowhere")
    (run / "a b").write_bytes(b"x")
    manifest = describe(run, None).manifest
    assert manifest.foreign == (".profile", "a b", "lost+found", "photos")
    assert {file.path for file in manifest.files} >= set(FILES.values())
    write_beside(run, None)
    assert verify_directory(run, None).problems == []
    (run / "new").write_bytes(b"x")
    assert verify_directory(run, None).problems == ["new: was added"]
    for number in range(1001):
        (run / f"f{number}").symlink_to("x")
    assert describe(run, None).manifest.foreign == ("*",)
    write_beside(run, None)
    assert verify_directory(run, None).problems == []
    (run / "report.txt").write_bytes(b"x")
    assert verify_directory(run, None).problems == ["report.txt: was added"]
