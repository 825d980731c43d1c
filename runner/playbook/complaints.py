"""What is wrong with a document, in words and at its place. Imported when something is."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args, get_origin

from runner.playbook import document, habits
from runner.playbook.base import Document, Spec
from runner.playbook.checks import Loc, Problem
from runner.playbook.document import ListNode, MapNode, Node, Scalar
from runner.playbook.errors import PlaybookError, did_you_mean
from runner.playbook.fields import SHAPES, WORDS
from runner.playbook.reading import Fault, fields_of, unwrapped
from runner.playbook.use import SECTIONS

_KINDS: Mapping[Any, str] = {
    "true or false": "true or false",
    "whole number": "a whole number",
    "mapping": "a mapping (field: value)",
    "list": "a list",
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping (field: value)",
    tuple: "a list",
}
_LIMITS = {
    "too small": "must be at least {least}",
    "too large": "must be at most {most}",
    "too short": "must not be empty",
    "too long": "longer than {most} characters",
    "too many": "more than {most} entries",
    "too few": "must have at least {least} entries",
}
_OTHER_WORDS = {
    "args": "run",
    "assert": "when",
    "cmd": "run",
    "code": "id",
    "command": "run",
    "condition": "when",
    "if": "when",
    "fields": "fieldSelector",
    "labelSelector": "selector",
    "labels": "selector",
    "retries": "retry",
    "rules": "findings",
    "shell": "script",
    "timeout": "timeoutSeconds",
}
# What is said of a text whose end is missing.
_CUT_OFF = ("not closed", "too early", "is missing")
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_MOST = 10**document.MAX_DIGITS - 1
_SHOWN = 60
_SHOWN_DIGITS = 25


class _Place(NamedTuple):
    """What the format has at a path."""

    annotation: Any
    is_required: bool


class Complaints:
    """About one file."""

    def __init__(
        self,
        text: str,
        path: str,
        root: Node,
        model: type[Document],
        borrowed: Mapping[str, int] | None = None,
    ) -> None:
        self._borrowed = borrowed or {}
        self._model = model
        self._lines = text.splitlines()
        self._path = path
        self._root = root

    def all(
        self, nulls: Sequence[Loc], faults: Sequence[Fault], problems: Sequence[Problem]
    ) -> list[PlaybookError]:
        """Without those that are gone once a misspelt field is mended."""
        meant = {
            (*fault.loc[:-1], field)
            for fault in faults
            if fault.kind == "unknown"
            for field in self._meant(fault.loc)
        }
        return [
            *(each for loc in nulls if (each := self._null(loc)) is not None),
            *(
                self._fault(fault)
                for fault in faults
                if fault.kind != "missing" or fault.loc not in meant
            ),
            *(
                self._error(problem)
                for problem in problems
                if meant.isdisjoint((*problem.loc, field) for field in problem.without)
            ),
        ]

    def _field(self, loc: Sequence[str | int]) -> str:
        """As the file counts."""
        if len(loc) > 2 and loc[0] == "spec" and isinstance(loc[2], int):
            loc = (*loc[:2], loc[2] - self._borrowed.get(str(loc[1]), 0), *loc[3:])
        return field_path(loc)

    def _at(self, loc: Loc, message: str) -> PlaybookError:
        at, _ = document.locate(self._root, loc)
        return PlaybookError(self._path, at.line, at.column, self._field(loc), message)

    def _of_borrowed(self, problem: Problem) -> PlaybookError | None:
        """What is wrong with an item of another file is wrong with `use`."""
        loc = problem.loc
        if len(loc) < 3 or not isinstance(loc[2], int):
            return None
        if loc[2] >= self._borrowed.get(str(loc[1]), 0):
            return None
        section = str(loc[1])
        _, name = document.locate(self._root, (*loc[:3], SECTIONS[section]))
        words = name.text if isinstance(name, Scalar) else section
        return self._at(("spec", "use"), f"{words}: {problem.message}")

    def _error(self, problem: Problem) -> PlaybookError:
        if (error := self._of_borrowed(problem)) is not None:
            return error
        at, value = document.locate(self._root, problem.loc)
        line, column = at.line, at.column
        if isinstance(value, Scalar) and value is not self._root:
            line, column = value.line, value.column
            if (problem.line, problem.column) != (1, 1):
                line, column = document.inside(value, self._lines, problem.line, problem.column)
        return PlaybookError(self._path, line, column, self._field(problem.loc), problem.message)

    def _fault(self, fault: Fault) -> PlaybookError:
        loc, context = fault.loc, fault.context
        if fault.kind == "unknown":
            return self._at(loc, self._unknown_field(loc))
        if fault.kind == "missing":
            at, _ = document.locate(self._root, loc[:-1])
            message = "required field is missing"
            return PlaybookError(self._path, at.line, at.column, self._field(loc), message)
        if fault.kind == "placed":
            message = context["message"]
            if any(words in message for words in _CUT_OFF):
                message += self._comment(loc)
            return self._error(Problem(loc, message, context["line"], context["column"]))
        return self._error(Problem(loc, self._message(fault)))

    def _comment(self, loc: Loc) -> str:
        """Where a text ends before its author thought."""
        _, value = document.locate(self._root, loc)
        if not isinstance(value, Scalar) or value.quoted or value.line > len(self._lines):
            return ""
        rest = self._lines[value.line - 1][value.column - 1 :].removeprefix(value.text)
        if not rest.lstrip(" ").startswith("#"):
            return ""
        return "; YAML takes what follows # as a comment: quote the whole value"

    def _null(self, loc: Loc) -> PlaybookError | None:
        """None where the field itself is too much."""
        place = _place_at(self._model, loc)
        if place is None:
            return None
        expected = _expected(place.annotation)
        what = "the field is required" if place.is_required else "give it one or leave it out"
        if isinstance(loc[-1], int):
            what = "give it one or take the entry out"
        _, value = document.locate(self._root, loc)
        quote = ""
        if isinstance(value, Scalar) and value.text and expected == _KINDS[str]:
            quote = f' (quote it if it is a word: "{value.text}")'
        return self._at(loc, f"has no value, where {expected} is expected; {what}{quote}")

    def _message(self, fault: Fault) -> str:
        kind, given, context = fault.kind, fault.given, fault.context
        if kind == "string":
            return self._not_a_string(fault.loc)
        if kind == "one of":
            return self._not_one_of(fault.loc, given, context["words"])
        if kind == "pattern":
            pattern = context["pattern"]
            hint = did_you_mean(str(given).upper().removeprefix("CAP_"), WORDS.get(pattern, ()))
            return f"expected {SHAPES[pattern]}; found {_describe(given)}{hint}"
        if kind in _LIMITS:
            return _LIMITS[kind].format(**context).replace(" 1 entries", " 1 entry")
        if kind == "whole number" and self._is_whole(fault.loc):
            least, most = context["least"], context["most"]
            least = -_MOST if least is None else least
            most = _MOST if most is None else most
            found = self._found(fault.loc, given)
            return f"must be a whole number from {least} to {most}, found {found}"
        place = _place_at(self._model, fault.loc)
        of_words = place is None or _item(place.annotation) is str
        field = str(fault.loc[-1]) if fault.loc else ""
        is_entry = kind == "list" and isinstance(given, str) and not of_words
        hint = "" if is_entry else habits.of_value(field, kind, given)
        return f"must be {_KINDS[kind]}, found {self._found(fault.loc, given)}{hint}"

    def _is_whole(self, loc: Loc) -> bool:
        """One that is too long to be read as a number."""
        _, value = document.locate(self._root, loc)
        return (
            isinstance(value, Scalar)
            and not value.quoted
            and _WHOLE.fullmatch(value.text) is not None
        )

    def _found(self, loc: Loc, given: Any) -> str:
        """Numbers as they were written."""
        _, value = document.locate(self._root, loc)
        if isinstance(value, Scalar) and (isinstance(given, float) or self._is_whole(loc)):
            return _cut(value.text, _SHOWN_DIGITS)
        return _describe(given)

    def _not_a_string(self, loc: Loc) -> str:
        _, value = document.locate(self._root, loc)
        if isinstance(value, Scalar):
            what = "true or false" if isinstance(value.value, bool) else "a number"
            word = _cut(value.text, _SHOWN)
            return f'must be a string, but YAML reads {word} as {what}: quote it ("{word}")'
        what = "a list" if isinstance(value, ListNode) else "a mapping (field: value)"
        hint = habits.of_value(str(loc[-1]), "string", document.to_value(value))
        return f"must be a string, found {what}{hint}"

    def _not_one_of(self, loc: Loc, given: Any, words: Sequence[Any]) -> str:
        known = [_plain(word) for word in words]
        found = self._found(loc, given)
        hint = did_you_mean(given, known) if isinstance(given, str) else ""
        if len(known) == 1:
            return f"must be {_describe(words[0])}, found {found}{hint}"
        return f"must be one of {', '.join(known)}, found {found}{hint}"

    def _unknown_field(self, loc: Loc) -> str:
        name = str(loc[-1])
        part = _part_at(self._model, loc[:-1])
        if part is not None and name in part.refused:
            return f"cannot be set: {part.refused[name]}"
        if name == "<<":
            return "unknown field (YAML 1.2 has no merge keys)"
        unseen = [c for c in name if not c.isprintable() or c in "\u200b\ufeff"]
        if unseen:
            return f"unknown field: its name has an invisible character (U+{ord(unseen[0]):04X})"
        return f"unknown field{_hint(name, self._left(loc[:-1]))}"

    def _left(self, loc: Loc) -> list[str]:
        """The fields of a part that are not there yet."""
        _, value = document.locate(self._root, loc)
        given = value.entries if isinstance(value, MapNode) else {}
        return [name for name in _names(_part_at(self._model, loc)) if name not in given]

    def _meant(self, loc: Loc) -> Sequence[str]:
        """The fields that an unknown one is probably meant as: of a merge key it may be any."""
        if loc[-1] == "<<":
            return self._left(loc[:-1])
        found = re.search(r'"(\w+)"', _hint(str(loc[-1]), self._left(loc[:-1])))
        return [found[1]] if found is not None else []


def _names(part: type[Spec] | None) -> list[str]:
    return [each.name for each in fields_of(part)] if part is not None else []


def _hint(name: str, known: Sequence[str]) -> str:
    """What other tools call it counts as a typing mistake too."""
    others = {word: field for word, field in _OTHER_WORDS.items() if field in known}
    close = did_you_mean(name, [*known, *others])
    for word, field in others.items():
        close = close.replace(f'"{word}"', f'"{field}"')
    return close


def field_path(loc: Sequence[str | int]) -> str:
    """`spec.steps[0].run`."""
    path = ""
    for part in loc:
        name = _cut(str(part), _SHOWN) or '""'
        path += f"[{part}]" if isinstance(part, int) else f".{name}" if path else name
    return path


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{_cut(value, _SHOWN)}"'
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return str(value)


def _plain(word: Any) -> str:
    return word if isinstance(word, str) else _describe(word)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _expected(annotation: Any) -> str:
    kind, _, _ = unwrapped(annotation)
    origin = get_origin(kind)
    if origin is Literal:
        words = [_plain(word) for word in get_args(kind)]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(each.value for each in kind)}"
    return _KINDS.get(origin or kind, _KINDS[dict])


def _item(annotation: Any) -> Any:
    """`str` for a list of words, whatever they may be."""
    kind = unwrapped(annotation)[0]
    item = unwrapped(get_args(kind)[0])[0] if get_origin(kind) is tuple else None
    is_word = get_origin(item) is Literal or (isinstance(item, type) and issubclass(item, Enum))
    return str if is_word else item


def _place_at(model: type[Spec], loc: Loc) -> _Place | None:
    """None where the format has nothing there."""
    place = _Place(model, False)
    for name in loc:
        kind, _, _ = unwrapped(place.annotation)
        origin, inner = get_origin(kind), get_args(kind)
        if isinstance(name, int) and origin is tuple:
            place = _Place(inner[0], False)
        elif isinstance(name, str) and origin is dict:
            place = _Place(inner[1], False)
        elif isinstance(name, str) and isinstance(kind, type) and issubclass(kind, Spec):
            known = next((each for each in fields_of(kind) if each.name == name), None)
            if known is None:
                return None
            place = _Place(known.annotation, known.is_required)
        else:
            return None
    return place


def _part_at(model: type[Spec], loc: Loc) -> type[Spec] | None:
    """The part of the format that a path leads to."""
    place = _place_at(model, loc)
    kind = unwrapped(place.annotation)[0] if place is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, Spec) else None
