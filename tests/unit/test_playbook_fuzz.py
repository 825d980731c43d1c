"""Whatever a file holds: a playbook, or mistakes with a place in the file. Never a traceback."""

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.playbook import PlaybookErrors, builtin, load
from tests.unit.test_playbook_schema import GOOD, SCHEMA, playbook

SETTINGS = settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck))
TEXTS = [path.read_text() for path in builtin()]
FIELDS = sorted(
    {field for part in SCHEMA["definitions"].values() for field in part.get("properties", {})}
)
WORDS = st.sampled_from([*FIELDS, "steps.a.parsed", "{{ x", "(?P<a>", "a ==", "logs.last", "5"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def dumped(value: Any) -> str:
    return str(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True))


def outcome(text: str) -> None:
    try:
        read = load(text, "p.yaml")
    except PlaybookErrors as caught:
        lines = text.count("\n") + 1
        assert caught.errors
        for error in caught.errors:
            assert 1 <= error.line <= lines + 1, error
            assert error.column >= 1, error
            assert error.message, error
            assert "\n" not in str(error), error
    else:
        assert read.metadata.name


@SETTINGS
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    outcome(text)


@SETTINGS
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.text(max_size=6)), max_size=3),
)
def test_a_good_playbook_with_holes(text: str, changes: list[tuple[float, int, str]]) -> None:
    for where, length, new in changes:
        at = int(where * len(text))
        text = text[:at] + new + text[at + length :]
    outcome(text)


@SETTINGS
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5))
def test_wrong_kinds_everywhere(spec: dict[str, Any]) -> None:
    outcome(dumped(playbook(**spec)))


@SETTINGS
@given(st.sampled_from([*GOOD.values()]), st.data())
def test_one_wrong_value(document: dict[str, Any], data: st.DataObject) -> None:
    """Any value of a valid playbook replaced by anything."""

    def replaced(value: Any) -> Any:
        if data.draw(st.integers(0, 9)) == 0:
            return data.draw(VALUES)
        if isinstance(value, dict):
            return {key: replaced(each) for key, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        return value

    outcome(dumped(replaced(document)))
