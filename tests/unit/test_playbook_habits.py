"""Who writes a playbook in the words of other languages is told those of this one."""

import pytest

from runner.playbook import PlaybookErrors, load
from runner.playbook.conditions import Condition
from runner.playbook.errors import ConditionError

HEAD = "apiVersion: podmedic.io/v1alpha1\nkind: Playbook\nmetadata: {name: p}\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlaybookErrors) as caught:
        load(HEAD + text, "p.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("container.ready and pod.name", 17, '"and" is written &&'),
        ("container.ready OR pod.name", 17, '"OR" is written ||'),
        ("not container.ready", 5, '"not" is written !'),
        ("a not in b", 3, '"not in" is written !(… in …)'),
        ("a is not null", 3, '"is not" is written !='),
        ("a is 'x'", 3, '"is" is written =='),
        ("a =~ 'x'", 3, "a pattern is asked by TEXT.matches('PATTERN')"),
        ("a contains 'x'", 3, "it is written TEXT.contains('…')"),
        ("a = 1", 3, "two values are compared by =="),
        ("== a", 1, "what it is compared with is missing"),
        ("a & b", 3, '"and" is written &&'),
        ("a | b", 3, '"or" is written ||'),
        ("a <> b", 4, '"<>" is written !='),
        ("a == “x”", 6, "quotes are ' or \""),
        ("'\\d' == a", 1, "an unknown escape: in r'…' backslashes stay as they are"),
        ("a == 'x", 6, "the quote that opens here is not closed"),
        ("a; b", 2, "it is one expression: join the parts by && or ||"),
        ("# a", 1, "a comment begins with //"),
        ("if a then b", 1, '"if" is written CONDITION ? VALUE : OTHER'),
        ("a ? b", 1, "a choice is written CONDITION ? VALUE : OTHER"),
        ("a ?? b", 1, "?? is unknown: has(A.B) ? A.B : OTHER"),
        ("has(a)", 5, "has(…) asks for a member: has(container.exitCode)"),
        ("{{ a }}", 6, "a condition stands without {{ }}"),
        ("(a", 3, "a ) is missing"),
        ("a)", 2, "a ) is too many"),
        ("a.exists(x, )", 13, "something is missing before )"),
        ("a ==\n", 1, "it ends too early"),
        ("$a", 1, '"$" is not expected here'),
    ],
)  # fmt: skip
def test_conditions(text: str, column: int, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.compile(text)
    assert caught.value.message == f"is not a CEL expression: {words}"
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("len(a)", 'unknown function "len" (did you mean "size"?)'),
        ("a.toLower() == a", 'unknown function "toLower" (did you mean "lower"?)'),
    ],
)
def test_functions(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition.compile(text)
    assert caught.value.message == words


def test_names() -> None:
    (error,) = Condition.compile("container.exitCode == None").unknown_names(["container"])
    assert error.message == 'unknown name "None" (did you mean "null"?)'


def test_values() -> None:
    assert mistakes(
        "spec:\n"
        "  deadlineSeconds: 2m\n"
        "  includes: triage\n"
        "  targets: {selector: {matchLabels: {app: web, tier: x}}, namespaces: 'a: [', minRestarts: 1_0}\n"
        "  evidence: {events: off, logs: {tailLines: 10.0, perOwner: '1'}}\n"
        "  steps:\n"
        "  - {name: a, run: ls -l /tmp}\n"
        "  findings: {f: {}}\n"
        "  workloads: none\n"
    ) == [
        'p.yaml:5:20: spec.deadlineSeconds: must be a whole number, found "2m" (did you mean 120?)',
        'p.yaml:6:13: spec.includes: must be a list, found "triage" (did you mean [triage]?)',
        "p.yaml:7:13: spec.targets.selector: must be a string, found a mapping (field: value) (did you mean app=web,tier=x?)",
        'p.yaml:7:71: spec.targets.namespaces: must be a list, found "a: [" (did you mean ["a: ["]?)',
        'p.yaml:7:92: spec.targets.minRestarts: must be a whole number, found "1_0" (did you mean 10?)',
        'p.yaml:8:22: spec.evidence.events: must be true or false, found "off" (did you mean false?)',
        "p.yaml:8:45: spec.evidence.logs.tailLines: must be a whole number, found 10.0 (did you mean 10?)",
        'p.yaml:8:61: spec.evidence.logs.perOwner: must be a whole number, found "1" (did you mean 1?)',
        'p.yaml:10:20: spec.steps[0].run: must be a list, found "ls -l /tmp" (did you mean [ls, -l, /tmp]?)',
        "p.yaml:11:3: spec.findings: must be a list, found a mapping (each entry begins with - )",
        'p.yaml:12:14: spec.workloads: must be a list, found "none"',
    ]  # fmt: skip


def test_words_that_yaml_takes_apart() -> None:
    rule = "id: f, severity: info, title: t, message: m"
    assert mistakes("spec:\n  deadlineSeconds:5\n") == [
        'p.yaml:5:3: spec: must be a mapping (field: value), found "deadlineSeconds:5" (a field is written NAME: VALUE, with a blank)'
    ]
    assert mistakes(
        "spec:\n"
        "  findings:\n"
        f"  - {{{rule}, when: {{container.ready}}, match: {{in: [logs.last], patterns: [error: .*]}}}}\n"
        "  - id: g\n"
        "    severity: info\n"
        "    title: t\n"
        "    message: m\n"
        "    when: logs.last.contains('a #b')\n"
    ) == [
        'p.yaml:6:51: spec.findings[0].when: must be a string, found a mapping (field: value) (did you mean "container.ready"?)',
        'p.yaml:6:112: spec.findings[0].match.patterns[0]: must be a string, found a mapping (field: value) (did you mean "error: .*"?)',
        "p.yaml:11:30: spec.findings[1].when: is not a CEL expression: the quote that opens here is not closed; YAML takes what follows # as a comment: quote the whole value",
    ]  # fmt: skip


def test_a_comment_that_is_one_is_not_blamed() -> None:
    assert mistakes("spec:\n  includes: [triage]\n  targets:\n    selector: a b # ours\n") == [
        "p.yaml:7:15: spec.targets.selector: expected KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY, joined by commas; cannot read 'b' in label selector term 'a b'"
    ]


def test_a_merge_key_is_told_alone() -> None:
    assert mistakes("spec:\n  steps:\n  - &a {name: a, run: [ls]}\n  - {<<: *a}\n") == [
        "p.yaml:7:6: spec.steps[1].<<: unknown field (YAML 1.2 has no merge keys)"
    ]


def test_names_of_fields() -> None:
    """Long ones are cut, what cannot be seen is named, and what is there already is not meant."""
    assert mistakes(
        "spec:\n"
        "  steps: [{name: a, run: [ls], nam: b}]\n"
        '  "": 1\n'
        f"  {'k' * 80}: 1\n"
        "  \u200bsteps: []\n"
    ) == [
        "p.yaml:5:32: spec.steps[0].nam: unknown field",
        'p.yaml:6:3: spec."": unknown field',
        f"p.yaml:7:3: spec.{'k' * 60}…: unknown field",
        r"p.yaml:8:3: spec.\u200bsteps: unknown field: its name has an invisible character (U+200B)",
    ]


@pytest.mark.parametrize(
    ("template", "column", "words"),
    [
        ("{{ pod.name", 48, "not a template: {{ is not closed by }}"),
        ("{% if pod.name %}", 48, "not a template: {% if … %} is not closed by {% endif %}"),
        ("{{ pod.name pod.node }}", 61, "not a template: 'pod' is not expected here"),
        ("pod {{ pod.name pod cannot }}", 65, "not a template: 'pod' is not expected here"),
        ("{% if pod.name cannot %}", 64, "not a template: 'cannot' is not expected here"),
        ("{# x", 48, "not a template: {# is not closed by #}"),
        ("{% fi %}", 48, "not a template: there is if, elif, else and endif, found 'fi'"),
        ("{{ pod.name.upper() }}", 48, "templates know names, filters and if; found a call (a filter is written {{ NAME | FILTER }})"),
        ("{% set a = 1 %}", 48, "templates know names, filters and if; found set"),
        ("{{ container.exitCode + 1 }}", 48, "templates know names, filters and if; found a calculation"),
    ],
)  # fmt: skip
def test_templates(template: str, column: int, words: str) -> None:
    rule = f"{{id: f, severity: info, title: t, message: '{template}'}}"
    assert mistakes(f"spec:\n  findings:\n  - {rule}\n") == [
        f"p.yaml:6:{column}: spec.findings[0].message: {words}"
    ]


def test_steps_with_a_dash() -> None:
    rule = "{id: f, severity: info, title: t, message: m, when: steps.a-b.exitCode == 1}"
    lines = mistakes(f"spec:\n  steps: [{{name: a-b, run: [ls]}}]\n  findings:\n  - {rule}\n")
    assert lines[0] == (
        'p.yaml:7:57: spec.findings[0].when: no step is called "a": one with - is written steps["a-b"]'
    )


def test_text_that_looks_like_yaml() -> None:
    assert mistakes("<<<<<<< HEAD\nspec: {}\n") == [
        "p.yaml:4:1: not valid YAML: a merge conflict that is not resolved"
    ]
    assert mistakes("spec\uff1a\n  steps: []\n") == [
        "p.yaml:4:1: not valid YAML: the colon here (U+FF1A) is not that of YAML"
    ]
