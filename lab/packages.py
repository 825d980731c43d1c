"""Debian packages the lab needs, installed on first use."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.layout import LabError

_POLICY = Path("/usr/sbin/policy-rc.d")
_TIMEOUT_SECONDS = 900


class PackageError(LabError):
    """apt-get could not give us a package; the message is one line for the user."""


def ensure(names: Sequence[str]) -> None:
    """Installs those of the named Debian packages that are missing; starts no service.

    Raises `PackageError` where apt-get is not to be had, we are not root, or it fails.
    """
    missing = sorted(set(names) - installed(names))
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise PackageError(
            f"not installed: {', '.join(missing)}; "
            "this machine has no apt-get, install them by hand"
        )
    if os.geteuid() != 0:
        raise PackageError(
            f"not installed: {', '.join(missing)}; run as root, "
            f"or first: apt-get install --no-install-recommends {' '.join(missing)}"
        )
    print(f"installing Debian packages: {' '.join(missing)}", file=sys.stderr, flush=True)
    with _no_service_starts():
        _apt(["install", "-y", "--no-install-recommends", *missing])


def installed(names: Sequence[str]) -> set[str]:
    """Which of the named packages are installed and configured."""
    if shutil.which("dpkg-query") is None:
        return set()
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    pairs = (line.split() for line in done.stdout.splitlines())
    return {pair[0] for pair in pairs if pair[1:] == ["installed"]}


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """A policy-rc.d that forbids package scripts to start what they install."""
    if _POLICY.exists():
        # The machine has its own policy; ours would take its place for everybody else too.
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def closure(names: Sequence[str], status: Path) -> list[str]:
    """The named packages and those they depend on that a dpkg status file does not list."""
    options = ("-y", "--no-install-recommends", "--print-uris")
    printed = _apt(["install", *options, "-o", f"Dir::State::status={status}", *names])
    files = re.findall(r"^'[^']+' ([^_\s]+)_\S+\.deb ", printed, re.MULTILINE)
    return sorted(set(files))


def download(names: Sequence[str], folder: Path) -> list[Path]:
    """Fetches exactly the named packages, without what they depend on, into `folder`.

    A package that lies there already, with the right hash, is not fetched again. Returns the
    files in the order of the names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    printed = _apt(["download", "--print-uris", *names])
    files = re.findall(r"^'[^']+' (\S+\.deb) ", printed, re.MULTILINE)
    by_name = {file.split("_", 1)[0]: folder / file for file in files}
    # The file is ours to read: no sandbox user that cannot write into a folder of root's.
    _apt(["download", "-o", "APT::Sandbox::User=root", *names], folder=folder)
    return [by_name[name] for name in names]


def repositories(release: str) -> dict[str, str]:
    """Where this machine gets a Debian release from: base address by suite.

    The suites are the release's own, its updates and its security fixes, as far as the machine
    has them: {"bookworm": "http://…/debian/", "bookworm-security": …}. Empty where the machine
    runs another release.
    """
    form = "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"
    printed = _run(["indextargets", "--format", form, "Created-By: Packages"], None).stdout
    lines = [line.split() for line in printed.splitlines()]
    found = {
        line[2]: line[3]
        for line in lines
        if line[:2] == ["Debian", "main"]
        and line[2] in (release, f"{release}-updates", f"{release}-security")
    }
    return found if release in found else {}


def _apt(arguments: Sequence[str], folder: Path | None = None) -> str:
    """Runs apt-get and returns its output; raises `PackageError` with its last line."""
    first = _run(arguments, folder)
    if first.returncode == 0:
        return first.stdout
    # A bare machine has no package lists, an old one has lists of files that are gone.
    _run(["update"], None)
    second = _run(arguments, folder)
    if second.returncode != 0:
        raise PackageError(f"apt-get {' '.join(arguments)} failed: {_last_line(second.stderr)}")
    return second.stdout


def _run(arguments: Sequence[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
        cwd=folder,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
