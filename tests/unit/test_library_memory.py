"""The playbooks about memory: what every rule says, where it stays silent, what the steps read."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.model.report import StepOutcome
from runner.playbook import resolve
from tests.unit.examinations import examination, exited, findings_of, running, step
from tests.unit.library import Case, check, rules_without_a_case
from tests.unit.test_playbook_scripts import SHELLS, run, step_of

KILLED = exited(137, "OOMKilled")
AT_LIMIT = "Container app was killed because it wanted more memory than its limit of 64Mi."
MEMORY = "node_available_percent=50\noom_kills={}\ncame_to_limit={}\nlimited=yes\nused_percent={}\n"
BELOW = (
    "Container app was not at a memory limit of its own, but the kernel killed processes in it for "
    "memory: the node, or the limit of the pod as a whole, had no more memory."
)

OOMKILLED = [
    Case({"memory": MEMORY.format(0, "yes", 89)}, known={"memory_limit": "64Mi"}),
    Case(
        {"memory": "node_available_percent=3\nunreadable\n"},
        known={"memory_limit": "64Mi"},
        unanswered=["child-killed-at-limit", "child-killed-below-limit", "memory-near-limit"],
    ),
    Case(
        {"memory": MEMORY.format(0, "no", 50)},
        [("killed-at-limit", AT_LIMIT)],
        {"memory_limit": "64Mi", "last": KILLED, "restarts": 1},
    ),
    Case(
        {"memory": MEMORY.format(0, "no", 50).replace("50", "4", 1)},
        [("killed-on-a-full-node", ("Processes of container app were killed for memory, and its node "
          "has hardly any memory left: the kernel takes whatever is largest there."))],
        {"memory_limit": "64Mi", "last": KILLED, "restarts": 1},
    ),
    Case(
        {"memory": "node_available_percent=5\noom_kills=0\nlimit_hits=0\nlimited=no\n"},
        [("killed-without-limit", ("Container app has no memory limit and was killed for memory all "
          "the same: the node, or the limit of the pod as a whole, had no more."))],
        {"last": KILLED, "restarts": 1},
    ),
    Case(
        {"memory": MEMORY.format(2, "yes", 50)},
        [("child-killed-at-limit", ("Container app goes on running, but the kernel killed processes in "
          "it because together they wanted more memory than its limit of 64Mi: Kubernetes does not "
          "show that anywhere."))],
        {"memory_limit": "64Mi"},
    ),
    Case(
        {"memory": MEMORY.format(2, "no", 50)},
        [("child-killed-below-limit", BELOW)],
        {"memory_limit": "64Mi"},
    ),
    Case(
        {"memory": MEMORY.format(0, "yes", 90)},
        [("memory-near-limit", ("Container app uses more than nine tenths of the memory it may use "
          "(64Mi), page cache not counted."))],
        {"memory_limit": "64Mi"},
    ),
    Case(
        {"processes": "heap 1 786433 0 -Xmx786433k java\nheap 9 786432 0 -Xmx768m java\n"
         "heap 11 0 81 -XX:MaxRAMPercentage=81 java\nheap 12 0 80 -XX:MaxRAMPercentage=80 java\n"},
        [("heap-too-large", ("The heap of java in container app may grow to -Xmx786433k, which leaves "
          "too little of the memory limit of 1Gi for all that is not heap (threads, code, buffers).")),
         ("heap-too-large", ("The heap of java in container app may grow to -XX:MaxRAMPercentage=81, "
          "which leaves too little of the memory limit of 1Gi for all that is not heap (threads, "
          "code, buffers)."))],
        {"memory_limit": "1Gi"},
    ),
    # Killed though it has no limit.
    Case({"memory": "node_available_percent=50\noom_kills=1\nlimited=no\n"},
         [("child-killed-below-limit", BELOW)]),
    # Without a limit nothing is too large.
    Case({"processes": "heap 1 786433 0 -Xmx786433k java\nheap 1 0 99 -XX:MaxRAMPercentage=99 java\n"}),
]  # fmt: skip

STILL = dict.fromkeys(("anon", "cache", "shared", "kernel", "files"), "no")


def samples(*growing: str, kib: int = 10_000, minutely: int = 1000) -> dict[str, str]:
    grows = STILL | dict.fromkeys(growing, "yes")
    lines = ["readable=yes", "sample 1: …", *(f"{kind}_grows={how}" for kind, how in grows.items())]
    lines += [f"{kind}_kib_per_minute={minutely}" for kind in ("anon", "cache", "shared", "kernel")]
    lines += [f"anon_kib={kib}", "files_per_minute=12", "minutes_to_limit=7"]
    return {"samples": "\n".join(lines)}


LEAK = (
    "Container app takes more memory from sample to sample and gives none back, as fast as over all "
    "of its life; it will be killed when it comes to its limit of 64Mi."
)
GROWS = (
    "Container app took more memory from sample to sample, but not at the pace of all of its life: "
    "it may still be starting, or be busier than usual."
)
CACHE = (
    "The memory that is shown for container app grows because the kernel keeps the files it reads "
    "and writes (page cache); that is given back when memory is short, and its own memory does not "
    "grow."
)
LIMITED = {"memory_limit": "64Mi"}
MEMORY_LEAK = [
    Case(samples(), known=LIMITED),
    Case({"samples": "unreadable\n"}, unanswered=["memory-leak", "files-in-memory-grow", "open-files-grow"]),
    Case(samples("anon"), [("memory-leak", LEAK)], LIMITED, running_seconds=600),
    Case(
        samples("anon"),
        [("memory-leak", LEAK.partition(";")[0] + ".")],
        running_seconds=300,  # half of what it has
    ),
    # Too young; slower than its start; faster than ever.
    Case(samples("anon", kib=900), [("memory-grows", GROWS)], LIMITED, running_seconds=59),
    Case(samples("anon"), [("memory-grows", GROWS)], LIMITED, running_seconds=299),
    Case(samples("anon"), [("memory-grows", GROWS)], LIMITED, running_seconds=1801),
    Case(
        samples("shared", "cache"),
        [("files-in-memory-grow", ("Container app writes more and more into a file system that is in "
          "memory (/dev/shm, or an emptyDir with medium Memory), and that counts against its memory "
          "limit."))],
    ),
    Case(
        samples("files"),
        [("open-files-grow", ("Container app has more open files and connections from sample to "
          "sample and closes none; it will come to its limit of open files."))],
    ),
    Case(
        samples("kernel"),
        [("kernel-memory-grows", ("What the kernel keeps for container app (names of files, sockets, "
          "threads) grows while its own memory does not; most of it is given back when memory is "
          "short."))],
    ),
    Case(
        samples("cache"),
        [("only-cache-grows", CACHE)],
    ),
    Case(samples("cache", "kernel"), [("only-cache-grows", CACHE)]),
    Case(samples("cache", "kernel", "anon"), [("memory-leak", LEAK)], LIMITED, running_seconds=600),
]  # fmt: skip
CASES = [("oomkilled", case) for case in OOMKILLED] + [("memory-leak", c) for c in MEMORY_LEAK]


@pytest.mark.parametrize(("playbook", "case"), CASES, ids=range(len(CASES)))
def test_what_is_said(playbook: str, case: Case) -> None:
    check(playbook, case)


def test_every_rule_has_a_case() -> None:
    assert rules_without_a_case("oomkilled", OOMKILLED) == set()
    assert rules_without_a_case("memory-leak", MEMORY_LEAK) == set()


def test_a_crash_loop_that_nobody_can_enter_is_judged_by_its_state() -> None:
    """Without any number from inside; and with one it says how much would be more."""
    playbook = resolve("oomkilled")
    gone = step("memory", playbook="oomkilled", outcome=StepOutcome.NOT_EVALUATED)
    one = examination(state=KILLED, memory_limit="64Mi", steps=[gone])
    [found] = findings_of(playbook, one)
    assert (found.rule, found.message) == ("killed-at-limit", AT_LIMIT)
    assert "Mi." not in found.remediation
    out = MEMORY.format(0, "no", 50) + "suggested_mib=77\n"
    one = examination(
        state=running(), last=KILLED, memory_limit="64Mi",
        steps=[step("memory", out, playbook="oomkilled")],
    )  # fmt: skip
    [found] = findings_of(playbook, one)
    assert "A fifth more than the most it had since its last start is 77Mi." in found.remediation


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
        ["java", "-c", "read line", "-Xmx2g", "-Xmx08g", "-Xmx$(reboot)g", "-Xmx", "x" * 50],
        executable=program,
        env={"JAVA_TOOL_OPTIONS": "-Dx=y -Xmx1g", "OTHER": "-Xmx3g", "_JAVA_OPTIONS": "-Xmx1536m"},
        stdin=subprocess.PIPE,
    ) as process:
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
    rows = run(step.model_copy(update={"script": elsewhere}), shell)
    assert [(r["pid"], r["kib"], r["percent"], r["flag"], r["name"]) for r in rows] == [
        (str(java), str(1536 << 10), "0", "-Xmx1536m", "java")
    ]
    assert run(step.model_copy(update={"script": only}), shell) == []


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
    return run(step.model_copy(update={"script": alone}), shell, PODMEDIC_ROOT=str(root))


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
