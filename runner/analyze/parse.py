"""From the stdout of a step to `steps.NAME.parsed`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from runner.analyze.numbers import number
from runner.playbook.parsing import Number, Parse, Table
from runner.playbook.patterns import compile_pattern

MAX_ROWS = 1000
MAX_KEYS = 1000
_MAX_COLUMNS = 50
_MAX_DEPTH = 32
_LARGEST = 2**63 - 1


class ParseError(ValueError):
    """The output is not what the playbook expects; the message says how."""


def parse_output(parse: Parse, stdout: str) -> Any:
    """Lists, maps, texts, numbers, booleans and None. Raises ParseError."""
    if parse.regex is not None:
        return _counted(_matches(parse.regex, stdout), parse.numbers)
    if parse.table is not None:
        return _counted(_rows(parse.table, stdout), parse.numbers)
    if parse.key_value is not None:
        return _counted([_keys(parse.key_value, stdout)], parse.numbers)[0]
    if parse.number is not None:
        value = number(stdout, parse.number)
        if value is None:
            raise ParseError(f"stdout is not one number of unit {parse.number}")
        return value
    try:
        value = msgspec.json.decode(stdout)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ParseError(f"stdout is not JSON: {str(error)[:100]}") from None
    return _bounded(value, 0)


def _counted(
    rows: Sequence[Mapping[str, str]], numbers: Sequence[Number]
) -> Sequence[Mapping[str, Any]]:
    """What is no number is left out: a condition that needs it is then not evaluated."""
    if not numbers:
        return rows
    counted: list[Mapping[str, Any]] = []
    for row in rows:
        values: dict[str, Any] = dict(row)
        for each in numbers:
            if each.name in row:
                amount = number(values.pop(each.name), each.unit)
                if amount is not None:
                    values[each.name] = amount
        counted.append(values)
    return counted


def _matches(pattern: str, stdout: str) -> Sequence[Mapping[str, str]]:
    found = islice(compile_pattern(pattern).finditer(stdout), MAX_ROWS)
    return [{name: text or "" for name, text in m.groupdict().items()} for m in found]


def _rows(table: Table, stdout: str) -> Sequence[Mapping[str, str]]:
    lines = (line for line in stdout.splitlines() if line.strip())
    columns: Sequence[str] = table.columns
    if table.header:
        header = next(lines, "")
        columns = columns or [name.strip() for name in header.split(table.separator)][:_MAX_COLUMNS]
    rows: list[Mapping[str, str]] = []
    for line in islice(lines, MAX_ROWS):
        row: dict[str, str] = {}
        for name, cell in zip(columns, _cells(line, table.separator, len(columns)), strict=False):
            # Of two columns with one name nobody could tell which is meant: the first has it.
            row.setdefault(name, cell)
        rows.append(row)
    return rows


def _cells(line: str, separator: str | None, count: int) -> Iterator[str]:
    """At most so many; the last one has the rest of the line."""
    if separator is None:
        line = line.strip()
    return (cell.strip() for cell in line.split(separator, max(count - 1, 0)))


def _keys(separator: str, stdout: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in stdout.splitlines():
        key, separated, value = line.partition(separator)
        if separated and key.strip() and len(found) < MAX_KEYS:
            found.setdefault(key.strip(), value.strip())
    return found


def _bounded(value: Any, depth: int) -> Any:
    """CEL knows integers of 64 bits and maps whose keys are texts."""
    if depth > _MAX_DEPTH:
        raise ParseError(f"stdout is JSON nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {str(key): _bounded(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_bounded(each, depth + 1) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return float(value) if value.bit_length() < 1024 else 0.0
    return value
