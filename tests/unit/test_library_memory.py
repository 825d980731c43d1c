"""The playbooks about memory: what every rule says, where it stays silent, what the steps read."""

import pytest

from runner.model.report import StepOutcome
from runner.playbook import resolve
from tests.unit.examinations import examination, exited, findings_of, running, step
from tests.unit.library import Case, check, rules_without_a_case

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
