"""The scripts about configuration, run by the shells of images."""

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from tests.programs.scripts import SHELLS, run, step_of
from tests.programs.test_library_disk import ROOT, entered

NAME = "config-drift"


def config_volume(path: Path, **files: str) -> None:
    """As the kubelet writes it."""
    folder = path / "..2026_11_20_10_00_00.123456789"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
        (path / name).symlink_to(f"..data/{name}")
    (path / "..data").symlink_to(folder.name)
    os.utime(folder, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize("shell", SHELLS)
def test_files(shell: list[str], tmp_path: Path) -> None:
    """A hash of each file, of what is no such volume nothing, and never a content."""
    config_volume(tmp_path / "conf", a="password: hunter2\n", b="")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "c").write_text("c")
    step = step_of(NAME, "files")
    env = {"PODMEDIC_MOUNTS": f"{tmp_path}/conf\n{tmp_path}/plain\n/no/such"}
    rows = run(step, shell, **env)
    [row] = [row for row in rows if row["kind"] == "volume"]
    assert row["path"] == f"{tmp_path}/conf"
    assert int(row["value"]) > 10_000_000
    out = run(step.changed(parse=None), shell, **env)
    whole = hashlib.sha256(b"password: hunter2\n").hexdigest()
    assert "hunter2" not in out
    hashes = {line.split()[2]: line.split()[1] for line in out.splitlines() if line[:4] == "file"}
    assert hashes.keys() == {f"{tmp_path}/conf/a", f"{tmp_path}/conf/b"}
    assert hashes[f"{tmp_path}/conf/a"] in (whole, whole[:8])  # where /tmp is in memory, as Secrets


@pytest.mark.parametrize("shell", SHELLS)
def test_a_secret_shows_eight_digits(shell: list[str]) -> None:
    """So little that nobody can guess a short one from them. Secrets are in memory: tmpfs."""
    whole = hashlib.sha256(b"hunter2\n").hexdigest()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        config_volume(Path(folder) / "conf", token="hunter2\n")
        step = step_of(NAME, "files").changed(parse=None)
        out = run(step, shell, PODMEDIC_MOUNTS=f"{folder}/conf")
    assert out.splitlines()[1].split()[1] == whole[:8]


POD = "/var/lib/kubelet/pods/0e547e07-7275-49aa-aa19-7d3aa6081ad1/volumes"


@pytest.mark.parametrize("shell", SHELLS)
def test_subpaths(shell: list[str], tmp_path: Path) -> None:
    env = entered(
        tmp_path, ROOT,
        f"8:1 {POD}/kubernetes.io~configmap/c/..2026_11_20_10_00_00.1/a /etc/a ro - ext4 /dev/sda1 rw",
        f"8:1 {POD}/kubernetes.io~configmap/c/..2026_11_20_10_00_00.1/b//deleted /etc/b ro - ext4 /dev/sda1 rw",
        "0:8 /..2026_11_20_10_00_00.1/key//deleted /etc/key ro - tmpfs tmpfs rw",
        f"8:1 {POD}/kubernetes.io~configmap/c /etc/c ro - ext4 /dev/sda1 rw",
        f"8:1 {POD}/kubernetes.io~empty-dir/d/x /etc/d rw - ext4 /dev/sda1 rw",
    )  # fmt: skip
    assert run(step_of(NAME, "subpaths"), shell, **env) == [
        {"state": "current", "path": "/etc/a"},
        {"state": "replaced", "path": "/etc/b"},
        {"state": "replaced", "path": "/etc/key"},
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_variables(shell: list[str], tmp_path: Path) -> None:
    """Names of those that the debugger has, too, with another value; no value is printed, and none
    can run anything."""
    env = entered(tmp_path, ROOT)
    theirs = {
        "LEVEL": "old-value", "SAME": "x=y z", "LINES": "a\nb", "OTHER": "a\nLEVEL2=x", "ONLY": "theirs",
        "PATH": "/theirs", "WEB_PORT": "1", "BAD;reboot": "x", "_line": "x", "EVIL": "$(reboot)`x`",
    }  # fmt: skip
    raw = "\0".join(f"{k}={v}" for k, v in theirs.items())
    (tmp_path / "environ").write_text(f"{raw}\0noise\0")
    ours = {
        "LEVEL": "new", "SAME": "x=y z", "LINES": "a\nc", "OTHER": "b", "WEB_PORT": "2",
        "EVIL": "$(reboot)`x`", "_line": "y",
    }  # fmt: skip
    step = step_of(NAME, "variables")
    assert run(step, shell, **env, **ours) == [
        {"state": "differs", "name": "LEVEL"},
        {"state": "differs", "name": "OTHER"},
    ]
    out = run(step.changed(parse=None), shell, **env, **ours)
    assert "value" not in out
    (tmp_path / "environ").unlink()
    assert run(step, shell, **env, **ours) == []
