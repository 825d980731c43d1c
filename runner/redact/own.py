"""Rules of the user's own, beside the built-in ones: our YAML, or the TOML of gitleaks."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from runner.redact.regex import RegexError, compile_bytes, escape
from runner.redact.rules import Rule, RuleError, builtin_rules, check_rule, parse_pack

_MAX_RULES = 1000
# Searched as one automaton: few enough that it stays small, whatever they are.
_TOGETHER = 12
_ID_CHARS = 40
_NO_NAME = re.compile(r"[^a-z0-9]+")


class Own(msgspec.Struct, frozen=True):
    """`notes` are lines about what of a file was not taken over."""

    rules: tuple[Rule, ...] = ()
    allow: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_own(text: str, path: str) -> Own:
    """Raises RuleError with the path in front."""
    try:
        own = _gitleaks(text) if PurePath(path).suffix == ".toml" else Own(*parse_pack(text))
    except RuleError as error:
        raise RuleError(f"{path}: {error}") from error
    if len(own.rules) > _MAX_RULES:
        raise RuleError(f"{path}: more than {_MAX_RULES} rules")
    return msgspec.structs.replace(own, notes=tuple(f"{path}: {note}" for note in own.notes))


def with_builtin(owns: Sequence[Own]) -> tuple[Rule, ...]:
    """One's own rules first, so that they give the name to what others find too. Raises RuleError
    for an id that is used twice."""
    allow = "|".join(f"(?:{value})" for own in owns for value in own.allow)
    rules: dict[str, Rule] = {}
    for number, rule in enumerate(rule for own in owns for rule in own.rules):
        if rule.id in rules:
            raise RuleError(f"rule {rule.id}: id: is used in two files")
        together = f"own-{number // _TOGETHER}"
        rules[rule.id] = msgspec.structs.replace(rule, together=together)
    for rule in builtin_rules():
        if rule.id in rules:
            raise RuleError(f"rule {rule.id}: id: a built-in rule has that name")
        rules[rule.id] = rule
    if not allow:
        return tuple(rules.values())
    return tuple(
        msgspec.structs.replace(rule, allow=f"{rule.allow}|{allow}" if rule.allow else allow)
        for rule in rules.values()
    )


def _gitleaks(text: str) -> Own:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RuleError(f"not TOML: {error}") from error
    entries = document.get("rules", [])
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise RuleError("[[rules]] is expected to be a list of tables")
    rules: dict[str, Rule] = {}
    notes: list[str] = []
    taken = {rule.id for rule in builtin_rules()}
    # It speaks of this file's rules alone: some of it would let through what ours find.
    everywhere, left = _allowed(_allowlists(document), "allowlist")
    for number, entry in enumerate(entries, 1):
        where = f"rule {entry.get('id', f'number {number}')}"
        if "regex" not in entry:
            notes.append(f"{where}: is about names of files, not taken over")
            continue
        rule = _rule_of(entry, where, taken | rules.keys(), everywhere)
        rules[rule.id] = rule
    return Own(tuple(rules.values()), (), (*notes, *left))


def _rule_of(
    entry: Mapping[str, Any], where: str, taken: Iterable[str], everywhere: Sequence[str]
) -> Rule:
    """Go's regular expressions are RE2's."""
    keywords = _strings(entry.get("keywords", []), f"{where}: keywords")
    allow, _ = _allowed(_allowlists(entry), where)
    words = [word for word in keywords if len(word) >= 2]
    gate = "|".join(escape(word.encode()).decode() for word in words)
    made: dict[str, object] = {
        "id": _free(_name(str(entry.get("id", "rule"))), set(taken)),
        "description": str(entry.get("description", "")),
        "regex": _with_secret(entry["regex"], entry.get("secretGroup", 0), where),
        "keywords": words,
        "gate": f"(?i:{gate})" if gate and len(words) == len(keywords) else "",
        "allow": "|".join(f"(?:{one})" for one in (*allow, *everywhere)),
        "entropy": float(entry.get("entropy", 0)),
    }
    return check_rule(made, {}, where)


def _name(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-")[:_ID_CHARS].strip("-") or "rule"


def _free(name: str, taken: set[str]) -> str:
    """Many of gitleaks' rules are called like ours, and are others."""
    if name not in taken:
        return name
    numbers = (f"{name[: _ID_CHARS - 4]}-{n}" for n in range(2, 2 + len(taken)))
    return next(each for each in numbers if each not in taken)


def _with_secret(regex: object, group: object, where: str) -> str:
    """The group that is the secret gets our name: the one that the rule says, else the first that
    matched, else all of it."""
    if not isinstance(regex, str) or not isinstance(group, int):
        raise RuleError(f"{where}: regex: text is expected, and a number as secretGroup")
    try:
        compile_bytes(regex.encode())
    except RegexError as error:
        raise RuleError(f"{where}: regex: {error}") from error
    places = _groups(regex)
    if group > len(places):
        raise RuleError(f"{where}: secretGroup: the regex has {len(places)} groups")
    if not places:
        return f"(?P<secret>{regex})"
    chosen = places if group == 0 else [places[group - 1]]
    for number, place in reversed(list(enumerate(chosen))):
        name = "secret" if number == 0 else f"secret_{number + 1}"
        regex = f"{regex[: place[0]]}(?P<{name}>{regex[place[1] :]}"
    return regex


def _groups(regex: str) -> list[tuple[int, int]]:
    """Where the opening of each capturing group begins and ends."""
    places: list[tuple[int, int]] = []
    at, in_class = 0, -1
    while at < len(regex):
        if regex.startswith("\\Q", at):
            end = regex.find("\\E", at)
            at = len(regex) if end < 0 else end + 2
            continue
        if regex[at] == "\\":
            at += 2
            continue
        if in_class >= 0:
            # A bracket that stands first in a class is one of its characters.
            if regex[at] == "]" and at > in_class:
                in_class = -1
            elif regex.startswith("[:", at):
                at = max(at, regex.find(":]", at) + 1)
        elif regex[at] == "[":
            in_class = at + (2 if regex.startswith("[^", at) else 1)
            at = in_class - 1
        elif regex[at] == "(":
            named = re.match(r"\(\?P?<[A-Za-z_][A-Za-z0-9_]*>", regex[at:])
            if named:
                places.append((at, at + named.end()))
            elif not regex.startswith("(?", at):
                places.append((at, at + 1))
        at += 1
    return places


def _allowlists(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [*table.get("allowlists", []), table.get("allowlist", {})]
    return [one for one in found if isinstance(one, dict) and one]


def _allowed(
    allowlists: Iterable[Mapping[str, Any]], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Patterns of whole values, and what cannot be said by them: without it more is redacted."""
    allow: list[str] = []
    notes: list[str] = []
    for one in allowlists:
        regexes = _strings(one.get("regexes", []), f"{where}: allowlist: regexes")
        if one.get("regexTarget", "secret") in {"match", "line"} and regexes:
            notes.append(f"{where}: an allowlist for whole lines, not taken over")
            regexes = []
        if str(one.get("condition", "OR")).upper() == "AND":
            notes.append(f"{where}: an allowlist with several conditions, not taken over")
            continue
        words = _strings(one.get("stopwords", []), f"{where}: allowlist: stopwords")
        for regex in regexes:
            _compiled(regex, where)
            allow.append(f"(?s:.*)(?:{regex})(?s:.*)")
        allow += [f"(?si:.*{escape(word.encode()).decode()}.*)" for word in words]
    return tuple(allow), tuple(notes)


def _compiled(regex: str, where: str) -> None:
    try:
        compile_bytes(regex.encode())
    except RegexError as error:
        raise RuleError(f"{where}: allowlist: {error}") from error


def _strings(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise RuleError(f"{where}: a list of text is expected")
    return value
