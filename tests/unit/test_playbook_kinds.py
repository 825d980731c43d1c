"""What `validate` takes facts for, against what they are."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from runner.analyze import facts
from runner.playbook import kinds, resolve
from runner.playbook.kinds import Kind
from tests.unit.examinations import crashloop_steps, event, examination, exited, running

_OF_PYTHON = {
    str: "string",
    int: "number",
    float: "number",
    bool: "bool",
    dict: "map",
    list: "list",
}


def _others(value: Any, kind: Kind, path: str) -> Iterator[str]:
    """Those that are of another kind than they are taken for."""
    if not kind.name:
        return
    if (found := _OF_PYTHON[type(value)]) != kind.name:
        yield f"{path} is {found}, taken for {kind.name}"
    elif isinstance(value, str) and kind.words and value and value not in kind.words:
        yield f"{path} is {value}"
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _others(each, kinds.member(kind, name), f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _others(each, kinds.inside(kind), f"{path}[]")


def test_every_fact_is_known_by_what_it_is() -> None:
    unknown = [f"{table}.{name}" for table, name, kind in kinds.every_member() if not kind.name]
    assert unknown == ["steps.NAME.parsed", "control.container", "control.steps"]


@pytest.mark.parametrize("state", [exited(137), running()], ids=["exited", "running"])
def test_facts_are_what_they_are_taken_for(state: Any) -> None:
    one = examination(
        state=state, steps=crashloop_steps(), events=[event("Killing", "m")], log="fatal: x\n"
    )
    known = facts(one, resolve("crashloop"), None, None).values
    wrong = [said for name in known for said in _others(known[name], kinds.root(name), name)]
    assert wrong == []
    assert {"pod", "container", "steps", "events"} <= known.keys()
