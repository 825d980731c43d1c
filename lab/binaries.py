"""The Kubernetes programs, built from pinned Go modules and kept in the cache folder."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import locks, toolchain
from lab.layout import LabError

_MODULES = Path(__file__).parent / "go"
_KUBERNETES = "v1.36.3"
_BUILD_TIMEOUT_SECONDS = 3600


def _kubernetes_flags() -> str:
    major, minor, _ = _KUBERNETES.removeprefix("v").split(".")
    values = [
        f"k8s.io/component-base/version.gitVersion={_KUBERNETES}",
        f"k8s.io/component-base/version.gitMajor={major}",
        f"k8s.io/component-base/version.gitMinor={minor}",
        f"k8s.io/client-go/pkg/version.gitVersion={_KUBERNETES}",
        f"k8s.io/client-go/pkg/version.gitMajor={major}",
        f"k8s.io/client-go/pkg/version.gitMinor={minor}",
    ]
    return " ".join(["-s -w", *(f"-X {value}" for value in values)])


@dataclass(frozen=True)
class Program:
    """One command of a Go module under lab/go; `usual_seconds` is a cold build on two cores.
    `own_name`: where its package is called like a folder."""

    module: str
    package: str
    usual_seconds: int
    link_flags: str = "-s -w"
    own_name: str = ""

    @property
    def name(self) -> str:
        return self.own_name or self.package.rsplit("/", 1)[1]


def _kubernetes(command: str, usual_seconds: int) -> Program:
    return Program(
        "kubernetes", f"k8s.io/kubernetes/cmd/{command}", usual_seconds, _kubernetes_flags()
    )


def _sigstore(name: str, package: str, usual_seconds: int) -> Program:
    return Program("sigstore", package, usual_seconds, own_name=name)


PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3", 70, own_name="etcd"),
        _kubernetes("kube-apiserver", 300),
        _kubernetes("kubelet", 95),
        _kubernetes("kube-controller-manager", 45),
        _kubernetes("kube-scheduler", 10),
        _kubernetes("kube-proxy", 12),
        _kubernetes("kubectl", 35),
        Program("coredns", "github.com/coredns/coredns", 190),
        Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", 95),
        Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", 120),
        Program("helm", "helm.sh/helm/v3/cmd/helm", 125),
        Program("versitygw", "github.com/versity/versitygw/cmd/versitygw", 100),
        # What signs without a key: the authority, the log of its certificates, the log of
        # signatures, the clock. What they share is compiled once: 150 s of CPU for all four.
        _sigstore("tesseract", "github.com/transparency-dev/tesseract/cmd/tesseract/posix", 35),
        _sigstore("rekor-server", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", 12),
        _sigstore(
            "timestamp-server",
            "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
            25,
        ),
        _sigstore("fulcio", "github.com/sigstore/fulcio", 8),
    )
}


def ensure(names: Sequence[str], cache: Path) -> dict[str, Path]:
    """Paths of the named programs, built where the cache does not hold them yet.

    A program is kept under a key of its module's go.mod, go.sum and its flags. Raises
    `LabError` with the compiler's last lines.
    """
    wanted = [PROGRAMS[name] for name in names]
    paths = {program.name: _path(program, cache) for program in wanted}
    if all(path.exists() for path in paths.values()):
        return paths
    # Two labs that start together must not build the same thing on the same cores.
    with locks.exclusive(cache / ".build.lock", "building", _BUILD_TIMEOUT_SECONDS):
        missing = [program for program in wanted if not paths[program.name].exists()]
        if missing:
            _announce(missing)
        for program in missing:
            _build(program, paths[program.name], cache)
    return paths


def source(module: str, version: str, checksum: str, cache: Path) -> Path:
    """The folder of a Go module's files, for what lies beside its code; `checksum` is that of
    go.sum. Raises LabError."""
    with locks.exclusive(cache / ".build.lock", "downloading", _BUILD_TIMEOUT_SECONDS):
        command = (toolchain.go((1, 21), cache), "mod", "download", "-json", f"{module}@{version}")
        done = _go(command, cache, cache)
    if done.returncode != 0:
        raise LabError(f"go mod download {module}@{version} failed:\n{done.stderr or done.stdout}")
    found = json.loads(done.stdout)
    if found["Sum"] != checksum:
        raise LabError(f"{module}@{version} is {found['Sum']}, expected {checksum}")
    return Path(found["Dir"])


def _path(program: Program, cache: Path) -> Path:
    key = hashlib.sha256()
    for part in ("go.mod", "go.sum"):
        key.update((_MODULES / program.module / part).read_bytes())
    key.update(f"{program.package}\0{program.link_flags}".encode())
    return cache / "bin" / f"{program.name}-{key.hexdigest()[:12]}" / program.name


def _announce(programs: Sequence[Program]) -> None:
    minutes = max(1, round(sum(program.usual_seconds for program in programs) / 60))
    names = ", ".join(program.name for program in programs)
    _say(f"building {names}: about {minutes} min on two cores, once; less with a warm Go cache")


def _build(program: Program, target: Path, cache: Path) -> None:
    folder = _MODULES / program.module
    wanted = toolchain.wanted_version((folder / "go.mod").read_text())
    compiler = toolchain.go(wanted, cache)
    scratch = target.parent.with_name(f".{target.parent.name}.{os.getpid()}")
    for stale in target.parent.parent.glob(f".{target.parent.name}.*"):
        shutil.rmtree(stale)  # of a build that was killed: we hold the lock
    scratch.mkdir(parents=True)
    _say(f"  {program.name} (usually up to {program.usual_seconds} s) ...")
    started = time.monotonic()
    try:
        output = str(scratch / program.name)
        flags = ("-trimpath", "-ldflags", program.link_flags)
        done = _go((compiler, "build", *flags, "-o", output, program.package), folder, cache)
        if done.returncode != 0:
            last = "\n".join(done.stderr.splitlines()[-10:])
            raise LabError(f"go build {program.package} failed:\n{last}")
        shutil.rmtree(target.parent, ignore_errors=True)
        scratch.rename(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _say(f"  {program.name} built in {time.monotonic() - started:.0f} s")


def _go(
    command: Sequence[str | Path], folder: Path, cache: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILD_TIMEOUT_SECONDS,
    )


def environment(cache: Path) -> dict[str, str]:
    """For `go`: its caches lie in ours, and it never fetches another toolchain."""
    return os.environ | {
        "GOCACHE": str(cache / "go" / "build"),
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
