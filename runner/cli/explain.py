"""`podmedic explain`: what playbooks are written with, as `kubectl explain` does for objects."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import click

from runner.playbook import vocabulary
from runner.playbook.reference import PARTS, values_of
from runner.playbook.schema import json_schema

_WIDTH = 100
_MARGIN = 32  # a longer name stands on a line of its own
_FACTS = "facts"
_PLAYBOOK = "playbook"


@click.command(short_help="Explain the facts that rules see, and the fields of a playbook.")
@click.argument("name", metavar="facts|FACT|playbook[.FIELD]")
def explain(name: str) -> None:
    """Explain the `facts` that conditions and templates of a playbook see, one of them
    (`container`, `container.exitCode`, `events`), or a part of a `playbook`
    (`playbook.spec.targets`)."""
    name = re.sub(r"\[\d+\]", "", name)  # as `validate` says where it is
    if name.partition(".")[0] in ("spec", "metadata"):
        name = f"{_PLAYBOOK}.{name}"
    lines = list(_of_playbook(name) if name.partition(".")[0] == _PLAYBOOK else _of_facts(name))
    click.echo("\n".join(lines))


def _of_facts(name: str) -> Iterator[str]:
    if name == _FACTS:
        yield "What conditions and templates see. A name with ? is absent where it makes no sense:"
        yield "ask has() first. What could not be had leaves its rules not evaluated, never false."
        yield ""
        yield from _table(vocabulary.LISTS)
        for root, members in vocabulary.TABLES.items():
            yield ""
            yield from _section(root, members)
        return
    roots = {root.removesuffix("[]").removesuffix(".NAME"): root for root in vocabulary.TABLES}
    first, _, rest = name.replace("[]", "").replace("steps.NAME", "steps").partition(".")
    if first in roots and not rest:
        if first in vocabulary.LISTS:
            yield from _table({first: vocabulary.LISTS[first]})
            yield ""
        yield from _section(roots[first], vocabulary.TABLES[roots[first]])
        return
    if first in vocabulary.LISTS and not rest:
        yield from _table({first: vocabulary.LISTS[first]})
        return
    members = vocabulary.TABLES.get(roots.get(first, ""), {})
    found = {n: words for n, words in members.items() if n.removesuffix("?") == rest}
    if not found:
        known = [
            *roots,
            *vocabulary.LISTS,
            *(f"{first}.{member.removesuffix('?')}" for member in members),
            _FACTS,
            _PLAYBOOK,
        ]
        raise _unknown("fact", name, known)
    yield from _table({f"{first}.{n}": words for n, words in found.items()})


def _of_playbook(name: str) -> Iterator[str]:
    schema = json_schema()
    parts = {f"{_PLAYBOOK}.{path}".replace("[]", ""): part for path, part in PARTS}
    if name == _PLAYBOOK:
        yield "A playbook: apiVersion, kind: Playbook, metadata and spec. Its parts:"
        yield ""
        yield from (f"  {path}" for path in parts)
        return
    wanted = name.replace("[]", "")
    if wanted in parts:
        part = schema["definitions"][parts[wanted]]
        yield from textwrap.wrap(part["description"], _WIDTH)
        yield ""
        yield from _table(
            {
                field: _field(value, schema, required=field in part.get("required", ()))
                for field, value in part["properties"].items()
            }
        )
        return
    above, _, last = wanted.rpartition(".")
    if above in parts:
        part = schema["definitions"][parts[above]]
        if last in part["properties"]:
            value = part["properties"][last]
            words = _field(value, schema, required=last in part.get("required", ()))
            yield from _table({wanted: words})
            return
    known = [*parts, *(f"{above}.{f}" for f in _fields(schema, parts.get(above, "")))]
    raise _unknown("field", name, known)


def _fields(schema: Mapping[str, Any], part: str) -> Iterator[str]:
    yield from schema["definitions"].get(part, {}).get("properties", ())


def _field(value: Mapping[str, Any], schema: Mapping[str, Any], *, required: bool) -> str:
    values = values_of(value, schema).replace("`", "").replace("list see below", "list of maps")
    words = str(value.get("description", ""))
    return f"{'required; ' if required else ''}{values}. {words}".strip()


def _section(root: str, members: Mapping[str, str]) -> Iterator[str]:
    yield root
    yield from _table(members)


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    longest = max(map(len, rows), default=0)
    if longest > _MARGIN:
        for name, words in rows.items():
            yield f"  {name}"
            yield from textwrap.wrap(words.replace("`", ""), _WIDTH, initial_indent="    ",
                                     subsequent_indent="    ")  # fmt: skip
        return
    margin = longest + 2
    for name, words in rows.items():
        told = textwrap.wrap(words.replace("`", ""), _WIDTH - margin - 2) or [""]
        yield f"  {name:<{margin}}{told[0]}".rstrip()
        yield from (f"  {'':<{margin}}{line}" for line in told[1:])


def _unknown(what: str, name: str, known: list[str]) -> click.UsageError:
    near = get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return click.UsageError(
        f"no {what} is called {name!r}{hint}; `podmedic explain facts` and "
        "`podmedic explain playbook` show those there are"
    )
