"""A reason to end that is not in the end of a log, but before it."""

import msgspec

from runner.analyze import facts
from runner.model.examination import Examination
from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps, examination, exited, findings_of

CRASHLOOP = resolve("crashloop")
STACKS = "goroutine 9 [select]:\nmain.worker(0xc0)\n\t/app/main.go:44 +0x1d\n\n" * 60


def crashed(earlier: str, end: str = STACKS) -> Examination:
    one = examination(state=exited(2), log=end, steps=crashloop_steps())
    logs = tuple(msgspec.structs.replace(log, earlier=earlier) for log in one.logs)
    return msgspec.structs.replace(one, logs=logs)


def test_rules_look_there_where_the_end_says_nothing() -> None:
    (finding,) = findings_of(
        CRASHLOOP, crashed("starting\npanic: open /etc/app/rules.yaml: no such file or directory\n")
    )
    assert finding.rule == "file-missing-by-log"
    assert finding.message == (
        "Container app exits with code 2 because, as its log says, /etc/app/rules.yaml "
        "cannot be found."
    )
    log = next(e for e in finding.evidence if "log" in e.source)
    assert log.source == "log of container app, before its last lines"
    assert log.excerpt.splitlines()[-1].startswith("panic: open /etc/app/rules.yaml")


def test_it_is_what_conditions_see_as_fatal() -> None:
    one = crashed("starting\npanic: the flux capacitor is at 1.21\n")
    known = facts(one, CRASHLOOP)
    assert known.values["logs"]["fatal"] == "panic: the flux capacitor is at 1.21"
    assert known.values["logs"]["last"] == STACKS
    (finding,) = findings_of(CRASHLOOP, one)
    assert finding.message == (
        "Container app exits with code 2 after an error that its code does not handle: "
        "the flux capacitor is at 1.21."
    )
    assert "panic: the flux capacitor" in finding.evidence[0].excerpt
