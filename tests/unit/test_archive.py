"""Images written by the lab: the same bytes for the same content, readable by any tool."""

import hashlib
import io
import json
import os
import socket
import tarfile
from pathlib import Path

import pytest

from lab import archive

CONFIG = archive.ImageConfig(
    entrypoint=("/pause",), cmd=("-v",), env={"HOME": "/tmp"}, user="65532:65532"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    os.link(root / "bin/tool", root / "bin/same")
    (root / "sh").symlink_to("bin/tool")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


def layers(path: Path) -> list[tarfile.TarFile]:
    with tarfile.open(path) as tar:
        names = json.loads(member(tar, "manifest.json"))[0]["Layers"]
        return [tarfile.open(fileobj=io.BytesIO(member(tar, name))) for name in names]


def member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def test_same_content_same_bytes(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    identity = archive.write(first, root, CONFIG, ["pause:3.10"])
    for path in (root / "bin/tool", root / "bin", root):
        os.utime(path, (1, 1))
    assert archive.write(second, root, CONFIG, ["pause:3.10"]) == identity
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "bin/tool").write_bytes(b"#!/bin/ash\n"),
        lambda root: (root / "bin/tool").chmod(0o700),
        lambda root: (root / "more").touch(),
        lambda root: (root / "sh").unlink(),
    ],
)
def test_other_content_other_identity(root: Path, tmp_path: Path, change: object) -> None:
    out = tmp_path / "out.tar"
    before = archive.write(out, root, CONFIG, ["a:1"])
    assert callable(change)
    change(root)
    assert archive.write(out, root, CONFIG, ["a:1"]) != before


def test_what_is_in_a_layer(root: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        archive.write(tmp_path / "out.tar", root, CONFIG, ["a:1"])
    (layer,) = layers(tmp_path / "out.tar")
    found = [
        (info.name, info.type, oct(info.mode), info.linkname, info.mtime, info.uname)
        for info in layer
    ]
    assert found == [
        ("bin", tarfile.DIRTYPE, "0o755", "", 0, ""),
        ("sh", tarfile.SYMTYPE, "0o777", "bin/tool", 0, ""),
        ("tmp", tarfile.DIRTYPE, "0o1777", "", 0, ""),
        ("bin/same", tarfile.REGTYPE, "0o755", "", 0, ""),
        ("bin/tool", tarfile.LNKTYPE, "0o755", "bin/same", 0, ""),
    ]


def test_manifest_and_configuration(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tar"
    identity = archive.write(out, root, CONFIG, ["pause:3.10", "pause:latest"])
    with tarfile.open(out) as tar:
        (manifest,) = json.loads(member(tar, "manifest.json"))
        document = member(tar, f"{identity}.json")
        layer = hashlib.sha256(member(tar, manifest["Layers"][0])).hexdigest()
    assert manifest == {
        "Config": f"{identity}.json",
        "RepoTags": ["pause:3.10", "pause:latest"],
        "Layers": [f"{layer}/layer.tar"],
    }
    assert hashlib.sha256(document).hexdigest() == identity == archive.image_id(out)
    value = json.loads(document)
    assert value["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{layer}"]}
    assert value["config"] == {
        "Entrypoint": ["/pause"],
        "Cmd": ["-v"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"],
        "User": "65532:65532",
        "WorkingDir": "/",
    }


def test_on_top_of_another(root: Path, tmp_path: Path) -> None:
    base, out, own = tmp_path / "base.tar", tmp_path / "out.tar", tmp_path / "own"
    archive.write(base, root, CONFIG, ["base:1"])
    (own / "bin").mkdir(parents=True)
    (own / "bin/tool").write_text("another")
    (own / "app").write_text("app")
    archive.write(out, own, CONFIG, ["app:1"], base=base)

    below, above = layers(out)
    assert below.getnames() == layers(base)[0].getnames()
    assert above.getnames() == ["app", "bin", "bin/tool"]
    assert archive.read_file(out, "bin/tool") == b"another"
    assert archive.read_file(out, "bin/same") == b"#!/bin/sh\n"
    with pytest.raises(FileNotFoundError, match="no layer has a file nowhere"):
        archive.read_file(out, "nowhere")


def test_nothing_half_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OSError, match="No space left"):
        archive.write(tmp_path / "out.tar", root, CONFIG, ["a:1"])
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
