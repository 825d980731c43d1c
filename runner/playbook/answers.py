"""What kind of value a condition comes to, as far as its text tells. Only `validate` asks: one that
is never true or false would be found out where it is judged."""

import re
from collections.abc import Mapping

import msgspec

from runner.playbook import compared, kinds
from runner.playbook.compared import Value, what
from runner.playbook.kinds import UNKNOWN, Kind

_TOKEN = re.compile(
    r"(?P<string>[rRbB]{0,2}(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\""
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?|\.[0-9]+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])"
    r"|(?P<blank>\s+|//[^\n]*)",
    re.DOTALL,
)
_BYTES = re.compile(r"[rR]?[bB]['\"rR]")
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
_SEARCHES = frozenset({"contains", "endsWith", "matches", "startsWith"})
_LITERALS = {"true": "bool", "false": "bool", "null": "null"}
_END = ("end", "", 0)


class Wrong(msgspec.Struct, frozen=True):
    """Something that is neither true nor false, or no list, where that is wanted; `offset` is
    where it begins."""

    message: str
    offset: int


class _UnclearError(Exception):
    """The text is beyond this reader."""


def no_answer(text: str, item: Kind = UNKNOWN) -> list[Wrong]:
    """What keeps a condition that compiles from being true or false, or from ever being otherwise;
    `item` is what `each` gives it."""
    reader = _Reader(text, item)
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
    if found.kind.name not in ("", "list", "sum"):
        words = f"gives {what(found.kind.name)}, where a list is expected"
        reader.wrong.append(Wrong(words, found.offset))
    return reader.wrong


def item_of(text: str) -> Kind:
    """What the list that `each` names is one of, as far as that is known."""
    try:
        found = _Reader(text).whole()
    except (_UnclearError, RecursionError):
        return UNKNOWN
    return kinds.inside(found.kind) if found.kind.name == "list" else UNKNOWN


class _Reader:
    """By the grammar of CEL; each rule says what its part comes to."""

    def __init__(self, text: str, item: Kind = UNKNOWN) -> None:
        self.wrong: list[Wrong] = []
        self._text = text
        self._tokens = [*_tokens(text), _END]
        self._at = 0
        # Of the loops around what is read.
        self._items: list[tuple[str, Kind]] = [("item", item)]

    def whole(self) -> Value:
        found = self._expression()
        if self._tokens[self._at] is not _END:
            raise _UnclearError
        return found

    def must_be_bool(self, found: Value) -> None:
        kind = found.kind.name
        if kind in ("", "bool"):
            return
        words = f"gives {what(kind)}, where true or false is expected"
        if found.fact:
            name = found.shown
            instead = f"compare it ({name} == …)"
            if kind == "list":
                instead = f"a list is counted (size({name}) > 0)"
            elif kind == "map":
                instead = f"ask for something in it ({name}.NAME == …)"
            words = f"{name} is neither true nor false: {instead}"
        self._say(words, found.offset)

    def _say(self, words: str, offset: int) -> None:
        if words:
            self.wrong.append(Wrong(words, offset))

    def _value(self, kind: Kind, offset: int, *, fact: bool = False) -> Value:
        """What was read since `offset`."""
        _, text, begin = self._tokens[self._at - 1]
        return Value(kind, offset, self._text[offset : begin + len(text)], fact)

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

    def _expression(self) -> Value:
        asked = self._joined("||")
        if not self._takes("?"):
            return asked
        self.must_be_bool(asked)
        yes = self._joined("||")
        self._expect(":")
        no = self._expression()
        if yes.kind.name == no.kind.name:
            return Value(yes.kind if yes.kind == no.kind else Kind(yes.kind.name), yes.offset)
        if "bool" in (yes.kind.name, no.kind.name):
            return no if yes.kind.name == "bool" else yes
        return Value(UNKNOWN, yes.offset)

    def _joined(self, sign: str) -> Value:
        def part() -> Value:
            return self._joined("&&") if sign == "||" else self._relation()

        first = part()
        if not self._takes(sign):
            return first
        self.must_be_bool(first)
        self.must_be_bool(part())
        while self._takes(sign):
            self.must_be_bool(part())
        return self._value(Kind("bool"), first.offset)

    def _relation(self) -> Value:
        found = self._sum()
        while sign := self._takes(*_RELATIONS):
            self._say(compared.relation(found, sign, self._sum()), found.offset)
            found = self._value(Kind("bool"), found.offset)
        return found

    def _sum(self) -> Value:
        found = self._product()
        while sign := self._takes("+", "-"):
            names = {found.kind.name, self._product().kind.name}
            # Of times `-` makes durations.
            same = sign == "+" or names == {"number"}
            kind = Kind(names.pop() or "sum") if len(names) == 1 and same else Kind("sum")
            found = self._value(kind, found.offset)
        return found

    def _product(self) -> Value:
        found = self._unary()
        while self._takes("*", "/", "%"):
            self._unary()
            found = self._value(Kind("number"), found.offset)
        return found

    def _unary(self) -> Value:
        offset = self._tokens[self._at][2]
        if self._takes("!"):
            self.must_be_bool(self._unary())
            return self._value(Kind("bool"), offset)
        if self._takes("-"):
            self._unary()
            return self._value(Kind("number"), offset)
        return self._member()

    def _member(self) -> Value:
        found = self._primary()
        while sign := self._takes(".", "["):
            if sign == "[":
                kind = self._at_index(found.kind)
                self._expect("]")
                found = self._value(kind, found.offset, fact=found.fact)
                continue
            sort, name, _ = self._tokens[self._at]
            if sort != "name":
                raise _UnclearError
            self._at += 1
            if self._takes("("):
                found = self._call(name, found.offset, found)
            else:
                kind = kinds.member(found.kind, name)
                found = self._value(kind, found.offset, fact=found.fact)
        return found

    def _at_index(self, of: Kind) -> Kind:
        index = self._expression()
        if of.name == "list":
            return kinds.inside(of)
        return kinds.member(of, index.literal) if index.literal is not None else UNKNOWN

    def _primary(self) -> Value:
        sort, text, offset = self._tokens[self._at]
        self._at += 1
        if sort in ("string", "number"):
            kind = "bytes" if _BYTES.match(text) else sort
            return self._value(Kind(kind), offset)
        if sort == "name":
            if self._takes("("):
                return self._call(text, offset, None)
            if text in _LITERALS:
                return self._value(Kind(_LITERALS[text]), offset)
            own = (kind for name, kind in reversed(self._items) if name == text)
            return self._value(next(own, kinds.root(text)), offset, fact=True)
        if text == "(":
            found = self._expression()
            self._expect(")")
            if found.fact:
                return msgspec.structs.replace(found, offset=offset)
            return self._value(found.kind, offset)
        if text == "[":
            items = self._arguments("]")
            found = self._value(Kind("list"), offset)
            return Value(found.kind, offset, found.text, items=items)
        if text == "{":
            self._entries()
            return self._value(Kind("map"), offset)
        raise _UnclearError

    def _call(self, name: str, offset: int, on: Value | None) -> Value:
        loops = on is not None and name in _LOOPS
        if on is not None and loops:
            is_list = on.kind.name == "list"
            self._items.append(
                (self._tokens[self._at][1], kinds.inside(on.kind) if is_list else UNKNOWN)
            )
        arguments = self._arguments(")")
        if loops:
            self._items.pop()
            if name != "map" and len(arguments) > 1:
                self.must_be_bool(arguments[-1])
        kind = Kind(_RESULTS.get(name, "number" if name.startswith("get") else ""))
        if on is not None and name == "filter":
            kind = Kind("list", on.kind.of if on.kind.name == "list" else "")
        if on is not None and name in _SEARCHES and len(arguments) == 1:
            self._say(compared.searched(on, name, arguments[0]), arguments[0].offset)
        return self._value(kind, offset)

    def _arguments(self, closing: str) -> list[Value]:
        found: list[Value] = []
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
