"""Stand-ins for what people run: as small as may be, on one Debian layer that all share.

Versions are what Debian has, whatever the tag says. No package script runs: what it would have
done, and is needed, is done here.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import archive, packages
from lab.imagedefs import Definition, debian, hash_of, roots, store

_HERE = Path(__file__).parent
_FILES = _HERE / "files"


@dataclass(frozen=True)
class Sample:
    """`left_out` are dependencies that only package scripts, or features not used here, need;
    `files` and `links` go on top, by path; `folders` are made with their owner."""

    name: str
    references: tuple[str, ...]
    packages: tuple[str, ...]
    config: archive.ImageConfig
    left_out: frozenset[str] = frozenset()
    users: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)


SAMPLES = (
    Sample(
        name="python",
        references=(
            "library/python:3",
            "library/python:3-slim",
            "library/python:3.12",
            "library/python:3.12-slim",
        ),
        packages=("python3",),
        config=archive.ImageConfig(cmd=("python3",)),
        links={"usr/local/bin/python": "/usr/bin/python3"},
    ),
    Sample(
        name="nginx",
        references=("library/nginx:latest", "library/nginx:1.27", "library/nginx:1.27-alpine"),
        packages=("nginx-light",),
        left_out=frozenset(("iproute2", "libbpf1", "libelf1", "libcap2-bin", "libxtables12")),
        config=archive.ImageConfig(cmd=("nginx", "-g", "daemon off;")),
        files={"etc/nginx/nginx.conf": "nginx.conf"},
        links={
            "var/log/nginx/access.log": "/dev/stdout",
            "var/log/nginx/error.log": "/dev/stderr",
        },
    ),
    Sample(
        name="redis",
        references=("library/redis:latest", "library/redis:7", "library/redis:7-alpine"),
        packages=("redis-server",),
        users=("redis:x:999:999::/data:/usr/sbin/nologin",),
        config=archive.ImageConfig(
            cmd=("redis-server", "--protected-mode", "no"), user="999:999", working_dir="/data"
        ),
        folders={"data": 999},
    ),
    Sample(
        name="postgres",
        references=(
            "library/postgres:latest",
            "library/postgres:16",
            "library/postgres:16-alpine",
        ),
        packages=("postgresql-15",),
        left_out=frozenset(
            (
                *("libgdbm-compat4", "libgdbm6", "libjson-perl", "libperl5.36", "perl"),
                *("perl-base", "perl-modules-5.36", "postgresql-client-common"),
                *("postgresql-common", "sensible-utils", "ssl-cert", "ucf", "netbase"),
                *("libc-l10n", "locales", "libllvm14", "libz3-4"),
            )
        ),
        users=("postgres:x:999:999::/var/lib/postgresql:/bin/sh",),
        config=archive.ImageConfig(
            entrypoint=("docker-entrypoint.sh",),
            cmd=("postgres",),
            env={
                "PATH": "/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PGDATA": "/var/lib/postgresql/data",
                "LANG": "C.UTF-8",
            },
        ),
        files={"usr/local/bin/docker-entrypoint.sh": "postgres-entrypoint.sh"},
        folders={"var/lib/postgresql": 999, "var/run/postgresql": 999},
    ),
    Sample(
        name="java",
        references=("library/eclipse-temurin:17", "library/eclipse-temurin:17-jdk"),
        packages=("openjdk-17-jre-headless",),
        # Sound, printing, fonts, smart cards: what a server does not load.
        left_out=frozenset(
            (
                *("ca-certificates-java", "fontconfig-config", "fonts-dejavu-core", "java-common"),
                *("libasound2", "libasound2-data", "libavahi-client3", "libavahi-common-data"),
                *("libavahi-common3", "libbrotli1", "libcups2", "libdbus-1-3", "libexpat1"),
                *("libfontconfig1", "libfreetype6", "libglib2.0-0", "libgraphite2-3"),
                *("libgssapi-krb5-2", "libharfbuzz0b", "libjpeg62-turbo", "libk5crypto3"),
                *("libkeyutils1", "libkrb5-3", "libkrb5support0", "liblcms2-2", "libnspr4"),
                *("libnss3", "libpcsclite1", "libpng16-16", "libsqlite3-0"),
            )
        ),
        config=archive.ImageConfig(cmd=("java", "-version")),
        links={"usr/local/bin/java": "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"},
    ),
)


def _builder(sample: Sample) -> Callable[[Path], None]:
    def build(out: Path) -> None:
        base = store.built(debian.DEFINITION)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".root-") as folder:
            root = Path(folder) / "root"
            root.mkdir()
            status = Path(folder) / "status"
            status.write_bytes(archive.read_file(base, "var/lib/dpkg/status"))
            _fill(sample, root, base, status)
            archive.write(out, root, sample.config, sample.references, base=base)

    return build


def _fill(sample: Sample, root: Path, base: Path, status: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    # The same link as in the base: a folder here would hide it.
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    (root / "run").mkdir()
    needed = packages.closure(sample.packages, status)
    roots.unpack([name for name in needed if name not in sample.left_out], root)
    for path, source in sample.files.items():
        _place(root / path).write_bytes((_FILES / source).read_bytes())
        (root / path).chmod((_FILES / source).stat().st_mode & 0o755)
    for path, target in sample.links.items():
        _place(root / path).symlink_to(target)
    for path, owner in sample.folders.items():
        made = root / path.replace("var/run", "run")
        made.mkdir(parents=True, exist_ok=True)
        os.chown(made, owner, owner)
    _add_users(sample, root, base)


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def _add_users(sample: Sample, root: Path, base: Path) -> None:
    """The base's users and these, since a file of this layer takes the place of the base's."""
    if not sample.users:
        return
    groups = [":".join((*user.split(":")[:3], "")) for user in sample.users]
    for name, lines in (("passwd", sample.users), ("group", tuple(groups))):
        known = archive.read_file(base, f"etc/{name}").decode()
        _place(root / "etc" / name).write_text(known + "".join(f"{line}\n" for line in lines))


def _definition(sample: Sample) -> Definition:
    sources = ("samples.py", "roots.py", "files")
    return Definition(
        name=sample.name,
        references=sample.references,
        key=lambda: hash_of(
            *(_HERE / source for source in sources),
            also=[debian.DEFINITION.key()],
        ),
        build=_builder(sample),
    )


DEFINITIONS = tuple(_definition(sample) for sample in SAMPLES)
