"""Container images as docker-archive files, made from a folder without any daemon.

The same folder and configuration give the same bytes, so that the digest of an image changes only
when its content does, and a registry that has it already takes nothing again.
"""

import contextlib
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

# Part of the key of every cached image: another number builds them anew.
FORMAT = "archive format 1"
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


def write(
    out: Path, root: Path, config: ImageConfig, tags: Sequence[str], *, base: Path | None = None
) -> str:
    """Writes an image whose last layer is the content of `root`, under all `tags`, to `out`.

    The layers before it are those of the docker-archive `base`. Returns the image's id: the sha256
    of its configuration in hexadecimal. Owners and modes are kept, times are not. `out` appears
    complete or not at all.
    """
    with contextlib.ExitStack() as files:
        layers: dict[str, IO[bytes]] = {}
        if base is not None:
            opened = files.enter_context(tarfile.open(base))
            for name in _manifest(opened)["Layers"]:
                layers[name.removesuffix("/layer.tar")] = _member(opened, name)
        own = files.enter_context(tempfile.TemporaryFile(dir=out.parent))
        write_layer(own, root)
        layers[_sha256(own)] = own
        document = config.document(list(layers))
        identity = hashlib.sha256(document).hexdigest()
        manifest = {
            "Config": f"{identity}.json",
            "RepoTags": list(tags),
            "Layers": [f"{digest}/layer.tar" for digest in layers],
        }
        temporary = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
                # Readers scan for the manifest: first, it is found without reading the layers.
                _add(tar, "manifest.json", io.BytesIO(json.dumps([manifest]).encode()))
                _add(tar, f"{identity}.json", io.BytesIO(document))
                for digest, layer in layers.items():
                    _add(tar, f"{digest}/layer.tar", layer)
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    return identity


def write_layer(out: IO[bytes], root: Path) -> None:
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
        config: str = _manifest(tar)["Config"]
        return config.removesuffix(".json")


def read_file(path: Path, name: str) -> bytes:
    """A file out of the last layer of the docker-archive at `path` that has it."""
    with tarfile.open(path) as tar:
        for layer in reversed(_manifest(tar)["Layers"]):
            with tarfile.open(fileobj=_member(tar, layer)) as content:
                if name in content.getnames():
                    return _member(content, name).read()
    raise FileNotFoundError(f"{path}: no layer has a file {name}")


def _manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    first: dict[str, Any] = json.load(_member(tar, "manifest.json"))[0]
    return first


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file in the archive")
    return file


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file and folder below `root` with its name in the archive, parents first."""
    pending = [root]
    while pending:
        folder = pending.pop()
        children = sorted(folder.iterdir(), reverse=True)
        for path in reversed(children):
            yield path, path.relative_to(root).as_posix()
        pending += [path for path in children if path.is_dir() and not path.is_symlink()]


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    tar.addfile(info, content)


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
