"""The project's own images, built from its Dockerfile on a base of ours: no registry is reached."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import runner
from lab import packages
from lab.imagedefs import Definition, debian, hash_of, store
from lab.layout import LabError, cache_folder

_CHECKOUT = Path(__file__).parents[2]
_TIMEOUT_SECONDS = 1800
# Each step of a build is kept whole: begin anew before that takes the machine's disk.
_STORAGE_MAX_BYTES = 8 << 30
_PACKAGE_SOURCES = ("pyproject.toml", "README.md", "runner", "reports", "playbooks")


def _builder(target: str, reference: str) -> Callable[[Path], None]:
    """A `build` that makes one target of the Dockerfile."""

    def build(out: Path) -> None:
        packages.ensure(["buildah"])
        base = store.built(debian.DEFINITION)
        storage = cache_folder() / "images" / "buildah"
        storage.mkdir(exist_ok=True)
        with (storage / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _bound(storage)
            _buildah(storage, ["pull", "-q", f"docker-archive:{base}"])
            options = ("-q", "--layers", "--build-arg", f"BASE_IMAGE={debian.BASE_IMAGE}")
            tag = f"localhost/{reference}"
            _buildah(storage, ["bud", *options, "--target", target, "--tag", tag, str(_CHECKOUT)])
            with tempfile.TemporaryDirectory(dir=out.parent, prefix=".push-") as folder:
                scratch = Path(folder) / out.name
                _buildah(storage, ["push", tag, f"docker-archive:{scratch}:{reference}"])
                scratch.rename(out)

    return build


def _buildah(storage: Path, arguments: Sequence[str]) -> None:
    done = subprocess.run(
        ["buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run"), *arguments],
        env=os.environ | {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LabError(f"buildah {arguments[0]} failed:\n{last}")


def _bound(storage: Path) -> None:
    used = sum(path.lstat().st_size for path in storage.rglob("*"))
    if used > _STORAGE_MAX_BYTES:
        for name in ("root", "run"):
            shutil.rmtree(storage / name, ignore_errors=True)


def _definition(target: str, sources: Sequence[str], usual_seconds: int) -> Definition:
    reference = f"podmedic/{target}:{runner.__version__}"
    return Definition(
        name=target,
        references=(reference,),
        key=lambda: hash_of(
            *(_CHECKOUT / name for name in ("Dockerfile", ".dockerignore", *sources)),
            also=[debian.DEFINITION.key()],
        ),
        build=_builder(target, reference),
        usual_seconds=usual_seconds,
    )


DEFINITIONS = (_definition("tools", (), 60), _definition("runner", _PACKAGE_SOURCES, 60))
