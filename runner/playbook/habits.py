"""What people write in conditions and values from other languages, and how it is written here.
Imported when something is wrong."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_HABITS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"and\b", '"{0}" is written &&'),
        (r"or\b", '"{0}" is written ||'),
        (r"not\s+in\b", '"{0}" is written !(… in …)'),
        (r"not\b", '"{0}" is written !'),
        (r"is\s+not\b", '"{0}" is written !='),
        (r"is\b", '"{0}" is written =='),
        (r"[=!]\s*~", "a pattern is asked by TEXT.matches('PATTERN')"),
        (r"(contains|matches|startsWith|endsWith)\b", "it is written TEXT.{0}('…')"),
        (r"==", "what it is compared with is missing"),
        (r"=", "two values are compared by =="),
        (r"&", '"and" is written &&'),
        (r"\|", '"or" is written ||'),
        (r"[“”„‘’]", "quotes are ' or \""),
        (rf"{_STRING}", "an unknown escape: in r'…' backslashes stay as they are"),
        (r"['\"]", "the quote that opens here is not closed"),
        (r";", "it is one expression: join the parts by && or ||"),
        (r"#|/\*", "a comment begins with //"),
        (r"if\b", '"if" is written CONDITION ? VALUE : OTHER'),
    )
)
_FUNCTIONS = {
    "any": "exists",
    "count": "size",
    "float": "double",
    "includes": "contains",
    "len": "size",
    "length": "size",
    "lowercase": "lower",
    "lowerAscii": "lower",
    "match": "matches",
    "str": "string",
    "strip": "trim",
    "test": "matches",
    "tolower": "lower",
}
_NAMES = {
    **dict.fromkeys(("False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), "false"),
    **dict.fromkeys(("None", "nil", "undefined"), "null"),
    **dict.fromkeys(("True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), "true"),
}
# What YAML takes as a word wherever it stands.
_PLAIN = re.compile(r"-{0,2}[A-Za-z/][\w./-]*(?: [\w./-]+)*")
_FIELD = re.compile(r"[A-Za-z]\w*\s*[:=]\s*\S")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TRUE_OR_FALSE = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false"}


def of_condition(text: str, line: int, column: int, words: str) -> str:
    """The parser's words, or better ones."""
    lines = text.split("\n")
    here = lines[line - 1] if line <= len(lines) else ""
    rest, before = here[column - 1 :], here[: column - 1].rstrip()
    if text.lstrip().startswith("{{"):
        return "a condition stands without {{ }}"
    if re.search(r"\bnot$", before, re.IGNORECASE):
        return '"not" is written !'
    if "Incomplete" in words and "??" in text:
        return "?? is unknown: has(A.B) ? A.B : OTHER"
    if "Incomplete" in words:
        return "a choice is written CONDITION ? VALUE : OTHER"
    if "has() macro" in words:
        return "has(…) asks for a member: has(container.exitCode)"
    if rest.startswith(">") and before.endswith("<"):
        return '"<>" is written !='
    if (missing := re.match(r"missing '(.)' at", words)) is not None:
        return f"a {missing[1]} is missing"
    if "<EOF>'" in words or not rest:
        return "it ends too early"
    if rest[0] in ")]}":
        much = "extraneous" in words
        return f"a {rest[0]} is too many" if much else f"something is missing before {rest[0]}"
    for pattern, how in _HABITS:
        if (found := pattern.match(rest)) is not None:
            return how.format(found[0])
    if (found := re.search(r"'(.+)'", words)) is not None:
        return f'"{found[1].strip()}" is not expected here'
    return words


def of_function(name: str) -> str:
    return _hint(_FUNCTIONS.get(name) or _FUNCTIONS.get(name.lower(), ""))


def of_name(name: str) -> str:
    return _hint(_NAMES.get(name, ""))


def of_value(field: str, kind: str, given: Any) -> str:
    """` (did you mean …?)` for a value of another kind than `kind`."""
    if kind == "list" and isinstance(given, str) and given:
        words = given.split() if field == "run" and _PLAIN.fullmatch(given) else [given]
        return _meant(f"[{', '.join(map(_word, words))}]")
    if kind == "list" and isinstance(given, Mapping):
        return " (each entry begins with - )"
    if kind == "true or false" and isinstance(given, (str, int)):
        word = str(given).lower()
        return _meant(_TRUE_OR_FALSE.get(word) or (word if word in ("true", "false") else ""))
    if kind == "whole number" and isinstance(given, float) and given.is_integer():
        return _meant(f"{given:.0f}")
    if kind == "whole number" and isinstance(given, str):
        bare = given.strip().replace("_", "").replace(",", "")
        if re.fullmatch(r"[0-9]{1,18}", bare):
            return _meant(bare)
        unit = re.fullmatch(r"([0-9]{1,9})\s?([smhd])", bare)
        if unit is not None and field.endswith("Seconds"):
            return _meant(str(int(unit[1]) * _SECONDS[unit[2]]))
    if kind == "mapping" and isinstance(given, str) and _FIELD.match(given):
        return " (a field is written NAME: VALUE, with a blank)"
    if kind == "string" and isinstance(given, Mapping) and len(given) == 1 and field != "selector":
        [(key, value)] = given.items()
        if value is None or isinstance(value, str):
            return _meant(json.dumps(key if value is None else f"{key}: {value}"))
    if kind == "string" and field == "selector" and isinstance(given, Mapping):
        labels = given.get("matchLabels", given)
        if isinstance(labels, Mapping) and all(isinstance(v, str) for v in labels.values()):
            return _meant(",".join(f"{key}={value}" for key, value in labels.items()))
    return ""


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _meant(text: str) -> str:
    """What YAML reads as it stands here."""
    return f" (did you mean {text}?)" if text and len(text) <= 80 else ""


def _hint(word: str) -> str:
    return f' (did you mean "{word}"?)' if word else ""
