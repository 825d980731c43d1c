"""From many pods to few findings: grouping, rank, fingerprints, and what got no answer."""

import random
from typing import Any

import pytest

from runner.analyze import explain_exit_code, facts, judge
from runner.model.examination import Examination
from runner.model.report import StepOutcome
from runner.model.subject import PodRef, Workload
from runner.playbook import Playbook, load, resolve, vocabulary
from runner.report import summarize
from tests.unit.examinations import (
    crashloop_steps,
    event,
    examination,
    exited,
    findings_of,
    running,
    step,
)

CRASHLOOP = resolve("crashloop")


def playbook(findings: str, steps: str = "[]", name: str = "p") -> Playbook:
    text = f"""
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {{name: {name}}}
spec:
  steps: {steps}
  findings:
{findings}"""
    return load(text, "p.yaml")


def applies(*examinations: Examination, names: tuple[str, ...] = ("p",)) -> dict[str, Any]:
    return {one.pod.metadata.uid: names for one in examinations}


def replicas(count: int, **pod: Any) -> list[Examination]:
    steps = crashloop_steps()
    return [examination(pod=f"web-5d9c7-{i:03}", steps=steps, **pod) for i in range(count)]


def test_forty_replicas_with_one_cause_are_one_finding() -> None:
    pods = replicas(40, log="fatal: LEDGER_URL is not set\n")
    findings, _, _ = judge([CRASHLOOP], pods, applies(*pods, names=("crashloop",)))
    assert [(each.rule, len(each.pods)) for each in findings] == [("variable-missing", 40)]
    assert findings[0].pods[0] == PodRef(namespace="shop", name="web-5d9c7-000")
    assert findings[0].workload == Workload(kind="Deployment", namespace="shop", name="web")
    assert findings[0].container == "app"


def test_names_and_addresses_of_one_pod_are_no_other_cause() -> None:
    pods = [
        examination(
            pod=f"web-5d9c7-{i}",
            state=running(),
            restarts=0,
            readiness_probe=True,
            steps=crashloop_steps(),
            events=[event("Unhealthy", f"Readiness probe failed: web-5d9c7-{i} at 10.244.0.17")],
        )
        for i in range(3)
    ]
    (finding,), _, _ = judge([CRASHLOOP], pods, applies(*pods, names=("crashloop",)))
    assert len(finding.pods) == 3
    assert "web-5d9c7-0 at 10.244.0.17" in finding.message


def test_order_of_the_pods_changes_nothing() -> None:
    pods = [
        *replicas(6, log="KeyError: 'LEDGER_URL'\n"),
        examination(pod="web-x", log="bye\n", steps=crashloop_steps()),
        examination(pod="web-y", state=exited(137, "OOMKilled"), log="", memory_limit="64Mi"),
    ]
    expected = judge([CRASHLOOP], pods, applies(*pods, names=("crashloop",)))
    for seed in range(5):
        shuffled = random.Random(seed).sample(pods, len(pods))
        assert judge([CRASHLOOP], shuffled, applies(*pods, names=("crashloop",))) == expected


def test_rank_is_severity_then_confidence_then_number_of_pods() -> None:
    rules = playbook("""
  - {id: a, severity: info, confidence: certain, title: t, message: m}
  - {id: b, severity: critical, confidence: possible, title: t, message: m}
  - {id: c, severity: critical, confidence: likely, title: t, message: "{{ pod.phase }}"}
  - {id: d, severity: warning, confidence: certain, title: t, message: m}
""")
    pods = [examination(pod="a", phase="Running"), *[
        examination(pod=name, phase="Pending") for name in "bc"
    ]]  # fmt: skip
    findings, _, _ = judge([rules], pods, applies(*pods))
    assert [(each.rule, len(each.pods)) for each in findings] == [
        ("c", 2),
        ("c", 1),
        ("b", 3),
        ("d", 3),
        ("a", 3),
    ]


def test_a_fingerprint_names_a_cause_not_a_pod() -> None:
    def fingerprint(pod: str, log: str, name: str = "web") -> str:
        workload = Workload(kind="Deployment", namespace="shop", name=name)
        one = examination(pod=pod, log=log, steps=crashloop_steps(), workload=workload)
        return findings_of(CRASHLOOP, one)[0].fingerprint

    def key_error(name: str) -> str:
        return f"Traceback (most recent call last):\n  os.environ['{name}']\nKeyError: '{name}'\n"

    first = fingerprint("web-1", key_error("A_URL"))
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert fingerprint("web-2", "noise\nA_URL is not set\n") == first
    assert fingerprint("web-1", key_error("B_URL")) != first
    assert fingerprint("web-1", key_error("A_URL"), name="api") != first


def test_two_playbooks_find_the_same_once() -> None:
    rule = '  - {id: same, severity: info, title: t, message: "m"}\n'
    one = examination()
    books = [playbook(rule, name="p"), playbook(rule, name="q")]
    findings, _, _ = judge(books, [one], applies(one, names=("p", "q")))
    assert [(each.rule, each.playbook) for each in findings] == [("same", "p")]


def test_pods_are_judged_by_the_playbooks_that_selected_them() -> None:
    one = examination()
    rule = playbook('  - {id: same, severity: info, title: t, message: "m"}\n')
    assert judge([rule], [one], {}) == ((), (), ())
    assert judge([rule], [one], {one.pod.metadata.uid: ["q"]}) == ((), (), ())


def test_fallback_and_unless() -> None:
    rules = playbook("""
  - {id: last, fallback: true, severity: info, title: t, message: m}
  - {id: a, when: container.exitCode == 1, severity: info, title: t, message: m}
  - {id: b, unless: [a], severity: info, title: t, message: m, when: container.exitCode < 3}
""")
    fired = {
        code: [each.rule for each in findings_of(rules, examination(state=exited(code)))]
        for code in (1, 2, 3)
    }
    assert fired == {1: ["a"], 2: ["b"], 3: ["last"]}


def test_each_judges_every_element() -> None:
    rules = playbook(
        """
  - id: a
    each: steps.s.parsed.filter(row, row.state == 'bad')
    severity: info
    title: t
    message: "{{ item.name }} is bad"
    evidence: [steps.s.stdout]
""",
        steps="[{name: s, run: [x], parse: {regex: '(?m)^(?P<line>(?P<name>\\w+) (?P<state>\\w+))$'}}]",
    )
    out = "x bad\ny good\nz bad\n"
    one = examination(steps=[step("s", out, playbook="p")])
    assert [each.message for each in findings_of(rules, one)] == ["x is bad", "z is bad"]


def test_a_finding_whose_texts_cannot_be_rendered_is_told_all_the_same() -> None:
    """As it is written, and what is wrong with it beside it, once for all items of a rule."""
    rules = playbook("""
  - id: a
    each: "[1, 2]"
    severity: critical
    about: "Node/{{ container.signal }}"
    title: "t {{ pod.name | round }}"
    message: "{{ item }} {{ container.signal }}"
    remediation: "see {{ pod.name }}"
""")
    one = examination()
    (finding,), (question,), _ = judge([rules], [one], applies(one))
    assert (finding.rule, finding.severity) == ("a", "critical")
    assert finding.title == "t {{ pod.name | round }}"
    assert finding.message == "{{ item }} {{ container.signal }}"
    assert finding.remediation == "see " + one.pod.metadata.name
    assert finding.workload == one.workload
    assert (question.subject, question.reason) == ("rule a", "TextNotRendered")
    assert question.message == (
        "the finding is reported, but not all of its texts: "
        'message: there is no "signal"; about: there is no "signal"; '
        "title: type str doesn't define __round__ method"
    )
    # It was evaluated all the same.
    assert summarize((), [finding], [question], 1).rules == {"evaluated": 1, "not-evaluated": 0}


def test_a_value_of_another_type_is_not_called_missing() -> None:
    rules = playbook("""
  - {id: a, when: container.exitCode, severity: info, title: t, message: m}
  - {id: b, each: container.exitCode, severity: info, title: t, message: m}
  - {id: c, when: container.exitCode && true, severity: info, title: t, message: m}
""")
    one = examination(state=exited(1))
    findings, questions, _ = judge([rules], [one], applies(one))
    assert findings == ()
    assert [(q.subject, q.reason, q.message) for q in questions] == [
        ("rule a", "WrongType", "the condition gives int, not true or false"),
        ("rule b", "WrongType", "each gives int, not a list"),
        (
            "rule c",
            "WrongType",
            "No such overload: the operation is not defined for the given operand types",
        ),
    ]


def test_questions_are_grouped_like_findings() -> None:
    rules = playbook(
        "  - {id: a, when: steps.s.exitCode == 0, severity: info, title: t, message: m}\n",
        steps="[{name: s, run: [x]}]",
    )
    pods = [
        examination(
            pod=f"web-{i}",
            steps=[step("s", playbook="p", outcome=StepOutcome.NOT_EVALUATED, message="no df")],
            unknown={"events": "forbidden: list events"},
        )
        for i in range(3)
    ]
    findings, questions, _ = judge([rules], pods, applies(*pods))
    assert findings == ()
    assert [(q.subject, q.reason, q.message, len(q.pods)) for q in questions] == [
        ("fact events", "Forbidden", "forbidden: list events", 3),
        ("rule a", "FactMissing", "steps.s: no df", 3),
        ("step s", "ToolMissing", "no df", 3),
    ]


def test_a_pod_that_was_not_examined_is_not_healthy() -> None:
    rules = playbook(
        "  - {id: a, when: steps.s.exitCode == 0, severity: info, title: t, message: m}\n",
        steps="[{name: s, run: [x]}]",
    )
    one = examination(unknown={"pod": "Forbidden: cannot patch pods/ephemeralcontainers"})
    _, questions, _ = judge([rules], [one], applies(one))
    assert [(q.subject, q.reason, q.message) for q in questions] == [
        ("pod", "Forbidden", "cannot patch pods/ephemeralcontainers"),
        ("rule a", "FactMissing", "steps.s: Forbidden: cannot patch pods/ephemeralcontainers"),
    ]


def test_facts_use_documented_names_only() -> None:
    known = facts(examination(log="x", state=exited(1, signal=9), last=exited(2)), CRASHLOOP)
    for root in set(vocabulary.MAPS) - {"object"}:
        assert set(known.values[root]) <= set(vocabulary.members(root)), root
    for each in known.values["steps"].values():
        assert set(each) <= set(vocabulary.members("steps"))
    assert set(known.values) <= set(vocabulary.NAMES)


def test_hostile_output_is_text_only() -> None:
    """Neither template nor expression nor number of a pod does anything."""
    rules = playbook(
        '  - {id: a, severity: info, title: t, message: "{{ steps.s.stdout | short(400) }}"}\n',
        steps="[{name: s, run: [x], parse: {json: true}}]",
    )
    out = '{"a": 123456789012345678901234567890, "b": "{{ 7 * 7 }}<script>\\u001b[31m"}'
    (finding,) = findings_of(rules, examination(steps=[step("s", out, playbook="p")]))
    assert finding.message == out


@pytest.mark.parametrize(
    ("code", "reason", "signal", "words"),
    [
        (0, "Completed", 0, "of its own accord"),
        (1, "Error", 0, "general error"),
        (2, "Error", 0, "wrong usage"),
        (126, "Error", 0, "could not be executed"),
        (127, "Error", 0, "not found"),
        (128, "StartError", 0, "could not be started"),
        (134, "Error", 0, "aborted itself"),
        (135, "Error", 0, "bus error"),
        (136, "Error", 0, "SIGFPE"),
        (137, "OOMKilled", 0, "more memory than its limit"),
        (0, "OOMKilled", 0, "more memory than its limit"),
        (137, "Error", 0, "failed probe"),
        (139, "Error", 0, "segmentation fault"),
        (0, "Error", 11, "segmentation fault"),
        (143, "Error", 0, "asked to stop"),
        (255, "Error", 0, "exited with -1"),
        (77, "Error", 0, "chose this code"),
    ],
)
def test_exit_codes(code: int, reason: str, signal: int, words: str) -> None:
    assert words in explain_exit_code(code, reason, signal)


def test_what_is_false_anyway_needs_no_fact() -> None:
    """A condition that does not hold asks nobody why a log or a step could not be had."""
    rules = playbook(
        """
  - id: a
    when: container.exitCode == 9 && item.x == 'y'
    each: steps.s.parsed
    severity: info
    title: t
    message: m
  - id: b
    when: container.exitCode == 9
    match: {in: [logs.last], patterns: [x]}
    severity: info
    title: t
    message: m
""",
        steps="[{name: s, run: [x], parse: {json: true}}]",
    )
    one = examination(unknown={"logs": "forbidden: get pods/log"})
    findings, questions, _ = judge([rules], [one], applies(one))
    assert findings == ()
    assert [question.subject for question in questions] == ["fact logs"]
