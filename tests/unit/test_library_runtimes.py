"""The playbooks about runtimes (Python, Go): what every rule says, and what the steps read."""

import pytest

from tests.unit.library import Case, check, rules_without_a_case


def python(**changed: object) -> dict[str, str]:
    values = {
        "python": "yes", "readable": "yes", "threads": 9, "loop_blocked": 0, "gil_held": 0, "waiting": 4,
        "waiting_at": "get (db.py:7)",
    }  # fmt: skip
    return {"dumps": "".join(f"{k}={v}\n" for k, v in {**values, **changed}.items())}


PYTHON = [
    Case(python()),
    Case({"dumps": "python=no\n"}),
    Case({"dumps": "python=yes\nreadable=no\n"}, unanswered=["event-loop-blocked"]),
    Case(
        python(loop_blocked=1, loop_place="slow (main.py:3)"),
        [("event-loop-blocked", ("The event loop (asyncio) of container app was in slow (main.py:3) in "
          "each of three dumps: as long as that lasts it does nothing else, and answers nobody."))],
    ),
    Case(
        python(gil_held=1, gil_name="spin", gil_place="spin (main.py:3)"),
        [("interpreter-held", ("A thread in container app had the interpreter lock (GIL) in spin "
          "(main.py:3) in each of three dumps: the other threads of its process hardly run meanwhile."))],
    ),
    Case(
        python(waiting=5),
        [("threads-wait-at-one-line", ("Threads in container app waited at the same line, get "
          "(db.py:7), in each of three dumps: for a lock that nobody frees, or for somebody who does "
          "not answer."))],
    ),
]  # fmt: skip


def go(**changed: object) -> dict[str, str]:
    values = {
        "go": "yes", "profiles": "yes", "port": 6060, "scope": "loopback", "answered": "yes",
        "goroutines": 9999, "grew": 4, "top": 9000, "top_grew": 4, "top_function": "main.wait",
        "top_place": "/app/main.go:9",
    }  # fmt: skip
    return {"goroutines": "".join(f"{k}={v}\n" for k, v in {**values, **changed}.items())}


LEAK = (
    "Goroutines of container app pile up in main.wait: more than half of all wait there, and more "
    "come from second to second."
)
PROFILE = [
    Case(go()),
    Case({"goroutines": "go=no\n"}),
    Case({"goroutines": "unreadable: x\n"}, unanswered=["goroutines-leak", "profiles-exposed"]),
    Case({"goroutines": "go=yes\nprofiles=no\n"}),
    Case(go(goroutines=500, top=250, top_grew=5), [("goroutines-leak", LEAK)]),
    Case(go(goroutines=20_000, top=10_000, top_grew=5), [("goroutines-leak", LEAK)]),
    # A small program that works; one that grows everywhere.
    Case(go(goroutines=499, top=400, top_grew=50)),
    Case(go(goroutines=9000, top=4499, top_grew=50)),
    Case(
        go(goroutines=10_000),
        [("goroutines-many", ("Container app has more than ten thousand goroutines, most of them in "
          "main.wait."))],
    ),
    Case(
        go(scope="all"),
        [("profiles-exposed", ("Whoever reaches port 6060 of container app may read its profiles "
          "(/debug/pprof), which tell about its code and its arguments, and slow it down."))],
    ),
]  # fmt: skip
ALL = {"python-pyspy": PYTHON, "profile": PROFILE}
CASES = [(name, case) for name, cases in ALL.items() for case in cases]


@pytest.mark.parametrize(("playbook", "case"), CASES, ids=range(len(CASES)))
def test_what_is_said(playbook: str, case: Case) -> None:
    check(playbook, case)


def test_every_rule_has_a_case() -> None:
    assert {name: rules_without_a_case(name, cases) for name, cases in ALL.items()} == {
        name: set() for name in ALL
    }
