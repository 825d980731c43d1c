"""The scripts about disks and volumes, run by the shells of images."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.programs.scripts import SHELLS, run, step_of


def entered(folder: Path, *mounts: str) -> dict[str, str]:
    """The environment of a step in a target that mounts this: as below /proc/1."""
    (folder / "root").mkdir(exist_ok=True)
    lines = (f"{i + 1} 1 {mount}\n" for i, mount in enumerate(mounts))
    (folder / "mountinfo").write_text("".join(lines))
    return {"PODMEDIC_ROOT": f"{folder}/root"}


ROOT = "0:9 / / rw,relatime master:3 - overlay overlay rw,lowerdir=/a"
MOUNTS = (
    ROOT,
    "0:1 / /proc rw,nosuid - proc proc rw",
    "0:2 / /dev rw,nosuid - tmpfs tmpfs rw",
    "0:3 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k",
    "8:1 /pods/1/volumes/a /data rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw",
    "8:1 /pods/1/volumes/b /again rw,relatime - ext4 /dev/sda1 rw",
    "8:2 / /read ro,relatime - ext4 /dev/sdb rw",
    "8:3 / /broken rw,relatime - ext4 /dev/sdc ro,errors=remount-ro",
    "8:1 /pods/1/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw",
    "0:4 / /var/run/secrets/kubernetes.io/serviceaccount ro - tmpfs tmpfs rw",
)


@pytest.mark.parametrize("shell", SHELLS)
def test_room(shell: list[str], tmp_path: Path) -> None:
    """Each file system once, of those that the target may write to; without a target, its volumes."""
    env = entered(tmp_path, *MOUNTS)
    for name in ("data", "again", "read", "broken", "dev/shm"):
        (tmp_path / "root" / name).mkdir(parents=True)
    rows = run(step_of("disk-full", "room"), shell, **env)
    assert {r["path"] for r in rows if r["kind"] == "disk"} == {"/", "/dev/shm", "/data", "/broken"}
    vfs = os.statvfs(tmp_path)
    used = vfs.f_blocks - vfs.f_bfree
    percent = used * 100 / (used + vfs.f_bavail)
    root = next(r for r in rows if r["kind"] == "disk")
    assert percent - 1 <= int(root["percent"]) <= percent + 2
    assert int(root["available"]) == pytest.approx(vfs.f_bavail * vfs.f_frsize / 1024, rel=0.05)
    alone = run(step_of("disk-full", "room"), shell, PODMEDIC_MOUNTS=f"{tmp_path}\n/no/such")
    assert {r["path"] for r in alone if r["kind"] == "disk"} == {"/", str(tmp_path)}


@pytest.mark.parametrize("shell", SHELLS)
def test_folders_of_a_full_file_system_alone(shell: list[str], tmp_path: Path) -> None:
    """`stat` says that it is full; the largest comes first."""
    env = entered(tmp_path, ROOT, "8:1 /v /data rw - ext4 /dev/sda1 rw")
    big = tmp_path / "root/data/big"
    big.mkdir(parents=True)
    (big / "file").write_bytes(b"x" * 200_000)
    (tmp_path / "root/data/small").mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    stat = tools / "stat"
    # 81 blocks are in use; a folder of some 200 KiB is more than half of 81 * 4 KiB.
    for blocks_free, size, expected, fills in (
        ("19", "4096", True, ["/data/big"]),
        ("19", "65536", True, []),
        ("21", "4096", False, []),
    ):
        stat.write_text(f"#!/bin/sh\necho 100 {blocks_free} {blocks_free} 100 100 {size}\n")
        stat.chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        rows = run(step_of("disk-full", "folders"), shell, path=path, **env)
        assert [r["path"] for r in rows if r["kind"] == "fills" and r["mount"] == "/data"] == fills
        names = [r["path"].rstrip("/") for r in rows if r["kind"] == "folder"]
        assert all(r["size"] > 200_000 for r in rows if r["path"] == "/data/big")
        assert ("/data/big" in names) is expected
        if expected and "/data/small" in names:
            assert names.index("/data/big") < names.index("/data/small")


@pytest.mark.parametrize("shell", SHELLS)
def test_deleted_files(shell: list[str], tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(b"x" * (3 << 20))
    with path.open("rb") as file, subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[file.fileno()]) as cat:  # fmt: skip
        path.unlink()
        step = step_of("disk-full", "deleted")
        assert step.script is not None
        only = step.script.replace("/proc/[0-9]*;", f"/proc/{cat.pid};")
        elsewhere = only.replace("read -r ours </proc/self/cgroup || ours=none", "ours=none")
        rows = run(step.changed(script=elsewhere), shell)
        cat.kill()
    assert [(r["mib"], r["pid"], r["name"], r["path"]) for r in rows] == [
        ("3", str(cat.pid), "cat", str(path))
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_read_only(shell: list[str], tmp_path: Path) -> None:
    rows = run(step_of("disk-full", "readonly"), shell, **entered(tmp_path, *MOUNTS))
    assert rows == [{"type": "ext4", "path": "/broken"}]


STATUS = (
    "Name:\tweb\nUid:\t1\t{uid}\t1\t1\nGid:\t1\t{gid}\t1\t1\nGroups:\t{groups} \nCapEff:\t{caps}\n"
)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("uid", "gid", "groups", "caps", "mode", "expected"),
    [
        ("1000", "1000", "", "0", 0o755, ("no", "yes")),
        ("1000", "1000", "", "0", 0o750, ("no", "no")),
        ("1000", "1000", "", "0", 0o777, ("yes", "yes")),
        ("1000", "1000", "5 2000 7", "0", 0o770, ("yes", "yes")),  # as fsGroup gives it
        ("1000", "2000", "", "0", 0o750, ("no", "yes")),
        ("3000", "1", "", "0", 0o700, ("yes", "yes")),
        # What the mode says of the owner counts for him, even if it is less.
        ("3000", "1", "", "0", 0o077, ("no", "no")),
        ("0", "0", "", "00000000a80425fb", 0o700, ("yes", "yes")),
        ("0", "0", "", "00000000a80425f9", 0o700, ("no", "no")),  # without CAP_DAC_OVERRIDE
    ],
)
def test_volumes(
    shell: list[str], tmp_path: Path, uid: str, gid: str, groups: str, caps: str, mode: int,
    expected: tuple[str, str],
) -> None:  # fmt: skip
    """A folder of user 3000 and group 2000, seen by this user."""
    env = entered(tmp_path, *MOUNTS)
    data = tmp_path / "root/data"
    data.mkdir()
    os.chown(data, 3000, 2000)
    data.chmod(mode)
    (tmp_path / "status").write_text(STATUS.format(uid=uid, gid=gid, groups=groups, caps=caps))
    rows = {row["path"]: row for row in run(step_of("volume-mount", "volumes"), shell, **env)}
    assert (rows["/data"]["write"], rows["/data"]["enter"]) == expected
    assert rows["/data"]["owner"] == f"3000:2000:{mode:o}"
    assert {path: (row["state"], row["mode"]) for path, row in rows.items()} == {
        "/data": ("ok", "rw"), "/again": ("gone", "rw"), "/read": ("gone", "ro"), "/broken": ("gone", "rw"),
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_a_volume_that_does_not_answer(shell: list[str], tmp_path: Path) -> None:
    """As the tools say it; the wait is bounded whatever they do."""
    env = entered(tmp_path, ROOT, "0:5 / /share rw - nfs4 s:/x rw", "0:6 / /bucket rw - fuse b rw")
    (tmp_path / "status").write_text(STATUS.format(uid="1", gid="1", groups="", caps="0"))
    tools = tmp_path / "tools"
    tools.mkdir()
    slow = 'case $* in */share) exec sleep 60 ;; esac; echo "stat: cannot stat x: Stale file handle" >&2; exit 1'
    (tools / "slow").write_text(f"#!/bin/sh\n{slow}\n")
    (tools / "slow").chmod(0o755)
    step = step_of("volume-mount", "volumes")
    assert step.script is not None
    named = step.script.replace("KILL 3 stat", f"KILL 0.2 {tools}/slow" if shell == ["dash"] else f"KILL 1 {tools}/slow")  # fmt: skip
    rows = run(step.changed(script=named), shell, **env)
    assert {(row["path"], row["state"]) for row in rows} == {
        ("/share", "hangs"),
        ("/bucket", "stale"),
    }
