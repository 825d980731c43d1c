"""The command that sends files of a pod as one tar, run here by the shells of images."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from runner.program import Told, collector, told

SHELLS = pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]])


def collect(shell: list[str], root: Path, *paths: str) -> tuple[int, bytes, bytes]:
    _, _, script, *rest = collector(paths, identity="podmedic-test", limit_bytes=1 << 20)
    done = subprocess.run(
        [*shell, "-c", script, *rest], check=False, capture_output=True, timeout=20,
        env={"PATH": os.environ["PATH"], "PODMEDIC_ROOT": str(root), "TMPDIR": str(root)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@SHELLS
def test_what_is_not_there_is_told_and_the_others_are_sent(
    shell: list[str], tmp_path: Path
) -> None:
    (tmp_path / "here").write_text("yes")
    (tmp_path / "dangling").symlink_to("nowhere")
    paths = ("/no/such", "$PODMEDIC_ROOT/here", "$PODMEDIC_ROOT/here/no", f"{tmp_path}/dangling")
    code, tar, stderr = collect(shell, tmp_path, *paths)
    said = told(stderr)
    assert said == Told(hashlib.sha256(tar).hexdigest(), 0, "", (0, 2))
    assert code == 0
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        names = {name.rpartition("/")[2] for name in read.getnames()}
    assert names == {"here", "dangling"}


@SHELLS
@pytest.mark.parametrize("paths", [("/no/such",), ("/no", "$PODMEDIC_ROOT/no/such/")])
def test_nothing_is_sent_where_nothing_is_there(
    shell: list[str], tmp_path: Path, paths: tuple[str, ...]
) -> None:
    code, tar, _ = collect(shell, tmp_path, *paths)
    assert (code, tar) == (98, b"")
