"""Regular expressions that are compiled when they are first used."""

import pkgutil
import re
from importlib import import_module

import runner
from runner.late import Late, late


def test_it_is_what_it_stands_for() -> None:
    word = late(r"(?P<word>[a-z]+)", re.IGNORECASE)

    match = word.fullmatch("Web")
    assert match is not None
    assert (match["word"], word.findall("a B1c"), word.pattern) == (
        "Web", ["a", "B", "c"], r"(?P<word>[a-z]+)",
    )  # fmt: skip


def test_all_of_ours_compile() -> None:
    found = {
        f"{info.name}.{name}": value
        for info in pkgutil.walk_packages(runner.__path__, "runner.")
        if not info.name.endswith("__main__")
        for name, value in vars(import_module(info.name)).items()
        if isinstance(value, Late)
    }

    assert len(found) > 30
    assert [name for name, value in found.items() if not isinstance(value.pattern, str)] == []
