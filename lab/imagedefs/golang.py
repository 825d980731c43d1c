"""Programs in Go of our own, and an image with one that has Go's profiles, as many servers have."""

import subprocess
import tempfile
from pathlib import Path

from lab import archive, binaries, toolchain
from lab.imagedefs import Definition, hash_of
from lab.layout import LabError, cache_folder

_HERE = Path(__file__).parent
_PPROF = _HERE / "pprof"
_REFERENCES = ("library/pprof:1",)
_GO = (1, 21)
_TIMEOUT_SECONDS = 300


def build(source: Path, out: Path) -> None:
    """Builds a folder's main.go, which takes nothing but Go's own library, as a static program."""
    cache = cache_folder()
    done = subprocess.run(
        ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(out), "main.go"],
        executable=toolchain.go(_GO, cache),
        cwd=source,
        env=binaries.environment(cache),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise LabError(f"go build {source} failed: {done.stderr.strip()}")


def _build_pprof(out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".root-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        build(_PPROF, root / "pprof")
        config = archive.ImageConfig(entrypoint=("/pprof",), user="65535:65535")
        archive.write(out, root, config, _REFERENCES)


DEFINITION = Definition(
    name="pprof",
    references=_REFERENCES,
    key=lambda: hash_of(_PPROF, _HERE / "golang.py"),
    build=_build_pprof,
)
