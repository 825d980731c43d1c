"""Programs from the npm registry that tests use, each installed once into the cache folder."""

import os
import shutil
import subprocess
from pathlib import Path

from lab.layout import cache_folder


def installed(package: str) -> Path:
    """The folder node_modules with `package` (NAME@VERSION) in it; none of its scripts is run."""
    folder = cache_folder() / "npm" / package
    if not (folder / "node_modules" / package.rpartition("@")[0]).exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        subprocess.run(
            ["npm", "install", "--prefix", fresh, "--no-save", "--ignore-scripts", "--no-audit",
             "--no-fund", "--loglevel", "error", package],
            check=True, timeout=300, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return folder / "node_modules"
