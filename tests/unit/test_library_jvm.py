"""The playbook jvm: what every rule says, and what its step reads of a JVM."""

import pytest

from tests.unit.library import Case, check, rules_without_a_case


def jvm(**changed: object) -> dict[str, str]:
    values = {
        "jvm": "yes", "askable": "yes", "threads": 20, "deadlocked": 0, "blocked": 4,
        "blocked_long": 4, "blocked_on": "com.shop.Pool", "holder": "http-1", "holder_at": "com.shop.Pool.get",
        "busy": 0, "gc_percent": 49, "heap_percent": 89,
    }  # fmt: skip
    return {"threads": "".join(f"{k}={v}\n" for k, v in {**values, **changed}.items())}


DEADLOCK = (
    "Threads of the JVM in container app are in a deadlock: each holds a lock that another of them "
    "waits for, and none will ever go on."
)
JVM = [
    Case(jvm()),
    Case({"threads": "jvm=no\n"}),
    Case({"threads": "unreadable: x\n"}, unanswered=["threads-deadlocked", "heap-nearly-full"]),
    Case(
        {"threads": "jvm=yes\naskable=no\nreason=it does not catch SIGQUIT\n"},
        unanswered=["threads-deadlocked", "threads-blocked", "thread-spins"],
    ),
    Case(
        jvm(deadlocked=2, deadlock_threads="a, b", blocked_long=9),
        [("threads-deadlocked", DEADLOCK)],
    ),
    Case(
        jvm(blocked_long=5),
        [("threads-blocked", ("Threads of the JVM in container app waited for the same lock "
          "(com.shop.Pool) in each of three dumps."))],
    ),
    Case(
        jvm(busy=1, busy_name="parser-7", busy_place="com.shop.Parser.read(Parser.java:9)"),
        [("thread-spins", ("A thread of the JVM in container app ran without a pause in "
          "com.shop.Parser.read(Parser.java:9) in each of three dumps."))],
    ),
    Case(
        jvm(gc_percent=50, heap_percent=90),
        [("garbage-collection-busy", ("The JVM in container app spends its time with collecting "
          "garbage: its heap is too small for what it keeps, or it makes very much garbage.")),
         ("heap-nearly-full", ("The heap of the JVM in container app was more than nine tenths full in "
          "each of three looks: an OutOfMemoryError is near."))],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", JVM, ids=range(len(JVM)))
def test_what_is_said(case: Case) -> None:
    check("jvm", case)


def test_every_rule_has_a_case() -> None:
    assert rules_without_a_case("jvm", JVM) == set()
