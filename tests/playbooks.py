"""The built-in playbooks, read once: each worker reads them when it collects the tests."""

from collections.abc import Iterator
from functools import cache

from runner.playbook import Playbook, builtin, resolve


@cache
def every() -> dict[str, Playbook]:
    """By name, in order."""
    return {path.stem: resolve(path.stem) for path in builtin()}


def with_included(name: str) -> Iterator[Playbook]:
    """As a run has them: those that one includes come before it."""
    for each in every()[name].spec.includes:
        yield from with_included(each)
    yield every()[name]
