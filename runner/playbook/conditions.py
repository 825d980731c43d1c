"""The one adapter of CEL: conditions over facts, with three answers.

A fact that could not be had is left out of the facts, and CEL's own `&&` and `||` decide whether
the answer needs it: `true || X` and `false && X` do not. Whatever else would read it ends in
NOT_EVALUATED with the reason. That is also what reading a fact that is simply absent comes to, so
a condition asks first: `has(container.exitCode) && container.exitCode == 127`.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from types import ModuleType
from typing import Any

import msgspec

from runner.late import late
from runner.playbook.errors import (
    ConditionError,
    UnknownFactError,
    WrongTypeError,
    did_you_mean,
)
from runner.playbook.patterns import compile_pattern

# The package imports its own command line, and with it a line editor: 0.2 s of every run of ours.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
import cel  # noqa: E402

MAX_LENGTH = 2000
MAX_NESTING = 32
MAX_LOOPS = 2  # exists() in exists() over 200 events is 40 000 turns; a third would be 8 million

# A Python function that cannot take its argument is answered with NOT_EVALUATED; the library
# would also print it.
logging.getLogger("cel").addHandler(logging.NullHandler())
logging.getLogger("cel").propagate = False

_FUNCTIONS = [
    "all",
    "bytes",
    "contains",
    "double",
    "duration",
    "endsWith",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "firstLine",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "lastLine",
    "lower",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "trim",
    "type",
    "uint",
]
_STRING = late(
    r"[rR]?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\""
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")",
    re.DOTALL,
)
_LOOP = late(r"\.\s*(?:all|exists|exists_one|existsOne|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
_MEMBER = late(r"(?<![\w.])([A-Za-z_]\w*)\s*\.\s*([A-Za-z_]\w*)(?:\s*\.\s*([A-Za-z_]\w*))?")
_MATCHES = late(r"\.\s*matches\s*\(\s*$")
# The library makes a regular expression anew each time it is asked, a hundred times what asking
# costs; so ours is called in its place, by a name as long, for places in error messages to fit.
_OWN_MATCHES = "reMatch"
_CALLS_MATCHES = late(r"\bmatches(?=\s*\()")
_NO_OVERLOAD = "No such overload"
_TYPE_NAMES = {
    "NoneType": "null",
    "datetime": "timestamp",
    "dict": "map",
    "float": "double",
    "str": "string",
    "timedelta": "duration",
}
_GIVEN_LATER = frozenset({"item", "match"})
_PLACE = late(r"ERROR: <input>:(\d+):(\d+): (.*)")


class Answer(StrEnum):
    TRUE = "true"
    FALSE = "false"
    NOT_EVALUATED = "not-evaluated"


class Verdict(msgspec.Struct, frozen=True):
    """`reason` is set with NOT_EVALUATED only; `code` is the word of the report for it."""

    answer: Answer
    reason: str = ""
    code: str = "FactMissing"


TRUE = Verdict(Answer.TRUE)
FALSE = Verdict(Answer.FALSE)


class Reference(msgspec.Struct, frozen=True):
    """A use of `root.member.field` in the text; `offset` is where it begins."""

    root: str
    member: str
    field: str
    offset: int


class Facts:
    """Facts about one pod, converted once for all the conditions that look at them.

    `unknown` says why facts that were left out could not be had, by their dotted name:
    `{"events": "forbidden: list events", "steps.disk": "tool missing: df"}`.
    """

    def __init__(self, values: Mapping[str, Any], unknown: Mapping[str, str]) -> None:
        self.values: Mapping[str, Any] = dict(values)
        self.unknown: Mapping[str, str] = dict(unknown)
        self._context = cel.Context(functions={**HELPERS, _OWN_MATCHES: _matches})
        self._converted: set[str] = set()
        self._more: Mapping[str, Any] = {}
        self._answers: dict[str, bool | None] = {}

    def with_values(self, **more: Any) -> "Facts":
        """The same facts and `item` or `match`. The converted ones are shared: a condition that
        asks for `item` is never run on facts that were given none."""
        facts = object.__new__(Facts)
        facts.values = {**self.values, **more}
        facts.unknown = self.unknown
        facts._context = self._context
        facts._converted = self._converted
        facts._more = {**self._more, **more}
        facts._answers = self._answers
        return facts

    def run(self, program: Any, variables: frozenset[str]) -> Any:
        """A fact is converted when the first program asks for it."""
        for name in variables:
            if name in self._more:
                self._context.add_variable(name, self._more[name])
            elif name in self.values and name not in self._converted:
                self._context.add_variable(name, self.values[name])
                self._converted.add(name)
        return program.execute(self._context)

    def holds(self, part: "Condition") -> bool | None:
        """What a condition comes to, None when that is neither true nor false. Many rules ask the
        same, and are told what the first was told."""
        if part.variables & _GIVEN_LATER:
            if not part.variables & _GIVEN_LATER <= self._more.keys():
                return None
            return part.holds(self)
        if part.text not in self._answers:
            self._answers[part.text] = part.holds(self)
        return self._answers[part.text]


class Condition:
    """A compiled CEL expression."""

    def __init__(self, text: str, program: Any) -> None:
        self.text = text
        self._program = program
        code = _without_strings(text)
        self._parts = tuple(
            Condition(each, cel.compile(_with_own_matches(each))) for each in _conjuncts(text, code)
        )
        loops = set(_LOOP.findall(code))
        self.variables: frozenset[str] = frozenset(program.variables()) - loops
        self.references: tuple[Reference, ...] = tuple(
            Reference(found[1], found[2], found[3] or "", found.start())
            for found in _MEMBER.finditer(code)
            if found[1] not in loops
        )

    @classmethod
    def compile(cls, text: str) -> "Condition":
        """Raises ConditionError with the place in the text."""
        return _compile(text)

    def unknown_names(self, known: Sequence[str]) -> Iterator[ConditionError]:
        """The variables that are none of the known ones."""
        for name in sorted(self.variables - set(known)):
            from runner.playbook import habits  # noqa: PLC0415

            message = f'unknown name "{name}"{habits.of_name(name) or did_you_mean(name, known)}'
            found = re.search(rf"(?<![\w.]){re.escape(name)}\b", _without_strings(self.text))
            yield ConditionError(message, *place(self.text, found.start() if found else 0))

    def evaluate(self, facts: Facts) -> Verdict:
        """TRUE, FALSE or NOT_EVALUATED; never raises."""
        answers: set[bool | None] = set()
        for part in self._parts:
            answers.add(answer := facts.holds(part))
            # CEL's own `&&`: what is false beside an error is false.
            if answer is False:
                return FALSE
        if answers == {True}:
            return TRUE
        if missing := self.variables & _GIVEN_LATER - facts.values.keys():
            return Verdict(Answer.NOT_EVALUATED, f'there is no "{min(missing)}"')
        try:
            value = self.value(facts)
        except UnknownFactError as error:
            return Verdict(Answer.NOT_EVALUATED, str(error), error.code)
        if value is True:
            return TRUE
        if value is False:
            return FALSE
        what = f"the condition gives {type_name(value)}, not true or false"
        return Verdict(Answer.NOT_EVALUATED, what, WrongTypeError.code)

    def holds(self, facts: Facts) -> bool | None:
        """None when it is neither true nor false, for whatever reason."""
        try:
            value = self.value(facts)
        except UnknownFactError:
            return None
        return value if isinstance(value, bool) else None

    def value(self, facts: Facts) -> Any:
        """What the expression comes to. Raises UnknownFactError when that cannot be said."""
        try:
            return facts.run(self._program, self.variables)
        except BaseException as error:  # a panic of the library is a BaseException
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            reason = self._reason(facts, error)
            wrong = reason.startswith(_NO_OVERLOAD)
            raise (WrongTypeError if wrong else UnknownFactError)(reason) from None

    def _reason(self, facts: Facts, error: BaseException) -> str:
        for reference in self.references:
            for name in (f"{reference.root}.{reference.member}", reference.root):
                if name in facts.unknown:
                    return f"{name}: {facts.unknown[name]}"
        for name in sorted(self.variables):
            if name in facts.unknown:
                return f"{name}: {facts.unknown[name]}"
        if isinstance(error, KeyError):
            return f'there is no "{error.args[0]}"'.replace("\"'", '"').replace("'\"", '"')
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return first.rpartition("ValueError: ")[2].split(". ")[0][:200]


def type_name(value: Any) -> str:
    """As CEL calls it."""
    name = type(value).__name__
    return _TYPE_NAMES.get(name, name)


@lru_cache(maxsize=1024)
def _compile(text: str) -> Condition:
    _check_bounds(text)
    try:
        program = cel.compile(_with_own_matches(text))
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise
        found = _PLACE.search(str(error))
        if found is None:
            raise ConditionError("is not a CEL expression") from None
        from runner.playbook import habits  # noqa: PLC0415  most conditions are right

        said, line, column = found[3], int(found[1]), int(found[2])
        words = said.removeprefix("Syntax error: ").split(" expecting {")[0]
        words = habits.of_condition(text, line, column, words)
        raise ConditionError(f"is not a CEL expression: {words}", line, column) from None
    called = set(program.functions())
    if _OWN_MATCHES not in _without_strings(text):
        called.discard(_OWN_MATCHES)
    if unknown := [name for name in called if name[0].isalpha() and name not in _FUNCTIONS]:
        first, *others = (_unknown_function(text, name) for name in sorted(unknown))
        raise ConditionError(first.message, first.line, first.column, others)
    _check_patterns(text)
    return Condition(text, program)


def _unknown_function(text: str, name: str) -> ConditionError:
    at = re.search(rf"\b{re.escape(name)}\s*\(", _without_strings(text))
    from runner.playbook import habits  # noqa: PLC0415

    hint = habits.of_function(name) or did_you_mean(name, _FUNCTIONS)
    message = f'unknown function "{name}"{hint}'
    return ConditionError(message, *place(text, at.start() if at else 0))


def _check_bounds(text: str) -> None:
    if not text.strip():
        raise ConditionError("is empty")
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"longer than {MAX_LENGTH} characters")
    code = _without_strings(text)
    depth = 0
    for offset, character in enumerate(code):
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTING:
            message = f"nested deeper than {MAX_NESTING} brackets"
            raise ConditionError(message, *place(text, offset))
    if code.count("?") > MAX_NESTING:
        raise ConditionError(f"more than {MAX_NESTING} times ?:")
    _check_loops(text, code)


def _check_loops(text: str, code: str) -> None:
    """A loop in a loop multiplies; the library has no limit of its own on turns."""
    loops = {code.index("(", found.start()) for found in _LOOP.finditer(code)}
    opened: list[bool] = []
    for offset, character in enumerate(code):
        if character == "(":
            opened.append(offset in loops)
            if sum(opened) > MAX_LOOPS:
                message = f"more than {MAX_LOOPS} loops inside each other"
                raise ConditionError(message, *place(text, offset))
        elif character == ")" and opened:
            opened.pop()


def _check_patterns(text: str) -> None:
    """A wrong regular expression would be found out only when the condition is evaluated."""
    for found in _STRING.finditer(text):
        if not _MATCHES.search(text[: found.start()]):
            continue
        try:
            compile_pattern(cel.compile(found.group()).execute({}))
        except ValueError as error:
            raise ConditionError(str(error), *place(text, found.start())) from None


def _with_own_matches(text: str) -> str:
    """The text with our function in place of each `matches`."""
    code = _without_strings(text)
    for found in _CALLS_MATCHES.finditer(code):
        text = f"{text[: found.start()]}{_OWN_MATCHES}{text[found.end() :]}"
    return text


def _conjuncts(text: str, code: str) -> list[str]:
    """The parts that `&&` joins, where all of the expression is so joined; else none."""
    parts, depth, begin = [], 0, 0
    if "//" in code:
        return []
    for offset, character in enumerate(code):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and (character == "?" or code.startswith("||", offset)):
            return []
        if depth == 0 and code.startswith("&&", offset):
            parts.append(text[begin:offset].strip())
            begin = offset + 2
    return [*parts, text[begin:].strip()] if parts else []


def _without_strings(text: str) -> str:
    """The text with every string literal blanked, so that offsets stay."""
    return _STRING.sub(lambda found: " " * len(found.group()), text)


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _matches(text: str, pattern: str) -> bool:
    return compile_pattern(pattern).search(text) is not None


HELPERS: dict[str, Callable[..., Any]] = {
    "firstLine": lambda text: next(iter(_lines(text)), ""),
    "lastLine": lambda text: next(iter(reversed(_lines(text))), ""),
    "lower": lambda text: text.lower(),
    "trim": lambda text: text.strip(),
}
