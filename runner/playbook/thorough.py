"""What only `podmedic validate` looks for, since a run would pay for it at each start: conditions
that are never true or false, and templates that cannot become code."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.playbook.answers import Wrong, no_answer, no_list
from runner.playbook.base import listed, mapping
from runner.playbook.checks import Loc, Problem
from runner.playbook.conditions import Condition, place
from runner.playbook.errors import ConditionError
from runner.playbook.templates import Text, TextError

_TEXTS = ("about", "title", "message", "remediation")


def check(document: Any) -> Iterator[Problem]:
    """Beside what `runner.playbook.checks` finds."""
    spec = mapping(mapping(document).get("spec"))
    for section in ("findings", "workloads"):
        for index, rule in enumerate(map(mapping, listed(spec.get(section)))):
            loc: Loc = ("spec", section, index)
            yield from _rule(rule, loc)
            yield from _rule(mapping(rule.get("refuted")), (*loc, "refuted"))


def _rule(rule: Mapping[str, Any], loc: Loc) -> Iterator[Problem]:
    yield from _condition(rule.get("when"), (*loc, "when"), no_answer)
    yield from _condition(rule.get("each"), (*loc, "each"), no_list)
    for key in _TEXTS:
        yield from _template(rule.get(key), (*loc, key))


def _condition(text: Any, loc: Loc, wrong: Callable[[str], list[Wrong]]) -> Iterator[Problem]:
    if not isinstance(text, str):
        return
    try:
        Condition.compile(text)
    except ConditionError:
        return  # its field says so
    for each in wrong(text):
        yield Problem(loc, each.message, *place(text, each.offset))


def _template(text: Any, loc: Loc) -> Iterator[Problem]:
    if not isinstance(text, str):
        return
    try:
        checked = Text.compile(text)
    except TextError:
        return  # its field says so
    try:
        checked.build()
    except TextError as error:
        yield Problem(loc, error.message, error.line)
