"""What is wrong with a pack of redaction rules, at its place and in plain words."""

import re

import msgspec
import yaml

from runner.playbook import PlaybookErrors, document, syntax
from runner.playbook.document import ListNode, MapNode, Node, Scalar
from runner.playbook.errors import did_you_mean
from runner.redact.rules import Rule, RuleError

_PACK = ("rules", "fragments", "allow")
_OTHER_WORDS = {"name": "id", "pattern": "regex"}
_TYPES = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a number",
    "null": "nothing",
    "object": "a mapping (field: value)",
    "str": "a string",
}
_OTHER = re.compile(r"Expected `(\w+)`, got `(\w+)`(?: - at `\$\.?([^`]*)`)?")


def said(error: RuleError, text: str, path: str) -> str:
    """`FILE:LINE:COLUMN: rule NAME: what is wrong`; the error is of `read_own`."""
    inner = error.__cause__
    if isinstance(inner, RuleError) and isinstance(inner.__cause__, yaml.MarkedYAMLError):
        line, column, words = syntax.said(text, inner.__cause__)
        return f"{path}:{line}:{column}: not valid YAML: {words}"
    words = str(error).removeprefix(f"{path}: ")
    whose, _, rest = words.partition(": ")
    if path.endswith(".toml"):
        return f"{path}: {words}"
    return f"{path}{_place(text, path, whose)}: {whose}: {_plain(rest, whose)}"


def _plain(words: str, whose: str) -> str:
    if found := re.match(r"Object contains unknown field `(.*)`", words):
        fields = [each.name for each in msgspec.structs.fields(Rule)]
        known = _PACK if whose == "rule pack" else fields
        hint = did_you_mean(_OTHER_WORDS.get(found[1], found[1]), known)
        return f'unknown field "{found[1]}"{hint}'
    if found := re.match(r"Object missing required field `(.*)`", words):
        return f"{found[1]}: required field is missing"
    if (found := _OTHER.match(words)) and {found[1], found[2]} <= _TYPES.keys():
        field = f"{found[3]}: " if found[3] else ""
        return f"{field}must be {_TYPES[found[1]]}, found {_TYPES[found[2]]}"
    return words


def _place(text: str, path: str, whose: str) -> str:
    """Where the rule begins, as far as it can be found."""
    try:
        root, _ = document.parse(text, path)
    except PlaybookErrors:
        return ""
    _, rules = document.locate(root, ("rules",))
    items = rules.items if isinstance(rules, ListNode) else []
    for number, item in enumerate(items, 1):
        if whose in (f"rule number {number}", f"rule {_id(item)}"):
            return f":{item.line}:{item.column}"
    return f":{root.line}:{root.column}"


def _id(item: Node) -> str:
    entry = item.entries.get("id") if isinstance(item, MapNode) else None
    return entry[1].text if entry is not None and isinstance(entry[1], Scalar) else ""
