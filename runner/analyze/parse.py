"""From the stdout of a step to `steps.NAME.parsed`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from runner.playbook.patterns import compile_pattern
from runner.playbook.spec import Parse

MAX_MATCHES = 1000
MAX_KEYS = 1000
_MAX_DEPTH = 32
_LARGEST = 2**63 - 1


class ParseError(ValueError):
    """The output is not what the playbook expects; the message says how."""


def parse_output(parse: Parse, stdout: str) -> Any:
    """Lists, maps, texts, numbers, booleans and None. Raises ParseError."""
    if parse.regex is not None:
        return _matches(parse.regex, stdout)
    if parse.key_value is not None:
        return _keys(parse.key_value, stdout)
    try:
        value = msgspec.json.decode(stdout)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ParseError(f"stdout is not JSON: {str(error)[:100]}") from None
    return _bounded(value, 0)


def _matches(pattern: str, stdout: str) -> list[Mapping[str, str]]:
    rows: list[Mapping[str, str]] = []
    for match in compile_pattern(pattern).finditer(stdout):
        rows.append({name: text or "" for name, text in match.groupdict().items()})
        if len(rows) == MAX_MATCHES:
            break
    return rows


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
