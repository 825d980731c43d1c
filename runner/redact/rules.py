"""The rule pack: what a secret looks like, as data."""

import functools
from dataclasses import dataclass
from importlib import resources

import yaml

from runner.redact.regex import RegexError, compile_bytes


class RuleError(ValueError):
    """A rule pack that cannot be used; the message names the rule and the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret.

    `regex` is RE2 syntax over bytes and names the part to replace `secret`. A rule is tried only
    where one of `keywords` occurs, whatever the case.
    """

    id: str
    description: str
    keywords: tuple[str, ...]
    regex: str
    ignore_case: bool = False
    min_length: int = 1


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Rules from YAML: `rules: [{id, description, keywords, regex, …}]`. Raises RuleError."""
    document = yaml.safe_load(text)
    rules = tuple(
        Rule(**{**entry, "keywords": tuple(entry["keywords"])}) for entry in document["rules"]
    )
    for rule in rules:
        _check(rule)
    return rules


def _check(rule: Rule) -> None:
    if not rule.keywords:
        raise RuleError(f"rule {rule.id}: keywords: at least one expected")
    try:
        regex = compile_bytes(rule.regex.encode(), ignore_case=rule.ignore_case)
    except RegexError as error:
        raise RuleError(f"rule {rule.id}: regex: {error}") from error
    if b"secret" not in regex.groupindex:
        raise RuleError(f"rule {rule.id}: regex: a group named (?P<secret>…) expected")


@functools.cache
def builtin_rules() -> tuple[Rule, ...]:
    """The pack that ships with podmedic."""
    return parse_rules(resources.files(__package__).joinpath("rules.yaml").read_text("utf-8"))
