"""The syntax of kubectl's label selectors and field selectors."""

import re
from collections.abc import Mapping

from runner.late import late

_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"
_PREFIX = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?"
_FORMS = "KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), KEY or !KEY, joined by commas"
_KEY = late(rf"{_PREFIX}{_NAME}\Z")
_VALUE = late(rf"{_NAME}?\Z")
_TERM = late(r"\s*(?:(?P<absent>!)\s*)?(?P<key>[^\s!=<>(),]+)\s*(?P<rest>.*)", re.DOTALL)
_EQUALS = late(r"(==|!=|=)\s*(?P<value>[^\s!=<>(),]*)\s*\Z")
_SET = late(r"(?:in|notin)\s*\((?P<values>[^()]*)\)\s*\Z")
_FIELD = late(r"\s*[A-Za-z][A-Za-z.]*\s*(?:==|!=|=)[^,]*\Z")


def label_selector_problem(text: str) -> str:
    """What is wrong with a label selector, in words; empty when nothing is."""
    for term in _terms(text):
        problem = _term_problem(term)
        if problem:
            return f"{problem} in label selector term {_shown(term.strip())}"
    return ""


def label_key_problem(text: str) -> str:
    return "" if _KEY.match(text) else f"{_shown(text)} is no label key"


def field_selector_problem(text: str) -> str:
    for term in text.split(","):
        if not _FIELD.match(term):
            return f"expected FIELD=VALUE or FIELD!=VALUE, found {_shown(term.strip())}"
    return ""


def selects(text: str, labels: Mapping[str, str]) -> bool:
    """Whether a valid label selector means something with these labels, as the API server would
    say: `!=` and `notin` hold for what has no such label."""
    return all(_term_holds(term, labels) for term in _terms(text) if term.strip())


def _term_holds(term: str, labels: Mapping[str, str]) -> bool:
    found = _TERM.match(term)
    if found is None:
        return False
    key, rest = found["key"], found["rest"].strip()
    if found["absent"]:
        return key not in labels
    if equals := _EQUALS.match(rest):
        return (labels.get(key) == equals["value"]) is (equals[1] != "!=")
    if chosen := _SET.match(rest):
        values = {value.strip() for value in chosen["values"].split(",")}
        return (labels.get(key) in values) is not rest.startswith("notin")
    return key in labels


def _terms(text: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return re.split(r",(?![^()]*\))", text)


def _term_problem(term: str) -> str:
    found = _TERM.match(term)
    if found is None:
        return "a comma too many: nothing" if not term.strip() else "no label key"
    key, rest = found["key"], found["rest"].strip()
    if not _KEY.match(key):
        return f"{_shown(key)} is no label key"
    if found["absent"]:
        return f"unexpected {_shown(rest)}" if rest else ""
    if not rest:
        return ""
    if equals := _EQUALS.match(rest):
        value = equals["value"]
        return "" if _VALUE.match(value) else f"{_shown(value)} is no label value"
    if chosen := _SET.match(rest):
        values = [value.strip() for value in chosen["values"].split(",")]
        wrong = [value for value in values if not _VALUE.match(value)]
        return f"{_shown(wrong[0])} is no label value" if wrong else ""
    return f"expected {_FORMS}; cannot read {_shown(rest)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
