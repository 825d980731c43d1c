"""The images that a cluster needs to start: small, and made in seconds."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import archive, binaries
from lab.imagedefs import Definition, golang, hash_of, roots
from lab.layout import LabError, cache_folder

_HERE = Path(__file__).parent
_PAUSE = _HERE / "pause"
_COREDNS_MODULE = _HERE.parent / "go" / "coredns" / "go.mod"
_TIMEOUT_SECONDS = 300
# Busybox is linked to these; the rest of libc6 is three quarters of its size.
_LIBRARIES = re.compile(r"(ld-linux-.*|libc|libm|libresolv|libnss_\w+)\.so\.\d+")


def coredns_version() -> str:
    """The version that the lab builds, "v1.14.7"."""
    match = re.search(r"github.com/coredns/coredns (v\S+)", _COREDNS_MODULE.read_text())
    if match is None:
        raise LabError(
            f"{_COREDNS_MODULE}: expected a line that requires github.com/coredns/coredns"
        )
    return match[1]


def from_root(
    fill: Callable[[Path], None], config: archive.ImageConfig, references: tuple[str, ...]
) -> Callable[[Path], None]:
    """A `build` that packs what `fill` puts into an empty folder."""

    def build(out: Path) -> None:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".root-") as folder:
            root = Path(folder)
            # A temporary folder is for its owner alone; the root of a container is for all.
            root.chmod(0o755)
            fill(root)
            archive.write(out, root, config, references)

    return build


def _fill_pause(root: Path) -> None:
    golang.build(_PAUSE, root / "pause")


def _fill_coredns(root: Path) -> None:
    shutil.copy(_coredns_binary(), root / "coredns")
    (root / "coredns").chmod(0o755)
    for name in ("etc", "tmp"):
        (root / name).mkdir()


def _coredns_binary() -> Path:
    return binaries.ensure(["coredns"], cache_folder())["coredns"]


def _fill_busybox(root: Path) -> None:
    roots.prepare(root)
    roots.unpack(["libc6", "busybox"], root)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    for path in libraries.iterdir():
        if not _LIBRARIES.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(root / "usr/share")
    listed = subprocess.run(
        ["chroot", str(root), "/bin/busybox", "--list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    for applet in listed.stdout.split():
        if not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")


_SOURCES = (_HERE / "base.py", _HERE / "roots.py")
_PAUSE_REFERENCES = ("pause:3.10",)
_COREDNS_REFERENCES = (f"coredns/coredns:{coredns_version()}",)
_BUSYBOX_REFERENCES = ("library/busybox:1.36", "library/busybox:latest", "busybox:1.36")

DEFINITIONS = (
    Definition(
        name="pause",
        references=_PAUSE_REFERENCES,
        key=lambda: hash_of(_PAUSE, *_SOURCES),
        build=from_root(
            _fill_pause,
            archive.ImageConfig(entrypoint=("/pause",), user="65535:65535"),
            _PAUSE_REFERENCES,
        ),
    ),
    Definition(
        name="coredns",
        references=_COREDNS_REFERENCES,
        # The binary's folder is named for the key of what it was built from.
        key=lambda: hash_of(*_SOURCES, also=[str(_coredns_binary().parent.name)]),
        build=from_root(
            _fill_coredns, archive.ImageConfig(entrypoint=("/coredns",)), _COREDNS_REFERENCES
        ),
    ),
    Definition(
        name="busybox",
        references=_BUSYBOX_REFERENCES,
        key=lambda: hash_of(*_SOURCES),
        build=from_root(_fill_busybox, archive.ImageConfig(cmd=("sh",)), _BUSYBOX_REFERENCES),
    ),
)
