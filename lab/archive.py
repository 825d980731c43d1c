"""Container images as docker-archive files, made from a folder without any daemon.

The same folder and configuration give the same bytes, so that the digest of an image changes only
when its content does, and a registry that has it already takes nothing again.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EPOCH = "1970-01-01T00:00:00Z"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageConfig:
    """How a container of the image starts; the words are the image specification's."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = "/"

    def document(self, diff_ids: Sequence[str]) -> bytes:
        """The configuration blob of an image with these layers."""
        env = {"PATH": _PATH, **self.env}
        value = {
            "architecture": "amd64",
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "Entrypoint": list(self.entrypoint) or None,
                "Cmd": list(self.cmd) or None,
                "Env": [f"{name}={env[name]}" for name in env],
                "User": self.user,
                "WorkingDir": self.working_dir,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in diff_ids]},
            "history": [{"created": _EPOCH, "created_by": "podmedic lab"} for _ in diff_ids],
        }
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def write(out: Path, root: Path, config: ImageConfig, tags: Sequence[str]) -> str:
    """Writes an image of one layer, the content of `root`, under all `tags` to `out`.

    Returns the image's id: the sha256 of its configuration in hexadecimal. Owners and modes are
    kept, times are not. `out` appears complete or not at all.
    """
    with tempfile.TemporaryFile(dir=out.parent) as layer:
        write_layer(layer, root)
        diff_id = _sha256(layer)
        document = config.document([diff_id])
        image_id = hashlib.sha256(document).hexdigest()
        manifest = [
            {
                "Config": f"{image_id}.json",
                "RepoTags": list(tags),
                "Layers": [f"{diff_id}/layer.tar"],
            }
        ]
        temporary = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
                # Readers scan for the manifest: first, it is found without reading the layer.
                _add(tar, "manifest.json", io.BytesIO(json.dumps(manifest).encode()))
                _add(tar, f"{image_id}.json", io.BytesIO(document))
                _add(tar, f"{diff_id}/layer.tar", layer)
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    return image_id


def write_layer(out: Any, root: Path) -> None:
    """Writes what lies below `root` as a layer: sorted, numeric owners, no times."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, name in _walk(root):
            info = tar.gettarinfo(path, arcname=name)
            if info is None:
                # A socket: whoever listened on it is gone.
                continue
            info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)


def image_id(path: Path) -> str:
    """The id, in hexadecimal, of the first image in the docker-archive at `path`."""
    with tarfile.open(path) as tar:
        member = tar.extractfile("manifest.json")
        if member is None:
            raise ValueError(f"{path}: manifest.json is not a file")
        config: str = json.load(member)[0]["Config"]
        return config.removesuffix(".json")


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file and folder below `root` with its name in the archive, parents first."""
    pending = [root]
    while pending:
        folder = pending.pop()
        children = sorted(folder.iterdir(), reverse=True)
        for path in reversed(children):
            yield path, path.relative_to(root).as_posix()
        pending += [path for path in children if path.is_dir() and not path.is_symlink()]


def _add(tar: tarfile.TarFile, name: str, content: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    tar.addfile(info, content)


def _sha256(file: Any) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
