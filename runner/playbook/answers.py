"""What kind of value a condition comes to, as far as its text tells. Only `validate` asks: one that
is never true or false would be found out where it is judged."""

import re
from collections.abc import Mapping

import msgspec

from runner.playbook import vocabulary

_TOKEN = re.compile(
    r"(?P<string>[rRbB]{0,2}(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\""
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?|\.[0-9]+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])"
    r"|(?P<blank>\s+|//[^\n]*)",
    re.DOTALL,
)
_RELATIONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_RESULTS: Mapping[str, str] = {
    **dict.fromkeys(("all", "exists", "exists_one", "existsOne", "has"), "bool"),
    **dict.fromkeys(("contains", "endsWith", "matches", "startsWith"), "bool"),
    **dict.fromkeys(("firstLine", "lastLine", "lower", "string", "trim"), "string"),
    **dict.fromkeys(("filter", "map"), "list"),
    **dict.fromkeys(("double", "int", "size", "uint"), "number"),
    **{name: name for name in ("bytes", "duration", "timestamp", "type")},
}
_LITERALS = {"true": "bool", "false": "bool", "null": "null"}
_WORDS = {
    "list": "a list",
    "map": "a map",
    "number": "a number",
    "null": "null",
    "string": "a string",
    "sum": "a sum",
    "bool": "true or false",
}
_ROOTS: Mapping[str, str] = {
    **dict.fromkeys((*vocabulary.MAPS, "steps", "match"), "map"),
    **{name: "list" for name, said in vocabulary.LISTS.items() if said.startswith("list")},
}
_END = ("end", "", 0)


class Wrong(msgspec.Struct, frozen=True):
    """Something that is neither true nor false, or no list, where that is wanted; `offset` is
    where it begins."""

    message: str
    offset: int


class _Found(msgspec.Struct, frozen=True):
    """`kind` is empty where the text does not tell; `name` is what a fact is called."""

    kind: str
    offset: int
    name: str = ""


class _UnclearError(Exception):
    """The text is beyond this reader."""


def no_answer(text: str) -> list[Wrong]:
    """What keeps a condition that compiles from being true or false."""
    reader = _Reader(text)
    try:
        reader.must_be_bool(reader.whole())
    except (_UnclearError, RecursionError):
        return []
    return reader.wrong


def no_list(text: str) -> list[Wrong]:
    """The same for a list to go through."""
    reader = _Reader(text)
    try:
        found = reader.whole()
    except (_UnclearError, RecursionError):
        return []
    if found.kind not in ("", "list", "sum", "fact"):
        what = _WORDS.get(found.kind, f"a {found.kind}")
        reader.wrong.append(Wrong(f"gives {what}, where a list is expected", found.offset))
    return reader.wrong


class _Reader:
    """By the grammar of CEL; each rule says what its part comes to."""

    def __init__(self, text: str) -> None:
        self.wrong: list[Wrong] = []
        self._tokens = [*_tokens(text), _END]
        self._at = 0

    def whole(self) -> _Found:
        found = self._expression()
        if self._tokens[self._at] is not _END:
            raise _UnclearError
        return found

    def must_be_bool(self, found: _Found) -> None:
        if found.kind in ("", "bool"):
            return
        what = _WORDS.get(found.kind, f"a {found.kind}")
        words = f"gives {what}, where true or false is expected"
        if found.name and found.kind in ("fact", "string"):
            words = f"{found.name} is neither true nor false: compare it ({found.name} == …)"
        self.wrong.append(Wrong(words, found.offset))

    def _takes(self, *signs: str) -> str:
        """The sign or word that comes next, if it is one of these."""
        kind, text, _ = self._tokens[self._at]
        if text in signs and kind in ("sign", "name"):
            self._at += 1
            return text
        return ""

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise _UnclearError

    def _expression(self) -> _Found:
        asked = self._joined("||")
        if not self._takes("?"):
            return asked
        self.must_be_bool(asked)
        yes = self._joined("||")
        self._expect(":")
        no = self._expression()
        if yes.kind == no.kind:
            return _Found(yes.kind, yes.offset, yes.name)
        if "bool" in (yes.kind, no.kind):
            return no if yes.kind == "bool" else yes
        return _Found("", yes.offset)

    def _joined(self, sign: str) -> _Found:
        def part() -> _Found:
            return self._joined("&&") if sign == "||" else self._relation()

        first = part()
        if not self._takes(sign):
            return first
        self.must_be_bool(first)
        self.must_be_bool(part())
        while self._takes(sign):
            self.must_be_bool(part())
        return _Found("bool", first.offset)

    def _relation(self) -> _Found:
        found = self._sum()
        while sign := self._takes(*_RELATIONS):
            other = self._sum()
            if sign == "in" and other.kind == "string":
                words = "\"in\" looks into lists and maps; of a text it is TEXT.contains('…')"
                self.wrong.append(Wrong(words, found.offset))
            found = _Found("bool", found.offset)
        return found

    def _sum(self) -> _Found:
        found = self._product()
        while sign := self._takes("+", "-"):
            other = self._product()
            kind = next((k.kind for k in (found, other) if k.kind not in ("", "fact")), "sum")
            found = _Found(kind if sign == "+" else "number", found.offset)
        return found

    def _product(self) -> _Found:
        found = self._unary()
        while self._takes("*", "/", "%"):
            self._unary()
            found = _Found("number", found.offset)
        return found

    def _unary(self) -> _Found:
        offset = self._tokens[self._at][2]
        if self._takes("!"):
            self.must_be_bool(self._unary())
            return _Found("bool", offset)
        if self._takes("-"):
            self._unary()
            return _Found("number", offset)
        return self._member()

    def _member(self) -> _Found:
        found = self._primary()
        path = found.name
        while sign := self._takes(".", "["):
            if sign == "[":
                self._expression()
                self._expect("]")
                found, path = _Found("", found.offset), ""
                continue
            kind, name, _ = self._tokens[self._at]
            if kind != "name":
                raise _UnclearError
            self._at += 1
            if self._takes("("):
                found, path = self._call(name, found.offset), ""
            else:
                path = f"{path}.{name}" if path else ""
                found = _Found(_fact(path), found.offset, path)
        return found

    def _primary(self) -> _Found:
        kind, text, offset = self._tokens[self._at]
        self._at += 1
        if kind in ("string", "number"):
            return _Found(kind, offset)
        if kind == "name":
            if self._takes("("):
                return self._call(text, offset)
            literal = _LITERALS.get(text)
            return (
                _Found(literal, offset) if literal else _Found(_ROOTS.get(text, ""), offset, text)
            )
        if text == "(":
            found = self._expression()
            self._expect(")")
            return _Found(found.kind, offset)
        if text == "[":
            self._arguments("]")
            return _Found("list", offset)
        if text == "{":
            self._entries()
            return _Found("map", offset)
        raise _UnclearError

    def _call(self, name: str, offset: int) -> _Found:
        arguments = self._arguments(")")
        if name in _LOOPS and name != "map" and len(arguments) > 1:
            self.must_be_bool(arguments[-1])
        kind = _RESULTS.get(name, "number" if name.startswith("get") else "")
        return _Found(kind, offset)

    def _arguments(self, closing: str) -> list[_Found]:
        found: list[_Found] = []
        while not self._takes(closing):
            found.append(self._expression())
            if not self._takes(","):
                self._expect(closing)
                break
        return found

    def _entries(self) -> None:
        while not self._takes("}"):
            self._expression()
            self._expect(":")
            self._expression()
            if not self._takes(","):
                self._expect("}")
                break


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            return [("sign", text[at], at)]  # unclear from its beginning
        if token.lastgroup != "blank":
            found.append((token.lastgroup, token.group(), at))
        at = token.end()
    return found


def _fact(path: str) -> str:
    """What a name stands for: `bool`, another `fact`, or empty where nobody knows."""
    root, _, member = path.partition(".")
    table = vocabulary.MAPS.get(root, {})
    if root == "steps":
        _, _, member = member.partition(".")
        table = vocabulary.STEP if member != "parsed" else {}
    said = table.get(member) or table.get(f"{member}?")
    if said is None:
        return "string" if root == "match" and member and "." not in member else ""
    if (root == "logs" and not said.startswith("list")) or member in ("stdout", "stderr"):
        return "string"
    return "bool" if said.startswith("true ") else "fact"
