"""Bundles beside the tools that others have for them, and on a disk without room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.bundles import BLOBS, CODECS, SIGNER, bundle, run_directory
from tests.unit.test_bundle import SUFFIXES


@SUFFIXES
def test_any_tar_unpacks_it_and_sha256sum_checks_it(tmp_path: Path, suffix: str) -> None:
    run = run_directory(tmp_path / "run")
    bundle(run, tmp_path / f"a{suffix}", signer=SIGNER)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", f"a{suffix}", "-C", "out"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "out", check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    for name, data in found.items():
        if name not in {"manifest.json", "manifest.dsse.json", "SHA256SUMS"}:
            assert data == (run / name).read_bytes()
    assert set(found) == {
        "manifest.json", "manifest.dsse.json", "SHA256SUMS", "journal.jsonl", "report.html",
        "report.json", "run.json", *BLOBS,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", CODECS)
def test_a_disk_without_room_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    """Nothing patched: the process may not write more than 1024 bytes to a file."""
    run_directory(tmp_path / "run", files={"blobs/0f": os.urandom(20_000)})
    target = tmp_path / f"run{suffix}"
    target.write_text("the one of yesterday")
    podmedic = Path(sys.executable).with_name("podmedic")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 2; exec "$0" bundle run -q -o "$1"', podmedic, target.name],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        # Compiled modules would be cut as well, and stay.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        6, f"podmedic: cannot write {target.name}: File too large\n",
    )  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", target.name]
    assert target.read_text() == "the one of yesterday"
