"""How a playbook has the stdout of a step read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from runner.playbook import fields
from runner.playbook.base import Spec, listed, mapping
from runner.playbook.errors import did_you_mean
from runner.playbook.patterns import compile_pattern

KINDS = ("regex", "json", "keyValue", "table", "number")
WITH_NUMBERS = ("regex", "keyValue", "table")
Unit = Literal["bytes", "milliseconds", "millis", "percent", "integer"]


class Table(Spec, frozen=True, kw_only=True):
    """One row for each line of stdout, such as df or ps write; `parsed` is the list of them, at
    most 1000, each a map from column to text. A row that is too short lacks its last columns."""

    columns: Annotated[tuple[fields.ColumnName, ...], Meta(max_length=50)] = ()
    """Names of the columns; the last one takes the rest of its line. Default: the words of the
    header."""
    header: bool = True
    """Whether the first line says what stands below and is no row itself; where it is none,
    `columns` is needed."""
    separator: Annotated[str, Meta(min_length=1, max_length=8)] | None = None
    """What stands between two columns. Default: blanks, however many."""


class Number(Spec, frozen=True, kw_only=True):
    """A value that becomes a whole number, so that conditions calculate with it; one that is no
    such number is left out."""

    name: fields.ColumnName
    """Group of `regex`, key of `keyValue` or column of `table`."""
    unit: Unit
    """What it is counted in. `bytes` reads 512, 4K, 1.5Gi and 20 MB, all as powers of 1024 (as
    df -h, ps and the kernel mean them); `milliseconds` 250ms, 2m30s, 1-02:03:04, and without a
    unit seconds; `millis` amounts of Kubernetes, 250m and 2; `percent` 97%, rounded down;
    `integer` 42."""


class Parse(Spec, frozen=True, kw_only=True):
    """How to read stdout into `steps.NAME.parsed`: exactly one of regex, json, keyValue, table and
    number."""

    also_in_schema: ClassVar[Mapping[str, Any]] = {
        "oneOf": [
            {
                "required": [kind],
                **({} if kind in WITH_NUMBERS else {"not": {"required": ["numbers"]}}),
            }
            for kind in KINDS
        ],
    }

    regex: fields.NamedPattern | None = None
    """A re2 pattern with named groups; `parsed` is the list of all matches, each a map from group
    to text, at most 1000."""
    json_: Literal[True] | None = field(name="json", default=None)
    """stdout is one JSON value."""
    key_value: Annotated[str, Meta(min_length=1, max_length=8)] | None = None
    """Every line that has this separator is a key and a value; `parsed` is a map of texts, the
    first line wins."""
    table: Table | None = None
    """stdout is a table."""
    number: Unit | None = None
    """stdout is one number, with its unit or without; `parsed` is that number, counted in this unit
    (see `numbers`)."""
    numbers: Annotated[tuple[Number, ...], Meta(max_length=50)] = ()
    """With regex, keyValue or table: which of the values are numbers."""


Problems = Iterator[tuple[tuple[str | int, ...], str]]


def problems(parse: Mapping[str, Any]) -> Problems:
    """Where, below `parse`, and what is wrong: what one field alone does not show. Works on the
    plain values of the file."""
    kinds = [kind for kind in KINDS if kind in parse]
    if len(kinds) != 1:
        yield (), f"needs exactly one of {', '.join(KINDS)}"
        return
    numbers = listed(parse.get("numbers"))
    if kinds[0] not in WITH_NUMBERS:
        if "numbers" in parse:
            yield ("numbers",), f"is there only with {', '.join(WITH_NUMBERS)}"
        return
    table = mapping(parse.get("table"))
    columns = [each for each in listed(table.get("columns")) if isinstance(each, str)]
    for index, name in enumerate(columns):
        if name in columns[:index]:
            yield ("table", "columns", index), f'"{name}" is there twice'
    if table.get("header") is False and not columns:
        yield ("table", "header"), "without a header the table needs columns"
    known = columns or _groups(parse.get("regex"))
    names = [mapping(each).get("name") for each in numbers]
    for index, counted in enumerate(names):
        if counted in names[:index]:
            yield ("numbers", index, "name"), f'"{counted}" is there twice'
        elif known and isinstance(counted, str) and counted not in known:
            what = "pattern has no group" if "regex" in parse else "table has no column"
            yield (
                ("numbers", index, "name"),
                f'the {what} "{counted}"{did_you_mean(counted, known)}',
            )


def _groups(pattern: Any) -> Sequence[str]:
    try:
        return list(compile_pattern(pattern).groupindex)
    except (ValueError, TypeError):
        return ()
