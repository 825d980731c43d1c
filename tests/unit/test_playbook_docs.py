"""docs/playbooks.md: its examples are valid, its reference is the format."""

import re
from pathlib import Path

from runner.playbook import load
from runner.playbook.catalogue import catalogue
from runner.playbook.conditions import HELPERS
from runner.playbook.reference import reference
from runner.playbook.templates import FILTERS

PAGE = Path(__file__).parents[2] / "docs" / "playbooks.md"


def test_every_example_validates() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [load(example, "docs/playbooks.md").name for example in examples] == [
        "database",
        "room",
        "heap",
        "start",
        "mode",
        "refused",
    ]


def test_the_reference_is_up_to_date() -> None:
    """Otherwise: `python -m runner.playbook.reference` writes it."""
    text = PAGE.read_text()
    assert text[text.index("## Fields\n") :].rstrip() == reference().rstrip()


def test_the_catalogue_is_up_to_date() -> None:
    """Otherwise: `python -m runner.playbook.catalogue` writes it."""
    assert PAGE.with_name("library.md").read_text().rstrip() == catalogue().rstrip()


def test_every_filter_and_function_is_named() -> None:
    text = PAGE.read_text()
    assert [name for name in (*FILTERS, *HELPERS) if f"`{name}`" not in text] == []
