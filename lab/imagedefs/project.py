"""The project's own images, built from its Dockerfile on a base of ours: no registry is reached."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import runner
from lab import packages
from lab.imagedefs import Definition, debian, hash_of, store
from lab.layout import LabError, cache_folder

_CHECKOUT = Path(__file__).parents[2]
_TIMEOUT_SECONDS = 1800
# Each step of a build is kept whole: begin anew before that takes the machine's disk.
_STORAGE_MAX_BYTES = 4 << 30
# Whatever --root says, buildah keeps notes on layers here: it gets a folder of its own to do so.
_NOTES = Path("/var/lib/containers")
# What a build mounts goes with its mount namespace, even when it is killed.
_PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation=private")
_MOUNT_NOTES = ("sh", "-c", f'mount -t tmpfs podmedic {_NOTES} && exec "$@"', "sh")
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
    # Overlay mounts where the file system has them, else whole copies: twice as slow.
    where = (f"--root={storage}/root", f"--runroot={storage}/run")
    with _somewhere_to_mount(_NOTES):
        done = subprocess.run(
            [*_PRIVATE_MOUNTS, *_MOUNT_NOTES, "buildah", *where, *arguments],
            env=os.environ | {"BUILDAH_ISOLATION": "chroot"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LabError(f"buildah {arguments[0]} failed:\n{last}")


@contextlib.contextmanager
def _somewhere_to_mount(folder: Path) -> Iterator[None]:
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _bound(storage: Path) -> None:
    done = subprocess.run(
        ["du", "--summarize", "--block-size=1", str(storage)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if int(done.stdout.split()[0]) > _STORAGE_MAX_BYTES:
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
