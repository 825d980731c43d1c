"""Two values of a condition that can never be equal, in words."""

import re
from collections.abc import Sequence

import msgspec

from runner.playbook.errors import did_you_mean
from runner.playbook.kinds import UNKNOWN, Kind

WORDS = {
    "list": "a list",
    "map": "a map",
    "number": "a number",
    "null": "null",
    "string": "a string",
    "sum": "a sum",
    "bool": "true or false",
}
_KNOWN = frozenset({"string", "number", "bool", "list", "map", "duration", "timestamp", "bytes"})
_MAX_SHOWN = 60
_LITERAL = re.compile(r"""(['"])([^'"\\]*)\1""")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class Value(msgspec.Struct, frozen=True):
    """A part of a condition: `text` is how it is written, `items` are those of a list that is
    spelt out. A `fact` is a name, perhaps of something below another."""

    kind: Kind
    offset: int
    text: str = ""
    fact: bool = False
    items: "Sequence[Value]" = ()

    @property
    def shown(self) -> str:
        text = " ".join(self.text.split())
        return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"

    @property
    def literal(self) -> str | None:
        """The characters of a string that is spelt out."""
        found = _LITERAL.fullmatch(self.text)
        return found[2] if found is not None else None


def what(kind: str) -> str:
    return WORDS.get(kind, f"a {kind}")


def relation(left: Value, sign: str, right: Value) -> str:
    """What keeps it from ever being otherwise; empty where nothing is known to."""
    if sign == "in":
        return _in(left, right)
    if _differ(left.kind, right.kind):
        end = "are never equal" if sign in ("==", "!=") else "have no order"
        return f"{_both(left, right)}, which {end}{_instead(left, right)}"
    if sign in ("==", "!="):
        return _never(left, right) or _never(right, left)
    return ""


def searched(text: Value, name: str, wanted: Value) -> str:
    """Of TEXT.contains(…) and its like."""
    if text.kind.name == "string" and _differ(wanted.kind, text.kind):
        instead = f": write '{wanted.text}'" if _PLAIN_NUMBER.fullmatch(wanted.text) else ""
        return f"{name} wants a string, and {wanted.shown} is {what(wanted.kind.name)}{instead}"
    return ""


def _in(left: Value, right: Value) -> str:
    if right.kind.name == "string":
        return "\"in\" looks into lists and maps; of a text it is TEXT.contains('…')"
    if right.items:
        for item in right.items:
            if _differ(left.kind, item.kind):
                return f"{_both(left, item)}, which are never equal{_instead(left, item)}"
            if words := _never(left, item):
                return words
        return ""
    of = UNKNOWN
    if right.fact and right.kind.name == "list":
        of = Kind(right.kind.of) if right.kind.of in WORDS else UNKNOWN
    elif right.fact and right.kind.name == "map":
        of = Kind("string")
    if _differ(left.kind, of):
        within = "keys" if right.kind.name == "map" else "entries"
        return (
            f"{left.shown} is {what(left.kind.name)}, and the {within} of {right.shown} are "
            f"{of.name}s: it is never among them"
        )
    return ""


def _differ(one: Kind, other: Kind) -> bool:
    return one.name != other.name and {one.name, other.name} <= _KNOWN


def _both(left: Value, right: Value) -> str:
    kinds = [what(each.kind.name).replace("true or false", "a boolean") for each in (left, right)]
    return f"{left.shown} is {kinds[0]} and {right.shown} {kinds[1]}"


def _instead(left: Value, right: Value) -> str:
    for one, other in ((left, right), (right, left)):
        kind, literal = other.kind.name, one.literal
        if literal is not None:
            if kind == "number" and _PLAIN_NUMBER.fullmatch(literal):
                return f": write {literal}"
            if kind == "bool" and literal in ("true", "false"):
                return f": write {literal}"
        if kind == "string" and _PLAIN_NUMBER.fullmatch(one.text) and other.literal is None:
            return f": write '{one.text}'"
        if kind == "string" and one.text in ("true", "false") and other.literal is None:
            return f": write '{one.text}'"
    for one, other in ((left, right), (right, left)):
        if one.kind.name == "string" and other.kind.name == "number" and one.literal is None:
            return f": write int({one.shown})"
        if one.fact and one.kind.name == "list":
            return f": a list is counted by size({one.shown})"
        if one.fact and one.kind.name == "map":
            return f": compare something in it ({one.shown}.NAME)"
        if one.fact and one.kind.name == "bool":
            return f": write {one.shown} or !{one.shown}"
    return ""


def _never(fact: Value, word: Value) -> str:
    """A word that is none of those that there are. An empty one may be asked for."""
    said, known = word.literal, fact.kind.words
    if not said or not known or said in known:
        return ""
    *most, last = known
    return (
        f'{fact.shown} is never "{said}"{did_you_mean(said, known)}: it is '
        f"{', '.join(most)} or {last}"
    )
