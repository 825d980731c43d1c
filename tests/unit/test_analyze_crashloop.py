"""The playbook crashloop: what each rule says, and that it stays silent where it should."""

from typing import Any

import pytest

from runner.analyze import judge
from runner.model.examination import TargetCondition
from runner.model.pod import ContainerState, StateTerminated
from runner.model.report import Confidence, Finding, StepOutcome
from runner.playbook import resolve
from tests.unit.crashloop_cases import CASES as STATE_CASES
from tests.unit.crashloop_cases import WENT
from tests.unit.crashloop_cause_cases import CASES as CAUSE_CASES
from tests.unit.crashloop_class_cases import CASES as CLASS_CASES
from tests.unit.crashloop_family_cases import CASES as FAMILY_CASES
from tests.unit.crashloop_log_cases import CASES as LOG_CASES
from tests.unit.examinations import (
    STARTED,
    event,
    examination,
    exited,
    findings_of,
    running,
    step,
    waiting,
)
from tests.unit.examinations import (
    crashloop_steps as steps,
)

CRASHLOOP = resolve("crashloop")
CASES = [*STATE_CASES, *LOG_CASES, *CAUSE_CASES, *CLASS_CASES, *FAMILY_CASES]


def found(one: Any) -> list[Finding]:
    return findings_of(CRASHLOOP, one)


@pytest.mark.parametrize(("rule", "pod", "message"), CASES, ids=[case[0] for case in CASES])
def test_names_the_cause(rule: str, pod: dict[str, Any], message: str) -> None:
    """Exactly one finding, with that sentence."""
    findings = found(examination(**{"steps": steps(), **pod}))
    assert [(each.rule, each.message) for each in findings] == [(rule, message)]
    assert findings[0].title
    assert findings[0].remediation


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("a variable that went and that nobody names", {
        "state": exited(0, "Completed"), "restarts": 0, "log": "GREETING is not set\n",
        "changes": [WENT],
    }),
    ("a healthy pod", {"state": running(), "ready": True, "restarts": 0, "log": "LEDGER_URL is not set\n"}),
    ("recovered long ago", {"state": running(), "ready": True, "restarts": 2, "last": exited(0, "Completed")}),
    ("a finished init container", {"state": exited(0, "Completed"), "restarts": 0, "init": True}),
    ("a hint long before the end", {
        "state": exited(0, "Completed"), "restarts": 0,
        "log": "DEBUG_MODE is not set\n" + "working\n" * 40,
    }),
    ("hosts that answer", {"state": running(), "ready": True, "restarts": 0, "steps": steps("endpoint env:A a 80 dns=ok tcp=open\n")}),
    ("a pod that still starts", {"state": waiting("ContainerCreating"), "restarts": 0}),
    ("a pod that is refused now and then", {
        "state": running(), "ready": True, "restarts": 0,
        "log": "serving\ncache:6379: Connection refused, trying again\n" * 20,
        "steps": steps("endpoint env:CACHE cache 6379 dns=ok tcp=refused\n"),
    }),
    ("a pod that was restarted once and is refused now and then", {
        "state": running(), "last": exited(0, "Completed"), "ready": True, "restarts": 1,
        "log": "Connection refused\n", "previous": "Connection refused\n",
        "steps": steps("endpoint env:CACHE cache 6379 dns=ok tcp=refused\n"),
    }),
    ("a failed readiness probe of before", {
        "state": running(), "ready": True, "restarts": 0, "readiness_probe": True,
        "events": [event("Unhealthy", "Readiness probe failed: connection refused")],
    }),
]  # fmt: skip


@pytest.mark.parametrize("pod", [case[1] for case in SILENT], ids=[case[0] for case in SILENT])
def test_says_nothing_of(pod: dict[str, Any]) -> None:
    assert found(examination(**{"steps": steps(), **pod})) == []


def test_every_rule_has_a_case() -> None:
    by_log = {"host-unresolvable", "connection-refused", "connection-timed-out", "file-missing"}
    tested = {case[0] for case in CASES} | {f"{rule}-by-log" for rule in by_log}
    tested |= {"variable-missing", "variable-missing-by-log"}  # in test_analyze_wordings.py
    tested |= {"waits-for-later-peer", "probe-scheme", "readiness-not-asked-yet"}
    tested |= {"waits-for-its-own-service"}  # these in test_analyze_waits.py
    tested |= {"dns-blocked-by-policy"}  # in test_analyze_policies_dns.py
    tested |= {"blocked-by-policy"}  # in test_analyze_scaling.py
    tested |= {"image-changed", "no-scheduler", "no-kubelet"}  # in test_library_api.py
    assert tested == {rule.id for rule in CRASHLOOP.spec.findings}


def test_a_variable_long_before_the_end_is_not_the_cause() -> None:
    """Only the last words count: many programs mention unset options when they start."""
    log = "DEBUG_MODE is not set\n" + "working\n" * 40 + "ValueError: bad\n"
    assert [each.rule for each in found(examination(log=log, steps=steps()))] == [
        "uncaught-exception"
    ]


def test_what_ends_at_once_was_not_ended_by_its_probe() -> None:
    ended = StateTerminated(
        exit_code=0, reason="Completed", started_at=STARTED, finished_at=STARTED
    )
    one = examination(
        state=ContainerState(terminated=ended),
        conditions=[TargetCondition.CRASH_LOOP_BACK_OFF],
        liveness_probe=True,
        steps=steps(),
    )
    assert [(each.rule, each.confidence) for each in found(one)] == [
        ("exits-successfully", Confidence.CERTAIN)
    ]


def test_a_command_that_was_written_as_one_word_is_told_as_one() -> None:
    said = 'exec: "{}": executable file not found in $PATH'
    told = {
        command: found(examination(state=waiting("RunContainerError", said.format(command))))[0]
        for command in ("npm start", "npm")
    }
    assert told["npm start"].remediation.startswith("That is one word with a blank in it")
    assert told["npm"].remediation.startswith("Correct command or args in the pod template")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "ERROR 1045 (28000): Access denied for user 'app'@'10.1.2.3' (using password: NO)",
            "Access denied for user 'app'@'10.1.2.3' (using password: NO)",
        ),
        ("mssql: login error: Login failed for user 'sa'.", "Login failed for user 'sa'"),
    ],
)
def test_credentials_that_are_refused_are_told_whole(line: str, what: str) -> None:
    (one,) = found(examination(log=f"{line}\n", steps=steps()))
    assert one.message == (
        "Container app exits with code 1 because the other side does not accept its credentials: "
        f"{what}."
    )


def test_useful_without_any_step() -> None:
    """Steps that were not evaluated leave what the log says, and say so."""
    one = examination(
        log="lookup db.shop: no such host\n",
        steps=[
            step(name, outcome=StepOutcome.NOT_EVALUATED, message="tool missing: timeout")
            for name in ("mounts", "dns", "endpoints")
        ],
    )
    findings, questions, _ = judge([CRASHLOOP], [one], {one.pod.metadata.uid: ["crashloop"]})
    assert [each.rule for each in findings] == ["host-unresolvable-by-log"]
    assert {each.subject for each in questions} >= {"step endpoints", "rule host-unresolvable"}
    assert {each.message for each in questions if each.subject == "rule host-unresolvable"} == {
        "steps.endpoints: tool missing: timeout"
    }


def test_forbidden_logs_do_not_read_as_silence() -> None:
    one = examination(steps=steps(), unknown={"logs": "forbidden: get pods/log"})
    findings, questions, _ = judge([CRASHLOOP], [one], {one.pod.metadata.uid: ["crashloop"]})
    assert [each.rule for each in findings] == ["exits-unexplained"]
    said = {(each.subject, each.reason, each.message) for each in questions}
    assert ("fact logs", "Forbidden", "forbidden: get pods/log") in said
    assert ("rule variable-missing", "FactMissing", "logs.last: forbidden: get pods/log") in said


def test_the_log_of_the_instance_that_crashed_counts() -> None:
    """While the container lives again, `previous` has the last words."""
    one = examination(
        state=running(),
        last=exited(1),
        log="starting\n",
        previous="starting\nfatal: LEDGER_URL is not set\n",
        steps=steps(),
        conditions=[TargetCondition.CRASH_LOOP_BACK_OFF],
    )
    (finding,) = found(one)
    assert finding.rule == "variable-missing"
    assert finding.evidence[0].source == "previous log of container app"
