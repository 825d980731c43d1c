"""The rule pack: what it must hold, and what is said of one that cannot be used."""

import pytest

from runner.redact import Redactor, RuleError, builtin_rules, parse_rules
from runner.redact.rules import builtin_text

RULE = "rules: [{id: a-b, description: d, keywords: [ab], regex: 'ab(?P<secret>c+)'}]"


def test_the_builtin_pack_has_its_rules() -> None:
    ids = [rule.id for rule in builtin_rules()]

    assert len(ids) >= 40
    assert len(set(ids)) == len(ids)


def test_the_builtin_pack_is_one_that_anybody_could_use() -> None:
    """It is not checked when it is used."""
    assert parse_rules(builtin_text()) == builtin_rules()


@pytest.mark.parametrize("rule", [rule.id for rule in builtin_rules()])
def test_no_marker_is_taken_for_a_secret(rule: str) -> None:
    """In none of the places in which a rule puts one."""
    marker = f"[redacted:{rule}:0123abcd]"
    text = f'password={marker} {marker}, ({marker}) "{marker}" postgres://u:{marker}@h token: {marker}\n'

    assert Redactor(b"k").redact_text(text) == (text, ())


def test_own_rules_replace_the_builtin_ones() -> None:
    redactor = Redactor(b"k", parse_rules(RULE))

    clean, redactions = redactor.redact_text("abccc password=hunter2x")

    assert clean.startswith("ab[redacted:a-b:")
    assert clean.endswith("] password=hunter2x")
    assert [(r.rule, r.length) for r in redactions] == [("a-b", 3)]


def test_no_rules_redact_keys_only() -> None:
    assert Redactor(b"k", ()).redact_text("password=hunter2x") == ("password=hunter2x", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [", "rule pack: while parsing a flow node"),
        ("rule: []", "rule pack: Object contains unknown field `rule`"),
        ("fragments: {}", "rule pack: Object missing required field `rules`"),
        (RULE.replace("regex:", "regx:"), "rule a-b: Object contains unknown field `regx`"),
        (RULE.replace("id: a-b, ", ""), "rule number 1: Object missing required field `id`"),
        (RULE.replace("a-b", "A B"), "rule A B: Expected `str` matching regex"),
        (RULE.replace("c+", "(?=c)"), "rule a-b: regex: invalid perl operator: (?="),
        (RULE.replace("c+", r"\1"), r"rule a-b: regex: invalid escape sequence: \1"),
        (RULE.replace("?P<secret>", ""), "rule a-b: regex: a group (?P<secret>…) is expected"),
        (RULE.replace("ab(?P<secret>c+)", "(?P<secret>c*)"), "rule a-b: regex: must not match nothing"),
        (RULE.replace("c+", "%{X}"), "rule a-b: regex: fragment X is not defined before it is used"),
        (RULE.replace("[ab]", "[a]"), "rule a-b: Expected `str` of length >= 2"),
        (RULE.replace("}]", "}, {id: a-b, description: d, regex: '(?P<secret>c)'}]"), "rule a-b: id: is used twice"),
        (RULE.replace("}]", ", allow: '['}]"), "rule a-b: allow: missing ]: ["),
    ],
)  # fmt: skip
def test_a_pack_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(RuleError) as error:
        parse_rules(text)

    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
