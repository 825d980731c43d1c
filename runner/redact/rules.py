"""The rule pack: what a secret looks like, as data."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import yaml

from runner.redact.regex import Regex, RegexError, compile_bytes

# A rule names a fragment as %{NAME}; RE2 has no use for that spelling of its own.
_FRAGMENT = "%{"
_GROUP = b"secret"

# The rules searched together under this name look for words of ordinary talk; all others are
# searched only near words of their own, which are rare.
COMMON = "names"

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=40)]


class RuleError(ValueError):
    """A rule pack that cannot be used. The message is one line: rule, field, what is expected."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of secret. All regular expressions are RE2 over bytes.

    `regex` names the part to replace `secret`; further alternatives are `secret_2`, `secret_3`.
    `keywords`: literals of which each match, or what `after` finds, holds at least one, so that
    text without them is not searched; `gate` is a regex to the same end, where literals would be
    found too often; without both the regex is its own filter.
    `allow`: whole values that are no secret. `unless`: found in what stands before the value (the
    name, with 32 bytes before it), it is no secret either. `after`: what must stand before the
    match on its line, at most 256 bytes away. `together`: rules that say the same here are
    searched as one automaton; that is fast where their beginnings are alike and explodes where
    many can be half way through at once. `entropy`: bits per byte that a secret has more than.
    """

    id: Name
    description: str
    regex: str
    keywords: tuple[Annotated[str, msgspec.Meta(min_length=2)], ...] = ()
    ignore_case: bool = False
    min_length: Annotated[int, msgspec.Meta(ge=1)] = 1
    allow: str = ""
    unless: str = ""
    after: str = ""
    gate: str = ""
    together: Name = "prefixes"
    entropy: Annotated[float, msgspec.Meta(ge=0, le=8)] = 0.0


class _Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[dict[str, object], ...]
    fragments: dict[str, str] = {}
    allow: tuple[str, ...] = ()


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Rules from YAML: `fragments: {NAME: regex}`, `rules: [{id, description, regex, …}]`.

    Raises RuleError for the first rule that cannot be used.
    """
    return parse_pack(text)[0]


def parse_pack(text: str) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """And `allow`: regular expressions of whole values that are no secret for any rule."""
    pack = _read(text)
    fragments = _fragments(pack)
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(pack.rules, 1):
        rule = check_rule(entry, fragments, f"rule {entry.get('id', f'number {number}')}")
        if rule.id in rules:
            raise RuleError(f"rule {rule.id}: id: is used twice")
        rules[rule.id] = rule
    for allow in pack.allow:
        try:
            compile_bytes(allow.encode())
        except RegexError as error:
            raise RuleError(f"rule pack: allow: {allow}: {error}") from error
    return tuple(rules.values()), pack.allow


def _read(text: str) -> _Pack:
    try:
        return msgspec.convert(yaml.load(text, yaml.CSafeLoader), _Pack)
    except yaml.YAMLError as error:
        raise RuleError(f"rule pack: {' '.join(str(error).split())}") from error
    except msgspec.ValidationError as error:
        raise RuleError(f"rule pack: {error}") from error


def _fragments(pack: _Pack) -> dict[str, str]:
    """As they are used: a fragment may name earlier ones."""
    fragments: dict[str, str] = {}
    for name, regex in pack.fragments.items():
        fragments[name] = _expand(regex, fragments, f"fragment {name}")
    return fragments


def check_rule(entry: dict[str, object], fragments: Mapping[str, str], where: str) -> Rule:
    """Raises RuleError, which begins with `where`."""
    rule = _rule(entry, fragments, where)
    for field in ("allow", "unless", "after", "gate"):
        compile_field(rule, field)
    regex = compile_field(rule, "regex")
    if not any(name.startswith(_GROUP) for name in regex.groupindex):
        raise RuleError(f"{where}: regex: a group (?P<secret>…) is expected")
    if regex.fullmatch(b""):
        raise RuleError(f"{where}: regex: must not match nothing")
    return rule


def _rule(entry: dict[str, object], fragments: Mapping[str, str], where: str) -> Rule:
    try:
        rule = msgspec.convert(entry, Rule)
    except msgspec.ValidationError as error:
        raise RuleError(f"{where}: {error}") from error
    expanded = {
        field: _expand(getattr(rule, field), fragments, f"{where}: {field}")
        for field in ("regex", "allow", "unless", "after", "gate")
    }
    return msgspec.structs.replace(rule, **expanded)


def _expand(regex: str, fragments: Mapping[str, str], where: str) -> str:
    if _FRAGMENT not in regex:
        return regex
    for name, fragment in fragments.items():
        regex = regex.replace(f"{_FRAGMENT}{name}}}", f"(?:{fragment})")
    if _FRAGMENT in regex:
        unknown = regex.split(_FRAGMENT, 1)[1].split("}")[0]
        raise RuleError(f"{where}: fragment {unknown} is not defined before it is used")
    return regex


def compile_field(rule: Rule, field: str) -> Regex:
    """One of the rule's regular expressions. Raises RuleError."""
    try:
        return compile_bytes(getattr(rule, field).encode(), ignore_case=rule.ignore_case)
    except RegexError as error:
        raise RuleError(f"rule {rule.id}: {field}: {error}") from error


@functools.cache
def builtin_rules() -> tuple[Rule, ...]:
    """The pack that ships with podmedic. A test checks it, not each start, which would have to
    compile all of it."""
    pack = _read(builtin_text())
    fragments = _fragments(pack)
    return tuple(_rule(entry, fragments, "a rule of podmedic") for entry in pack.rules)


def builtin_text() -> str:
    return Path(__file__).with_name("rules.yaml").read_text("utf-8")
