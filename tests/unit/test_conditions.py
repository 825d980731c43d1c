"""CEL conditions: three answers, and every mistake found when they are read."""

from typing import Any

import pytest

from runner.playbook.conditions import FALSE, MAX_LENGTH, TRUE, Answer, Condition, Facts, Verdict
from runner.playbook.errors import ConditionError

VALUES: dict[str, Any] = {
    "container": {"name": "app", "reason": "Error", "exitCode": 1, "envNames": ["A", "B"]},
    "steps": {
        "disk": {"outcome": "not-evaluated", "reason": "tool missing: df"},
        "dns": {"outcome": "passed", "exitCode": 0, "stdout": "first\n\nlast line\n"},
    },
    "logs": {"last": "Hello\nWorld\n"},
}
UNKNOWN = {"events": "forbidden: list events", "steps.disk": "tool missing: df"}
FACTS = Facts(VALUES, UNKNOWN)
NOT = Answer.NOT_EVALUATED


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("container.exitCode == 1", TRUE),
        ("container.exitCode == 2", FALSE),
        ("has(container.signal)", FALSE),
        ("has(container.signal) && container.signal == 9", FALSE),
        ("'A' in container.envNames", TRUE),
        ("'DB_URL' in container.envNames", FALSE),
        ("steps.disk.outcome == 'not-evaluated'", TRUE),
        # what could not be had
        ("events.exists(e, e.reason == 'Killing')", Verdict(NOT, "events: forbidden: list events")),
        ("steps.disk.exitCode == 0", Verdict(NOT, "steps.disk: tool missing: df")),
        ("!(steps.disk.exitCode == 0)", Verdict(NOT, "steps.disk: tool missing: df")),
        # what is simply absent and was not asked for first
        ("container.signal == 9", Verdict(NOT, 'there is no "signal"')),
        # an answer that does not need it
        ("container.exitCode == 1 || events.exists(e, e.reason == 'Killing')", TRUE),
        ("events.exists(e, e.reason == 'Killing') || container.exitCode == 1", TRUE),
        ("steps.disk.exitCode == 0 && container.exitCode == 2", FALSE),
        ("container.exitCode == 2 || steps.disk.exitCode == 0", Verdict(NOT, "steps.disk: tool missing: df")),
        # wrong kinds
        ("container.exitCode", Verdict(NOT, "the condition gives int, not true or false", "WrongType")),
        ("'a'", Verdict(NOT, "the condition gives string, not true or false", "WrongType")),
        ("{'a': null}", Verdict(NOT, "the condition gives map, not true or false", "WrongType")),
        ("container.exitCode > 'x'", Verdict(NOT, "No such overload: the operation is not defined for the given operand types", "WrongType")),
        ("1 / 0 == 1", Verdict(NOT, "division by zero in CEL expression")),
        # joined by more than &&
        ("container.exitCode == 2 && true || container.exitCode == 1", TRUE),
        ("container.exitCode == 2 && true ? false : true", TRUE),
        ("(container.exitCode == 1 || false) && container.name == 'a && b'", FALSE),
        ("container.exitCode == 1 && // && false\n container.name == 'app'", TRUE),
        ("container.exitCode == 1 && container.name", Verdict(NOT, "No such overload: the operation is not defined for the given operand types", "WrongType")),
        # functions
        ("matches(logs.last, 'Hello\\\\s+World') && 'matches (x)'.contains('matches (')", TRUE),
        ("logs.last.matches(container.name + '(')", Verdict(NOT, "not a re2 regular expression: missing ): app(")),
        ("logs.last.matches('(?m)^World$')", TRUE),
        ("logs.last.contains('ello') && logs.last.startsWith('Hel')", TRUE),
        ("firstLine(steps.dns.stdout) == 'first'", TRUE),
        ("steps.dns.stdout.lastLine() == 'last line'", TRUE),
        ("'ÄB'.lower() == 'äb' && trim(' x ') == 'x'", TRUE),
        ("size(container.envNames) == 2", TRUE),
        ("int('12') > 9 && string(3) == '3'", TRUE),
    ],
)  # fmt: skip
def test_answers(text: str, verdict: Verdict) -> None:
    assert Condition.compile(text).evaluate(FACTS) == verdict


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("container.exitCode ==", (1, 22), "is not a CEL expression: it ends too early"),
        ("a &&\nb ||| c", (2, 5), 'is not a CEL expression: "or" is written ||'),
        ("", (1, 1), "is empty"),
        ("logs.last.matchs('x')", (1, 11), 'unknown function "matchs" (did you mean "matches"?)'),
        ("x == 1 &&\n  foo(x)", (2, 3), 'unknown function "foo"'),
        ("logs.last.reMatch('x')", (1, 11), 'unknown function "reMatch" (did you mean "matches"?)'),
        ("logs.last.matches('(')", (1, 19), "not a re2 regular expression: missing ): ("),
        ("logs.last.matches('(?=x)')", (1, 19), "not a re2 regular expression: invalid perl operator: (?="),
        ("'x' * " + "a" * MAX_LENGTH, (1, 1), f"longer than {MAX_LENGTH} characters"),
        ("(" * 40 + "1" + ")" * 40, (1, 33), "nested deeper than 32 brackets"),
        ("l.all(a, l.all(b, l.all(c, a == c)))", (1, 24), "more than 2 loops inside each other"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.compile(text)
    assert (caught.value.message, (caught.value.line, caught.value.column)) == (message, place)


def test_what_comes_later_is_not_remembered() -> None:
    """Parts that rules share are asked once; what is about a match is asked for each."""
    facts = Facts(VALUES, UNKNOWN)
    condition = Condition.compile("container.exitCode == 1 && match.line.matches('^a')")

    assert condition.evaluate(facts) == Verdict(NOT, 'there is no "match"')
    lines = [{"line": "a"}, {"line": "b"}, {"line": "ab"}]
    assert [condition.evaluate(facts.with_values(match=each)) for each in lines] == [
        TRUE,
        FALSE,
        TRUE,
    ]
    assert condition.evaluate(facts) == Verdict(NOT, 'there is no "match"')


def test_unknown_names() -> None:
    condition = Condition.compile("contaner.exitCode == 1 && 'podd' == podd")
    found = condition.unknown_names(["container", "pod"])
    assert [(error.message, error.column) for error in found] == [
        ('unknown name "contaner" (did you mean "container"?)', 1),
        ('unknown name "podd" (did you mean "pod"?)', 37),
    ]


def test_loop_variables_are_known_names() -> None:
    condition = Condition.compile("events.exists(e, e.reason == 'x')")
    assert list(condition.unknown_names(["events"])) == []


@pytest.mark.parametrize("character", ["!", "-", "a.", "1+", "true?1:", "[", "{1:", "a||", "'"])
def test_long_nonsense_ends(character: str) -> None:
    """Neither a crash nor a long wait: refused, or compiled and answered."""
    text = (character * MAX_LENGTH)[: MAX_LENGTH - 4] + "true"
    try:
        condition = Condition.compile(text)
    except ConditionError:
        return
    assert condition.evaluate(FACTS).answer in Answer


def test_more_facts_do_not_leak() -> None:
    """`item` of one rule is not there for another one's."""
    condition = Condition.compile("item.x == 1")
    assert condition.evaluate(FACTS.with_values(item={"x": 1})) == TRUE
    assert condition.evaluate(FACTS.with_values(item={"x": 2})) == FALSE
    assert "item" not in FACTS.values


def test_strange_values_do_not_break_the_facts() -> None:
    """What a pod printed may hold anything that JSON can."""
    facts = Facts({"logs": {"last": "\x00\x1b[31m\ufffd\U0001f4a9"}}, {})
    assert Condition.compile(r"logs.last.contains('[31m')").evaluate(facts) == TRUE
