"""What is wrong with a text that is no YAML, and how to mend it: libyaml says what it expected.

Its words are those of the parser in C and of the one in Python. Imported when there is a mistake.
"""

import re
from collections.abc import Sequence

import yaml

_Said = tuple[int, int, str]
_TEMPLATE = re.compile(r"(?:^|:\s|-\s|[\[,{]\s*)(\{\{|\{%)")
_SECOND_COLON = re.compile(r"^\s*(?:-\s+)*([^\s#][^:#]*?):\s+(\S.*)$")
_SHOWN = 40

_DASH = re.compile(r"\s*-[^\s-]")
_COLON = re.compile(r"\s*(?:-\s+)*[A-Za-z]\w*:[^\s:/]")
_OWN_LINE = re.compile(r"\s*(?:-\s|[\w.-]+:(?:\s|$))")
# Signs that mean something to YAML, and what it says of what follows them.
_QUOTED_FROM = (
    "alphabetic or numeric",
    "undefined tag handle",
    "expected whitespace or line break",
)

QUOTE_TEMPLATE = "a value that begins with a template has to be quoted"
QUOTE_SIGN = "a value that begins with {sign} has to be quoted"
_SECOND = "a second colon in one line: quote the value ({name}: {value})"
_TOO_FAR = (
    "this line is indented as if it continued the value of the line before: "
    "indent it like its neighbours"
)
_NO_COLON_BEFORE = "the line before has no colon: a field is written NAME: VALUE"
_INDENT = (
    "this line begins in column {column}, the line before in column {before}, the {items} that "
    "begin in line {line} in column {other}: indent it like one of them"
)
_BESIDE = (
    "{what} cannot stand beside the {items} that begin in line {line}: indent it further or less"
)
_AFTER = (
    "there is more after the closing {sign}: quote the whole value (inside '…' a ' is written "
    'twice, inside "…" a " is written \\")'
)
_AFTER_BRACKET = "there is more after the closing {sign}: remove it, or quote the whole value"
_UNCLOSED_QUOTE = "the quote that opens here is not closed: the value ends with another {sign}"
_UNCLOSED = (
    "a comma or the closing {sign} is missing before this; the {what} opens in {line}:{column}; a "
    "value with brackets or commas in it has to be quoted"
)
_NO_COLON = (
    "a field is written NAME: VALUE, and here is no colon; the text of a `|` block is indented "
    "further than its field"
)
_ENTRY = (
    "a list entry (- …) cannot stand here: begin each entry in a line of its own, all of them in "
    'one column; a value that begins with - is quoted ("- …")'
)
_NO_VALUE = (
    "a value is missing here, or a bracket is too many: inside [ ] and { } there is one value "
    "between two commas, and each bracket is closed"
)
_ENDS_OPEN = "the file ends here, and a bracket ([ or {) before it is not closed"
_ESCAPE = (
    "an unknown escape in \"…\": write \\\\ for one backslash, or use '…', where backslashes stay "
    "as they are"
)
_BLOCK = (
    "after | or > the text begins in the next line; a value that begins with one of them is quoted"
)
_MARKER = "--- or ... cannot begin a line inside a quoted value; is a quote before it not closed?"
_TAB = "a tab where YAML wants spaces: indent with spaces"


def said(text: str, error: yaml.MarkedYAMLError) -> _Said:
    """Line and column from 1, and the words."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    words = " ".join(str(error.problem or error.context or "cannot be read").split())
    lines = text.split("\n")
    before = error.context_mark
    begun = (before.line + 1, before.column + 1) if before else (line, column)
    found = _template(lines, line, column) or _mend(words, lines, (line, column), begun)
    return found or (line, column, words)


def _template(lines: Sequence[str], line: int, column: int) -> _Said | None:
    """`{{ … }}` is a mapping in a mapping, and fails in many ways."""
    here = _line(lines, line)
    for opened in _TEMPLATE.finditer(here[: column + 1]):
        before = here[: opened.start(1)]
        if before.count('"') % 2 or before.count("'") % 2:
            continue  # it is quoted
        return line, opened.start(1) + 1, QUOTE_TEMPLATE + _example(here[opened.start(1) :])
    return None


def _mend(
    words: str, lines: Sequence[str], at: tuple[int, int], begun: tuple[int, int]
) -> _Said | None:
    here, sign = _line(lines, at[0]), _line(lines, at[0])[at[1] - 1 : at[1]]
    if "tab character" in words or ("cannot start any token" in words and sign == "\t"):
        return *at, _TAB
    if "cannot start any token" in words:
        return *at, QUOTE_SIGN.format(sign=sign) + _example(here[at[1] - 1 :])
    if "mapping values are not allowed" in words:
        before = _before(lines, at[0])
        if words := _blank_missing(here) or _blank_missing(before):
            return *at, words
        if _SECOND_COLON.match(here[: at[1] - 1]) is None:
            alike = _column(before) == _column(here)
            return *at, _NO_COLON_BEFORE if alike else _TOO_FAR
        second = _SECOND_COLON.match(here)
        assert second is not None
        return *at, _SECOND.format(name=second[1], value=_quoted(second[2]))
    if "could not find expected ':'" in words:
        first = _line(lines, begun[0])
        if first.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            return *begun, "a merge conflict that is not resolved"
        if "\uff1a" in first:
            return *begun, "the colon here (U+FF1A) is not that of YAML"
        return *begun, _NO_COLON
    if "entries are not allowed" in words:
        return *at, _ENTRY
    if "end of stream" in words:
        sign = _line(lines, begun[0])[begun[1] - 1 :][:1]
        return *begun, _UNCLOSED_QUOTE.format(sign=sign)
    if "document indicator" in words or "document separator" in words:
        return *at, _MARKER
    if "escape" in words or "hexdecimal" in words:
        return *at, _ESCAPE
    if ("comment or" in words and "line break" in words) or "chomping" in words:
        return *at, _BLOCK
    if any(each in words for each in _QUOTED_FROM):
        first = _line(lines, begun[0])[begun[1] - 1 :]
        return *begun, QUOTE_SIGN.format(sign=first[:1]) + _example(first)
    if "mapping keys are not allowed" in words:
        return *at, QUOTE_SIGN.format(sign="?") + _example(here[at[1] - 1 :])
    is_misplaced = "expected key" in words or "'-' indicator" in words or "<block end>" in words
    if ("',' or" in words or is_misplaced) and (quote := _opened_before(lines, at)) is not None:
        return quote
    if "',' or" in words:
        what, sign = ("list", "]") if "]" in words else ("mapping", "}")
        return *at, _UNCLOSED.format(sign=sign, what=what, line=begun[0], column=begun[1])
    if "node content" in words:
        ends = not (here[at[1] - 1 :].strip() or "".join(lines[at[0] :]).strip())
        return *at, _ENDS_OPEN if ends else _NO_VALUE
    if "document start" in words:
        return *at, "nothing may follow the end of the document"
    if "directive name" in words:
        return at[0], 1, QUOTE_SIGN.format(sign="%")
    if is_misplaced:
        return *at, _misplaced(lines, at, begun)
    return None


def _opened_before(lines: Sequence[str], at: tuple[int, int]) -> _Said | None:
    """Where what stands before `at` closes a quote of a line before: there the closing one was
    forgotten, and the next value's opening one closes it."""
    here = _line(lines, at[0])[: at[1] - 1].rstrip()
    sign = here[-1:]
    if sign not in ("'", '"') or here.replace('\\"', "").count(sign) % 2 == 0:
        return None
    for number in range(at[0] - 1, 0, -1):
        before = _line(lines, number)
        if before.replace('\\"', "").count(sign) % 2:
            words = f"{_UNCLOSED_QUOTE.format(sign=sign)} in line {at[0]}"
            return number, before.rindex(sign) + 1, words
    return None


def _blank_missing(line: str) -> str:
    """In `-name: a` and `name:a` YAML sees one word."""
    if _DASH.match(line):
        return "a blank is missing after the dash (- NAME: VALUE)"
    return "a blank is missing after the colon (NAME: VALUE)" if _COLON.match(line) else ""


def _misplaced(lines: Sequence[str], at: tuple[int, int], begun: tuple[int, int]) -> str:
    """Something that belongs to no list and no mapping."""
    here = _line(lines, at[0])[: at[1] - 1].rstrip()
    if here.strip(" -"):
        return _after(here[-1], "") or "this belongs to no value before it: quote the whole value"
    before = _before(lines, at[0])
    first = _line(lines, begun[0])[begun[1] - 1 :]
    items = "list entries" if first.startswith("-") else "fields"
    if _line(lines, at[0])[at[1] - 1 :].startswith(":"):
        return "a name is missing before the colon"
    if at[1] == begun[1]:
        what = "a field" if items == "list entries" else "a list entry (- …)"
        return _BESIDE.format(what=what, items=items, line=begun[0])
    is_more = at[1] > _column(before) and _OWN_LINE.match(_line(lines, at[0])) is None
    if is_more and (words := _after(before[-1:], " of the line before")):
        return words
    return _INDENT.format(
        column=at[1], before=_column(before), items=items, line=begun[0], other=begun[1]
    )


def _after(sign: str, where: str) -> str:
    if sign in ("'", '"'):
        return _AFTER.format(sign=sign + where)
    return _AFTER_BRACKET.format(sign=sign + where) if sign in ("]", "}") else ""


def _before(lines: Sequence[str], number: int) -> str:
    """The last line before that says something."""
    return next((line.rstrip() for line in reversed(lines[: number - 1]) if line.strip()), "")


def _column(line: str) -> int:
    return len(line) - len(line.lstrip(" ")) + 1


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


def _example(rest: str) -> str:
    """The value, quoted, where it is clear how far it goes."""
    value = rest.strip()
    end = value.find("}}") + 2
    if value.startswith("{{") and end > 1 and value[end:].lstrip()[:1] in (",", "]", "}"):
        value = value[:end]
    is_clear = value.startswith("{") or not set("[]{},#") & set(value)
    return f" ({_quoted(value)})" if value and is_clear else ""


def _quoted(value: str) -> str:
    """As YAML reads it."""
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    if "'" not in value:
        return f"'{shown}'"
    return f'"{shown}"' if not {'"', "\\"} & set(value) else "'…'"


def quoted_template(text: str, line: int, column: int) -> _Said | None:
    """For a mapping that is the key of another one: whether it is a template."""
    return _template(text.split("\n"), line, column)
