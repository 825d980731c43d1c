"""Alertmanager's own grammar of matchers: `severity="critical"`, `job=~"node.*"`, `{a="b",c!="d"}`.

The UTF-8 grammar of Alertmanager 0.27 and later: names and values are words without reserved
characters, or in double quotes with Go's escapes; a label that an alert does not have is empty;
regular expressions are RE2 and must match the whole value.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from runner.playbook.patterns import compile_pattern

MAX_TEXT = 4096
_OPERATORS = ("=~", "!~", "!=", "=")
_RESERVED = frozenset("{}!=~,\\\"'`")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
            "\\": "\\", '"': '"'}  # fmt: skip
_CODES = re.compile(r"x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")


class MatcherError(ValueError):
    """`column` counts from 1 in the text of the matchers."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    operator: str
    value: str

    def __call__(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) is (self.operator == "=")
        matched = compile_pattern(self.value).fullmatch(found) is not None
        return matched is (self.operator == "=~")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        name = self.label
        if not name or any(c in _RESERVED or c.isspace() for c in name):
            name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f'{name}{self.operator}"{quoted}"'


def parse(text: str) -> tuple[Matcher, ...]:
    """Raises MatcherError."""
    if len(text) > MAX_TEXT:
        raise MatcherError(f"longer than {MAX_TEXT} characters", 1)
    tokens = list(_tokens(text))
    reader = _Reader(tokens, len(text) + 1)
    opened = reader.take("{")
    found: list[Matcher] = []
    while not reader.at_end and not (opened and reader.peek == "}"):
        found.append(reader.matcher())
        if not reader.take(","):
            break
    if opened and not reader.take("}"):
        raise MatcherError('expected "," or "}"', reader.column)
    if not reader.at_end:
        lone = reader.peek == "}" and not opened
        raise MatcherError('a "}" without a "{"' if lone else 'expected ","', reader.column)
    if not found:
        raise MatcherError('expected a matcher, such as severity="critical"', 1)
    return tuple(found)


class _Token(msgspec.Struct, frozen=True):
    kind: str  # an operator or a bracket, or `word`
    text: str
    column: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        char, column = text[at], at + 1
        operator = next((each for each in _OPERATORS if text.startswith(each, at)), "")
        if char.isspace():
            at += 1
        elif char in "{},":
            yield _Token(char, char, column)
            at += 1
        elif operator:
            yield _Token(operator, operator, column)
            at += len(operator)
        elif char == '"':
            word, at = _quoted(text, at)
            yield _Token("word", word, column)
        elif char in _RESERVED:
            hint = "; put the word in double quotes" if char in "'`" else ""
            raise MatcherError(f"unexpected {char}{hint}", column)
        else:
            end = at
            while end < len(text) and not (text[end] in _RESERVED or text[end].isspace()):
                end += 1
            yield _Token("word", text[at:end], column)
            at = end


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The word in the quotes at `start`, and where its closing quote ends."""
    word: list[str] = []
    at = start + 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(word), at + 1
        if char == "\n":
            break
        if char != "\\":
            word.append(char)
            at += 1
            continue
        plain = _ESCAPES.get(text[at + 1 : at + 2])
        coded = _CODES.match(text, at + 1)
        if plain is not None:
            word.append(plain)
            at += 2
        elif coded is not None:
            word.append(_character(coded, at + 1))
            at = coded.end()
        else:
            raise MatcherError(f"no such escape: {text[at : at + 2]}", at + 1)
    raise MatcherError("a double quote that nothing closes", start + 1)


def _character(coded: re.Match[str], column: int) -> str:
    byte, octal, short, long = coded.groups()
    code = int(octal, 8) if octal else int(byte or short or long, 16)
    # A byte above 127 alone is no text.
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or ((byte or octal) and code > 0x7F):
        raise MatcherError(f"no such character: \\{coded.group()}", column)
    return chr(code)


class _Reader:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = end
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def peek(self) -> str:
        return "" if self.at_end else self._tokens[self._at].kind

    @property
    def column(self) -> int:
        return self._end if self.at_end else self._tokens[self._at].column

    def take(self, kind: str) -> bool:
        found = self.peek == kind
        self._at += found
        return found

    def matcher(self) -> Matcher:
        name = self._word("the name of a label")
        operator, column = self.peek, self.column
        if operator not in _OPERATORS:
            raise MatcherError("expected one of = != =~ !~", column)
        self._at += 1
        column = self.column
        value = self._word("a value")
        if operator in ("=~", "!~"):
            try:
                compile_pattern(value)
            except ValueError as error:
                raise MatcherError(str(error), column) from None
        return Matcher(label=name, operator=operator, value=value)

    def _word(self, what: str) -> str:
        if self.peek != "word":
            raise MatcherError(f"expected {what}", self.column)
        self._at += 1
        return self._tokens[self._at - 1].text
