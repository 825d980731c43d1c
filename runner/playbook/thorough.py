"""What only `podmedic validate` looks for, since a run would pay for it at each start: conditions
that are never true or false, and templates that cannot become code."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.playbook import vocabulary
from runner.playbook.answers import Wrong, item_of, no_answer, no_list
from runner.playbook.base import listed, mapping
from runner.playbook.checks import NUMBER, Loc, Problem, knows_names
from runner.playbook.conditions import Condition, place
from runner.playbook.errors import ConditionError, did_you_mean
from runner.playbook.kinds import UNKNOWN
from runner.playbook.templates import Text, TextError

_STEP = re.compile(r"\bsteps\s*\[\s*(['\"])([^'\"]+)\1\s*\]")
_TEXTS = ("about", "title", "message", "remediation")


def check(document: Any) -> Iterator[Problem]:
    """Beside what `runner.playbook.checks` finds."""
    spec = mapping(mapping(document).get("spec"))
    steps = [mapping(step).get("name") for step in listed(spec.get("steps"))]
    knows_steps = knows_names(spec)
    for section in ("findings", "workloads"):
        for index, rule in enumerate(map(mapping, listed(spec.get(section)))):
            loc: Loc = ("spec", section, index)
            for part, at in ((rule, loc), (mapping(rule.get("refuted")), (*loc, "refuted"))):
                yield from _rule(part, at)
                for key in ("when", "each", *_TEXTS) if knows_steps else ():
                    yield from _steps(part.get(key), (*at, key), steps)


def _rule(rule: Mapping[str, Any], loc: Loc) -> Iterator[Problem]:
    when = rule.get("when")
    if not isinstance(when, str) or not NUMBER.fullmatch(when):  # each start tells that one
        each = rule.get("each")
        item = item_of(each) if isinstance(each, str) else UNKNOWN
        yield from _condition(when, (*loc, "when"), lambda text: no_answer(text, item))
    yield from _condition(rule.get("each"), (*loc, "each"), no_list)
    for key in _TEXTS:
        yield from _template(rule.get(key), (*loc, key))


def _steps(text: Any, loc: Loc, steps: Sequence[Any]) -> Iterator[Problem]:
    """Those that are named as `steps["disk-usage"]`."""
    if not isinstance(text, str):
        return
    for found in _STEP.finditer(text):
        if found[2] not in steps:
            words = f'no step is called "{found[2]}"{did_you_mean(found[2], steps)}'
            yield Problem(loc, words, *place(text, found.start(2)))


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
    known = vocabulary.members("steps")
    for _, member, line, column in checked.of_steps():
        if member not in known:
            words = f'a step has no "{member}"{did_you_mean(member, known)}'
            yield Problem(loc, words, line, column)
    try:
        checked.build()
    except TextError as error:
        yield Problem(loc, error.message, error.line)
