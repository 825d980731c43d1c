"""Root folders made of unpacked Debian packages: no package script runs, nothing is installed."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab import packages
from lab.layout import LabError, cache_folder

_TIMEOUT_SECONDS = 300

# What no container of the lab reads: it would double the size of the small images.
UNREAD = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/lib/x86_64-linux-gnu/gconv",
)

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
redis:x:999:999:redis:/data:/usr/sbin/nologin
postgres:x:998:998:postgres:/var/lib/postgresql:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = """\
root:x:0:
www-data:x:33:
redis:x:999:
postgres:x:998:
nogroup:x:65534:
"""


def prepare(root: Path) -> None:
    """Lays out an empty root: merged /usr, /tmp for all, the users that the packages expect."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "var/tmp"):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def unpack(names: Sequence[str], root: Path, *, keep: Sequence[str] = ()) -> None:
    """Unpacks the named packages, and only those, into `root`; leaves out what is never read.

    `keep` takes patterns out of `UNREAD`.
    """
    left_out = [f"--exclude=./{name}/*" for name in UNREAD if name not in keep]
    for package in packages.download(names, cache_folder() / "images" / "deb"):
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
        ) as source:
            done = subprocess.run(
                # /bin and /lib are links into /usr here: go through them, do not replace them.
                ["tar", "-xp", "--keep-directory-symlink", *left_out, "-C", str(root)],
                stdin=source.stdout,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
        if done.returncode != 0 or source.returncode != 0:
            raise LabError(f"{package}: cannot be unpacked: {done.stderr.strip()}")
