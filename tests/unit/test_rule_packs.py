"""A pack of redaction rules that cannot be used is told at its place."""

from pathlib import Path

import click
import pytest

from runner.cli.redaction import own_rules

GOOD = "{id: a, description: d, regex: '(?P<secret>x+)'}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules:\n\t- a\n", ":2:1: not valid YAML: a tab where YAML wants spaces: indent with spaces"),
        ("- a\n", ":1:1: rule pack: must be a mapping (field: value), found a list"),
        ("rules: x\n", ":1:1: rule pack: rules: must be a list, found a string"),
        ("ruls: []\n", ':1:1: rule pack: unknown field "ruls" (did you mean "rules"?)'),
        ("allow: [a]\n", ":1:1: rule pack: rules: required field is missing"),
        (f"rules:\n- {GOOD}\n- {{id: b, pattern: x}}\n", ':3:3: rule b: unknown field "pattern" (did you mean "regex"?)'),
        (f"rules:\n- {GOOD}\n- {{regex: x}}\n", ":3:3: rule number 2: id: required field is missing"),
        ("rules:\n- {id: 5}\n", ":2:3: rule 5: id: must be a string, found a number"),
        (f"rules:\n- {GOOD}\n- {GOOD}\n", ":2:3: rule a: id: is used twice"),
        ("rules:\n- {id: a, description: d, regex: '('}\n", ":2:3: rule a: regex: missing ): ("),
    ],
)  # fmt: skip
def test_packs(tmp_path: Path, text: str, words: str) -> None:
    pack = tmp_path / "pack.yaml"
    pack.write_text(text)
    with pytest.raises(click.UsageError) as caught:
        own_rules([str(pack)])
    assert caught.value.message == f"--redact-rules: {pack}{words}"


def test_the_rules_of_gitleaks(tmp_path: Path) -> None:
    pack = tmp_path / "pack.toml"
    pack.write_text('[[rules]]\nid = "a"\nregex = "("\n')
    with pytest.raises(click.UsageError) as caught:
        own_rules([str(pack)])
    assert caught.value.message == f"--redact-rules: {pack}: rule a: regex: missing ): ("
