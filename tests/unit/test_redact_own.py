"""Rules of one's own, in our YAML and in gitleaks' TOML, beside the built-in ones."""

import random

import pytest

from runner.redact import Redactor, RuleError
from runner.redact.own import read_own, with_builtin
from tests.unit.planted import BASE62, drawn

YAML = """\
allow: ['demo-[0-9]+', 'Tr0ub4dor&3']
rules:
  - {id: acme, description: d, keywords: [acme_], regex: '\\b(?P<secret>acme_[a-z0-9]+)', min_length: 12}
"""
TOML = r"""
title = "ours"
[extend]
useDefault = true
[allowlist]
regexes = ['''^fixture-''']
[[rules]]
id = "Zap API key"
description = "Zap"
regex = '''(?i)[\w.-]{0,50}?zap[\s'"]{0,3}[=:][\s'"]{0,5}([a-z0-9-]{20,40})(?:['"\s;]|$)'''
entropy = 3.0
keywords = ["zap"]
[[rules.allowlists]]
stopwords = ["sampleSample"]
[[rules]]
id = "known-names"
description = "the second group"
regex = '''(one|two)-[(\[](three|four)[)\]]'''
secretGroup = 2
[[rules]]
id = "generic-api-key"
description = "no group at all"
regex = '''\bGAK[0-9]{16}\b'''
keywords = ["gak"]
[[rules]]
id = "a-path"
description = "names of files"
path = '''\.pem$'''
"""


def redactor(text: str, name: str) -> Redactor:
    return Redactor(b"k", with_builtin([read_own(text, name)]))


def clean(redact: Redactor, text: str) -> str:
    found, _ = redact.redact_text(text)
    again = redact.redact_text(found)
    assert again == (found, ())
    return found


def test_own_rules_stand_beside_the_builtin_ones() -> None:
    redact = redactor(YAML, "own.yaml")
    assert clean(redact, "see acme_0123456789 password=hunter2x") == (
        "see [redacted:acme:6b2db267] password=[redacted:pw-assigned:5e408f69]"
    )
    assert clean(redact, "see acme_0123 password=demo-17 DB_PASSWORD='Tr0ub4dor&3'") == (
        "see acme_0123 password=demo-17 DB_PASSWORD='Tr0ub4dor&3'"
    )


def test_rules_of_gitleaks() -> None:
    own = read_own(TOML, "gitleaks.toml")
    assert own.notes == ("gitleaks.toml: rule a-path: is about names of files, not taken over",)
    assert [rule.id for rule in own.rules] == ["zap-api-key", "known-names", "generic-api-key"]
    redact = redactor(TOML, "gitleaks.toml")
    secret = drawn(random.Random(1), BASE62, 24)
    found = clean(redact, f"ZAP = '{secret}'\n")
    assert secret not in found
    assert found.startswith("ZAP = '[redacted:zap-api-key:")
    assert clean(redact, "gak GAK0123456789012345 here").startswith(
        "gak [redacted:generic-api-key:"
    )
    assert clean(redact, "one-[four] two-(five)").startswith("one-[[redacted:known-names:")
    # Too little entropy, on its list, on the list of all: its own rules let that be.
    for value in (
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "x1y2z3sampleSample4q5w6e7r",
        "fixture-1a2b3c4d5e6f7g8h",
    ):
        assert clean(redact, f"zap: {value}\n") == f"zap: {value}\n"
    # The list is about that file's rules: ours find what they found before.
    assert "fixture-1" not in clean(redact, "password=fixture-1x")


def test_every_builtin_secret_is_found_with_own_rules_too() -> None:
    redact = redactor(TOML, "gitleaks.toml")
    key = "AKIA" + "IOSFODNN7ABCDEFG"
    assert key not in clean(redact, f"using {key}")


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("rules: [", "o.yaml", "o.yaml: rule pack: while parsing"),
        ("rules = [", "o.toml", "o.toml: not TOML: "),
        ("rules = 3", "o.toml", "o.toml: [[rules]] is expected to be a list of tables"),
        ("[[rules]]\nid='a'\nregex='('", "o.toml", "o.toml: rule a: regex: missing ): ("),
        ("[[rules]]\nid='a'\nregex='(?=x)'", "o.toml", "o.toml: rule a: regex: invalid perl operator: (?="),
        ("[[rules]]\nid='a'\nregex='(x)'\nsecretGroup=2", "o.toml", "o.toml: rule a: secretGroup: the regex has 1 groups"),
        ("[[rules]]\nid='a'\nregex='x'\nkeywords='x'", "o.toml", "o.toml: rule a: keywords: a list of text is expected"),
        ("allow: ['(']\nrules: []", "o.yaml", "o.yaml: rule pack: allow: (: missing ): ("),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(text: str, name: str, said: str) -> None:
    with pytest.raises(RuleError) as error:
        read_own(text, name)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_an_id_belongs_to_one_rule() -> None:
    with pytest.raises(RuleError, match="rule acme: id: is used in two files"):
        with_builtin([read_own(YAML, "a.yaml"), read_own(YAML, "b.yaml")])
    taken = YAML.replace("id: acme", "id: aws-access")
    with pytest.raises(RuleError, match="rule aws-access: id: a built-in rule has that name"):
        with_builtin([read_own(taken, "a.yaml")])


@pytest.mark.parametrize(
    ("regex", "text", "secret"),
    [
        (r"a(b)c", "abc", "b"),
        (r"a\((b)\)", "a(b)", "b"),
        (r"[(]x(y)", "(xy", "y"),
        (r"[]()]x(y)", ")xy", "y"),
        (r"[^](]x(y)", "zxy", "y"),
        (r"[[:alpha:](]x(y)", "(xy", "y"),
        (r"\Q(\E(y)", "(y", "y"),
        (r"(?i)x(?:1|(2))", "X2", "2"),
        (r"(?P<name>q)r", "qr", "q"),
        (r"p-q", "p-q", "p-q"),
    ],
)
def test_the_group_that_is_the_secret(regex: str, text: str, secret: str) -> None:
    own = read_own(f"[[rules]]\nid = 'own'\ndescription = ''\nregex = '''{regex}'''\n", "o.toml")
    found, redactions = Redactor(b"k", own.rules).redact_text(text)
    assert secret not in found.replace("[redacted:own:", "").partition("]")[2] or secret in "[]"
    assert [one.length for one in redactions] == [len(secret)]
