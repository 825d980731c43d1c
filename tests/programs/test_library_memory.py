"""The scripts about memory, run by the shells of images."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs.scripts import SHELLS, run, step_of


def cgroup2(root: Path, **files: str) -> None:
    at = root / "sys/fs/cgroup"
    at.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (at / f"memory.{name}").write_text(f"{text}\n")


def cgroup1(root: Path, **files: str) -> None:
    at = root / "sys/fs/cgroup/memory"
    at.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (at / f"memory.{name}").write_text(f"{text}\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_memory_of_cgroup_v2(shell: list[str], tmp_path: Path) -> None:
    cgroup2(
        tmp_path, current="62914560", max="67108864", peak="67108864",
        events="low 0\nhigh 0\nmax 40\noom 2\noom_kill 2\noom_group_kill 0",
        stat="anon 52428800\nfile 10485760\nslab 1048576\ninactive_file 1048576",
    )  # fmt: skip
    found = run(step_of("oomkilled", "memory"), shell, PODMEDIC_ROOT=str(tmp_path))
    assert 0 <= int(found.pop("node_available_percent")) <= 100
    assert found == {
        "limited": "yes", "limit_kib": "65536", "peak_kib": "65536",
        "used_kib": "60416", "used_percent": "92", "anon_kib": "51200", "file_kib": "10240",
        "slab_kib": "1024", "oom_kills": "2", "limit_hits": "40", "suggested_mib": "77",
        "came_to_limit": "yes",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_memory_of_cgroup_v1(shell: list[str], tmp_path: Path) -> None:
    cgroup1(
        tmp_path, usage_in_bytes="62914560", limit_in_bytes="67108864",
        max_usage_in_bytes="33554432", failcnt="0",
        oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 0",
        stat="rss 1\ntotal_rss 52428800\ntotal_cache 10485760\ntotal_inactive_file 0",
    )  # fmt: skip
    found = run(step_of("oomkilled", "memory"), shell, PODMEDIC_ROOT=str(tmp_path))
    assert 0 <= int(found.pop("node_available_percent")) <= 100
    assert found == {
        "limited": "yes", "limit_kib": "65536", "peak_kib": "32768",
        "used_kib": "61440", "used_percent": "93", "anon_kib": "51200", "file_kib": "10240",
        "oom_kills": "0", "limit_hits": "0", "suggested_mib": "39",
        "came_to_limit": "no",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_memory_without_a_limit(shell: list[str], tmp_path: Path) -> None:
    cgroup1(
        tmp_path, usage_in_bytes="1048576", limit_in_bytes="9223372036854771712",
        oom_control="oom_kill 0", stat="total_rss 0",
    )  # fmt: skip
    found = run(step_of("oomkilled", "memory"), shell, PODMEDIC_ROOT=str(tmp_path))
    assert (found["limited"], found["used_kib"]) == ("no", "1024")
    assert "limit_kib" not in found


@pytest.fixture
def java(tmp_path: Path) -> Iterator[int]:
    """A process that is called java; the flags that count stand in its environment and arguments."""
    program = tmp_path / "java"
    program.write_bytes(Path("/bin/dash").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen(
        ["java", "-c", "echo; read line", "-Xmx2g", "-Xmx08g", "-Xmx$(reboot)g", "-Xmx", "x" * 50],
        executable=program,
        env={"JAVA_TOOL_OPTIONS": "-Dx=y -Xmx1g", "OTHER": "-Xmx3g", "_JAVA_OPTIONS": "-Xmx1536m"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        # Popen is back before the kernel has put name and arguments in their places.
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("shell", SHELLS)
def test_heaps(shell: list[str], java: int, tmp_path: Path) -> None:
    """The last flag counts, whichever place it has. Here all processes are ours: the script is told
    that ours is another group."""
    step = step_of("oomkilled", "processes")
    assert step.script is not None
    only = step.script.replace("/proc/[0-9]*;", f"/proc/{java};")
    elsewhere = only.replace("read -r ours </proc/self/cgroup || ours=none", "ours=none")
    rows = run(step.changed(script=elsewhere), shell)
    assert [(r["pid"], r["kib"], r["percent"], r["flag"], r["name"]) for r in rows] == [
        (str(java), str(1536 << 10), "0", "-Xmx1536m", "java")
    ]
    assert run(step.changed(script=only), shell) == []


GROWTH = """
n=0
sleep() {
  n=$((n + 1))
  echo "anon $(((100 + n * ANON) * 1048576))
file $(((100 + n * FILE) * 1048576))
shmem $((n * SHARED * 1048576))
slab 0" >"$PODMEDIC_ROOT/sys/fs/cgroup/memory.stat"
  OPENS
  command sleep .05
}
"""


def samples_of(script: str, shell: list[str], root: Path, **growth: str) -> Any:
    """Of a container whose only process is the shell itself, which the script takes for another
    group's: what else the machine runs meanwhile is no part of it."""
    cgroup2(
        root, current="0", max=str(200 << 20),
        stat=f"anon {100 << 20}\nfile {100 << 20}\nshmem 0\nslab 0",
    )  # fmt: skip
    step = step_of("memory-leak", "samples")
    assert "/proc/[0-9]*;" in script
    grown = GROWTH
    for what in ("ANON", "FILE", "SHARED", "OPENS"):
        grown = grown.replace(what, growth.get(what.lower(), ":" if what == "OPENS" else "0"))
    alone = grown + script.replace("/proc/[0-9]*;", "/proc/$$;")
    return run(step.changed(script=alone), shell, PODMEDIC_ROOT=str(root))


def samples_script() -> str:
    script = step_of("memory-leak", "samples").script
    assert script is not None
    elsewhere = script.replace("read -r ours </proc/self/cgroup || ours=none", "ours=none")
    assert elsewhere != script
    return elsewhere


OPENS = 'eval "exec $((n + 2))</dev/null"'  # one more each time


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("growth", "grows"),
    [
        ({"anon": "2"}, {"anon"}),
        ({"file": "2"}, {"cache"}),
        # Files in memory are counted as cache, too.
        ({"file": "1", "shared": "1"}, {"shared"}),
        ({"anon": "(n % 4)"}, set()),  # up and down, as what collects garbage does
        ({"opens": OPENS}, {"files"}),
        # Closed again.
        ({"opens": 'eval "exec $((n % 4 + 3))</dev/null $(((n + 3) % 4 + 3))<&-"'}, set()),
        ({}, set()),
    ],
)
def test_samples(shell: list[str], tmp_path: Path, growth: dict[str, str], grows: set[str]) -> None:
    found = samples_of(samples_script(), shell, tmp_path, **growth)
    assert {key.removesuffix("_grows") for key in found if found[key] == "yes"} == grows | {
        "readable"
    }
    if growth.get("anon") == "2":
        assert found["anon_kib"] == str(112 << 10)
        assert int(found["anon_kib_per_minute"]) > 12 << 10
        assert found["minutes_to_limit"] == "0"


@pytest.mark.parametrize("shell", SHELLS)
def test_open_files_of_our_own_group_are_not_the_containers(
    shell: list[str], tmp_path: Path
) -> None:
    script = step_of("memory-leak", "samples").script
    assert script is not None
    assert samples_of(script, shell, tmp_path, opens=OPENS)["files_grows"] == "no"
