"""docs/scenarios.md: every number is there, and every test that it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text()
NUMBERS = [*range(1, 32), *range(33, 46), *range(48, 52), 54, 55]


def test_every_number_has_its_row() -> None:
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == NUMBERS


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert named
    missing = [
        (path, name) for path, name in named if f"def {name}" not in (ROOT / path).read_text()
    ]
    assert missing == []


def test_every_test_with_a_number_is_in_the_page() -> None:
    named = [
        name
        for path in (ROOT / "tests").glob("*/test_*.py")
        for name in re.findall(r"def (test_s\d\d_\w+)", path.read_text())
    ]
    assert [name for name in named if f"::{name}`" not in PAGE] == []
