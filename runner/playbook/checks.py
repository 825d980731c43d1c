"""What the parts of a playbook say about each other: names that must be unique or must exist.

Works on the plain values of the file, also when some of them are wrong, so that one reading
reports every mistake.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from runner.late import late
from runner.playbook import fields, parsing, vocabulary
from runner.playbook.base import listed, mapping
from runner.playbook.conditions import Condition, place
from runner.playbook.debugger import problems
from runner.playbook.errors import ConditionError, did_you_mean
from runner.playbook.patterns import compile_pattern
from runner.playbook.templates import Text, TextError

STEP_NAME = late(fields.STEP_NAME)
Loc = tuple[str | int, ...]
# Neither a method, such as .exists( or .filter(, nor an index.
_FIELD_OF_PARSED = re.compile(r"\bsteps\.(\w+)\.parsed\.(\w+)\b(?!\()")
_LISTS = frozenset({"regex", "table"})
NUMBER = re.compile(r"\s*(steps\.\w+\.(?:exitCode|attempts|durationSeconds))\s*")


# That of a playbook which does not say, and what is needed beyond it before a container of ours is
# thought to have ended (both as the fields and the limits of a run have them).
_DEADLINE_SECONDS = 120
_MARGIN_SECONDS = 40


class Problem(msgspec.Struct, frozen=True):
    """`line` and `column` count from 1 inside the text of the field at `loc`. It is gone as soon as
    one of the fields `without` is at `loc`: one that is there misspelt is told alone."""

    loc: Loc
    message: str
    line: int = 1
    column: int = 1
    without: tuple[str, ...] = ()


def check(document: Any, *, is_whole: bool = True) -> Iterator[Problem]:
    """`is_whole` is false where steps and rules are missing because what `use` names is wrong:
    whoever names them is not."""
    spec = mapping(mapping(document).get("spec"))
    yield from _check_targets(mapping(spec.get("targets")))
    yield from _check_debugger(spec)
    steps = [mapping(step) for step in listed(spec.get("steps"))]
    yield from _check_collect(steps, mapping(spec.get("debugger")))
    yield from _check_steps(steps)
    by_name = {step["name"]: step for step in steps if isinstance(step.get("name"), str)}
    knows_steps = is_whole and knows_names(spec)
    for section in ("findings", "workloads"):
        rules = [mapping(rule) for rule in listed(spec.get(section))]
        yield from _check_unique(rules, "id", ("spec", section))
        earlier: list[str] = []
        for index, rule in enumerate(rules):
            loc: Loc = ("spec", section, index)
            if is_whole and len(earlier) == index:
                yield from _check_unless(rule, earlier, loc)
            yield from _Rule(rule, by_name, loc, knows_steps=knows_steps).check()
            yield from _check_kinds(rule, section, loc)
            if "refuted" in rule:
                if section == "workloads":
                    yield Problem((*loc, "refuted"), "is for findings of pods only")
                refuted = mapping(rule["refuted"])
                below: Loc = (*loc, "refuted")
                yield from _Rule(refuted, by_name, below, knows_steps=knows_steps).check()
            if isinstance(rule.get("id"), str):
                earlier.append(rule["id"])


def knows_names(spec: Mapping[str, Any]) -> bool:
    """Whether those of the steps can be read: where they cannot, that is told, and not beside it
    that what names a step finds none."""
    steps = spec.get("steps")
    if steps is None:
        # Only these can be a slip of it, and most files have none.
        return not any(did_you_mean(key, ["steps"]) for key in spec if len(str(key)) in (4, 5, 6))
    names = [mapping(step).get("name") for step in listed(steps)]
    return isinstance(steps, tuple) and all(
        isinstance(name, str) and STEP_NAME.match(name) for name in names
    )


def _check_kinds(rule: Mapping[str, Any], section: str, loc: Loc) -> Iterator[Problem]:
    if section == "findings":
        for key in ("kinds", "sign"):
            if key in rule:
                yield Problem((*loc, key), "is for workloads only")
        return
    sign, kinds = rule.get("sign"), listed(rule.get("kinds"))
    if sign == "NoPods" and tuple(kinds) != ("Service",):
        yield Problem((*loc, "sign"), "NoPods is a sign of Services: kinds: [Service]")
    if sign == "Warning" and (not kinds or {"Service", "Pod"} & {str(kind) for kind in kinds}):
        yield Problem(
            (*loc, "sign"),
            "Warning is a sign of workloads: name kinds, and neither Service nor Pod among them",
        )


def _check_targets(targets: Mapping[str, Any]) -> Iterator[Problem]:
    least, most = targets.get("minAgeSeconds"), targets.get("maxAgeSeconds")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield Problem(("spec", "targets", "maxAgeSeconds"), "less than minAgeSeconds: no pod fits")


def _check_debugger(spec: Mapping[str, Any]) -> Iterator[Problem]:
    debugger = mapping(spec.get("debugger"))
    for loc, message in problems(debugger, mapping(spec.get("targets"))):
        yield Problem(("spec", "debugger", *loc), message)
    yield from _check_stay(spec, debugger)
    strategy = listed(debugger.get("strategy"))
    if not strategy or {"target", "catch", "auto"} & {str(each) for each in strategy}:
        return
    for index, step in enumerate(listed(spec.get("steps"))):
        if mapping(mapping(step).get("needs")).get("target") is True:
            message = (
                "needs the target's processes, but spec.debugger.strategy has no target, "
                "catch or auto"
            )
            yield Problem(("spec", "steps", index, "needs", "target"), message)


def _check_stay(spec: Mapping[str, Any], debugger: Mapping[str, Any]) -> Iterator[Problem]:
    """One that ends before a second sweep's steps would is never used again, and each sweep leaves
    one more in the pod."""
    stays, takes = debugger.get("ttlSeconds"), spec.get("deadlineSeconds", _DEADLINE_SECONDS)
    if debugger.get("lifetime") != "resident" or not isinstance(stays, int):
        return
    if isinstance(takes, int) and stays < (least := 2 * takes + _MARGIN_SECONDS):
        yield Problem(
            ("spec", "debugger", "ttlSeconds"),
            f"too short for a container that is to be used again: at least {least} is needed, "
            f"twice the deadline of the steps ({takes} s) and a little",
        )


def _check_steps(steps: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    yield from _check_unique(steps, "name", ("spec", "steps"))
    for index, step in enumerate(steps):
        loc: Loc = ("spec", "steps", index)
        if "run" in step and "script" in step:
            yield Problem((*loc, "script"), "a step has run or script, not both")
        elif step and "run" not in step and "script" not in step:
            message = "a step needs run (a command and its arguments) or script"
            yield Problem(loc, message, without=("run", "script"))
        if isinstance(step.get("parse"), Mapping):
            kinds = () if set(parsing.KINDS) & step["parse"].keys() else parsing.KINDS
            for below, message in parsing.problems(step["parse"]):
                yield Problem((*loc, "parse", *below), message, without=kinds)


def _check_collect(
    steps: Sequence[Mapping[str, Any]], debugger: Mapping[str, Any]
) -> Iterator[Problem]:
    for index, step in enumerate(steps):
        if step.get("collect") is not None and debugger.get("lifetime") != "resident":
            yield Problem(
                ("spec", "steps", index, "collect"),
                "needs a container that stays: debugger: {lifetime: resident}",
            )


def _check_unique(items: Sequence[Mapping[str, Any]], key: str, at: Loc) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        name = item.get(key)
        if isinstance(name, str) and first.setdefault(name, index) != index:
            message = f'"{name}" is taken by {at[-1]}[{first[name]}]'
            yield Problem((*at, index, key), message)


def _check_unless(rule: Mapping[str, Any], earlier: Sequence[str], loc: Loc) -> Iterator[Problem]:
    for index, name in enumerate(listed(rule.get("unless"))):
        if isinstance(name, str) and name not in earlier:
            hint = did_you_mean(name, earlier)
            message = f'no rule before this one has the id "{name}"{hint}'
            yield Problem((*loc, "unless", index), message)


class _Rule:
    """The names that one finding uses, against the names there are for it."""

    def __init__(
        self, rule: Mapping[str, Any], steps: Mapping[str, Any], loc: Loc, *, knows_steps: bool
    ) -> None:
        self._rule = rule
        self._steps = steps
        self._knows_steps = knows_steps
        self._loc = loc
        self._section = str(loc[1])
        self._groups = _groups(rule)

    def check(self) -> Iterator[Problem]:
        for key in ("when", "each"):
            yield from self._condition(key)
        for key in ("about", "title", "message", "remediation"):
            yield from self._template(key)
        match = mapping(self._rule.get("match"))
        for key, references, at in (
            ("evidence", self._rule.get("evidence"), (*self._loc, "evidence")),
            ("in", match.get("in"), (*self._loc, "match", "in")),
        ):
            del key
            for index, reference in enumerate(listed(references)):
                parts = str(reference).split(".")
                if parts[0] in vocabulary.NAMES and parts[0] not in vocabulary.names(self._section):
                    yield Problem((*at, index), f"{self._section} know no {parts[0]}")
                is_step = parts[0] == "steps" and len(parts) > 1
                if is_step and parts[1] not in self._steps and self._knows_steps:
                    yield Problem((*at, index), self._no_step(parts[1]))

    def _condition(self, key: str) -> Iterator[Problem]:
        text = self._rule.get(key)
        if not isinstance(text, str):
            return
        try:
            condition = Condition.compile(text)
        except ConditionError:
            return  # its field says so already
        for error in condition.unknown_names(self._names(allow_item=key == "when")):
            yield Problem((*self._loc, key), error.message, error.line, error.column)
        for reference in condition.references:
            if words := self._problem(reference.root, reference.member, reference.field):
                yield Problem((*self._loc, key), words, *place(text, reference.offset))
        yield from self._fields_of_lists(key, text)
        if key == "when" and (number := NUMBER.fullmatch(text)):
            yield Problem((*self._loc, key), f"is a number, no answer: {number[1]} != 0 is one")

    def _template(self, key: str) -> Iterator[Problem]:
        text = self._rule.get(key)
        if not isinstance(text, str):
            return
        try:
            names = Text.compile(text).names
        except TextError:
            return
        known = self._names(allow_item=True)
        for name in sorted(names):
            root, _, member = name.partition(".")
            offset = text.find(name)
            if root not in known:
                if not member:
                    where = {"item": "each", "match": "match", "object": "workloads"}
                    words = f'"{root}" is there only with {where.get(root, "findings")}'
                    yield Problem((*self._loc, key), words, *place(text, max(offset, 0)))
            elif words := self._problem(root, member, ""):
                yield Problem((*self._loc, key), words, *place(text, max(offset, 0)))
        yield from self._fields_of_lists(key, text)

    def _fields_of_lists(self, key: str, text: str) -> Iterator[Problem]:
        for found in _FIELD_OF_PARSED.finditer(text):
            name, field = found.groups()
            parse = mapping(mapping(self._steps.get(name)).get("parse"))
            if kinds := sorted(_LISTS & parse.keys()):
                words = (
                    f"{kinds[0]} makes a list of maps of stdout: "
                    f"steps.{name}.parsed[0].{field} is that of the first"
                )
                yield Problem((*self._loc, key), words, *place(text, found.start()))

    def _names(self, *, allow_item: bool) -> Sequence[str]:
        missing = set()
        if not allow_item or "each" not in self._rule:
            missing.add("item")
        if not allow_item or "match" not in self._rule:
            missing.add("match")
        return [name for name in vocabulary.names(self._section) if name not in missing]

    def _problem(self, root: str, member: str, below: str) -> str:
        if root == "steps" and member:
            return self._step_problem(member, below)
        if root == "match" and member and member not in (self._groups or (member,)):
            hint = did_you_mean(member, self._groups)
            return f'no pattern of match has a group "{member}"{hint}'
        if root in vocabulary.MAPS and member and member not in vocabulary.members(root):
            hint = did_you_mean(member, vocabulary.members(root))
            return f'{root} has no "{member}"{hint}'
        return ""

    def _step_problem(self, name: str, below: str) -> str:
        if name not in self._steps:
            return self._no_step(name) if self._knows_steps else ""
        known = vocabulary.members("steps")
        if below and below not in known:
            return f'a step has no "{below}"{did_you_mean(below, known)}'
        step = self._steps[name]
        if below == "parsed" and "parse" not in step:
            if any(did_you_mean(str(key), ["parse"]) for key in step):
                return ""  # that it is misspelt is said there
            return f'step "{name}" has no parse, so steps.{name}.parsed is never there'
        return ""

    def _no_step(self, name: str) -> str:
        if (dashed := next((s for s in self._steps if s.startswith(f"{name}-")), None)) is not None:
            return f'no step is called "{name}": one with - is written steps["{dashed}"]'
        return f'no step is called "{name}"{did_you_mean(name, list(self._steps))}'


def _groups(rule: Mapping[str, Any]) -> Sequence[str]:
    """None at all where they are not known: a pattern is wrong or misspelt."""
    names = ["line"]
    patterns = mapping(rule.get("match")).get("patterns")
    if not isinstance(patterns, tuple):
        return ()
    for pattern in patterns:
        try:
            names.extend(compile_pattern(pattern).groupindex)
        except (ValueError, TypeError):
            return ()
    return names
