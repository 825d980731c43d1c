"""A Debian root as `debian:bookworm-slim` has it: dash as sh, apt, and no busybox.

The base of the project's own images where no registry is reached, and an image for samples whose
only shell is dash.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import archive, packages
from lab.imagedefs import Definition, hash_of, roots
from lab.layout import LabError, cache_folder

BASE_IMAGE = "localhost/base:bookworm"
_SUITE = "bookworm"
_CA_BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_TIMEOUT_SECONDS = 900
# What debootstrap mounts goes with its mount namespace, even when it is killed.
_PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")
# What debootstrap copies from this machine, or leaves behind.
_LEFTOVERS = (
    "dev",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)


def _fill(root: Path) -> None:
    packages.ensure(["debootstrap"])
    # On a machine with another release, debootstrap knows where Debian is.
    sources = packages.repositories(_SUITE)
    mirror = [sources[_SUITE]] if sources else []
    debs = cache_folder() / "images" / "debootstrap"
    debs.mkdir(parents=True, exist_ok=True)
    options = ("--variant=minbase", "--include=ca-certificates", f"--cache-dir={debs}")
    done = subprocess.run(
        [*_PRIVATE_MOUNTS, "debootstrap", *options, _SUITE, str(root), *mirror],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise LabError(f"debootstrap failed: {' '.join(last)}")
    for name in (*_LEFTOVERS, *roots.UNREAD):
        _empty(root / name)
    if sources:
        (root / "etc/apt/sources.list").write_text(
            "".join(f"deb {uri} {suite} main\n" for suite, uri in sorted(sources.items()))
        )
    _trust(root)
    # A venv's pip brings its own list of authorities and does not look at the system's.
    (root / "etc/pip.conf").write_text(f"[global]\ncert = /{_CA_BUNDLE}\n")


def _trust(root: Path) -> None:
    """Downloads inside a build pass whatever this machine's own downloads pass."""
    bundle = Path("/") / _CA_BUNDLE
    if not bundle.exists():
        return
    known = set(_CERTIFICATE.findall((root / _CA_BUNDLE).read_text()))
    # One by one and not as a bundle: that is made anew when apt updates ca-certificates.
    own = [found for found in _CERTIFICATE.findall(bundle.read_text()) if found not in known]
    for number, certificate in enumerate(own):
        local = root / "usr/local/share/ca-certificates" / f"machine-{number}.crt"
        local.write_text(f"{certificate}\n")
    subprocess.run(
        ["chroot", str(root), "update-ca-certificates"],
        capture_output=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )


def _empty(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    else:
        path.unlink(missing_ok=True)


def _build(out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".root-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        _fill(root)
        archive.write(out, root, archive.ImageConfig(cmd=("bash",)), [BASE_IMAGE])


def _key() -> str:
    here = Path(__file__).parent
    sources = (here / "debian.py", here / "roots.py")
    bundle = Path("/") / _CA_BUNDLE
    return hash_of(*sources, *([bundle] if bundle.exists() else []))


DEFINITION = Definition(
    name="debian",
    references=(
        "library/debian:bookworm-slim",
        "library/debian:12-slim",
        "library/debian:stable-slim",
    ),
    key=_key,
    build=_build,
    usual_seconds=40,
)
