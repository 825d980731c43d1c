"""YAML text to a tree of nodes that know their line and column.

Built from PyYAML's parser events, so that nothing of YAML 1.1 happens behind our back: plain
words are read by the core schema of YAML 1.2 (`no` and `on` are words), a duplicate key is an
error, and nesting, aliases and size are bounded before anything is expanded.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from runner.late import late
from runner.playbook.errors import PlaybookError, PlaybookErrors

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_NODES = 50_000
MAX_DIGITS = 18  # more do not fit the 64 bits that every reader of YAML agrees on

_STRING_TAG = "tag:yaml.org,2002:str"
_NULL = late(r"(?:~|null|Null|NULL|)\Z")
_BOOL = late(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = late(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = late(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_FORBIDDEN = late("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node(msgspec.Struct, eq=False):
    """`size` counts the nodes below and including this one with every alias expanded."""

    line: int
    column: int
    size: int = 1
    depth: int = 1


class Scalar(Node, eq=False):
    """`style` is YAML's own mark: `|`, `>`, `'`, `"`, or empty for a plain word."""

    text: str = ""
    style: str = ""
    quoted: bool = False

    @property
    def value(self) -> Any:
        return self.text if self.quoted else _plain_value(self.text)


class ListNode(Node, eq=False):
    items: list[Node] = msgspec.field(default_factory=list)


class MapNode(Node, eq=False):
    entries: dict[str, tuple[Scalar, Node]] = msgspec.field(default_factory=dict)


def parse(text: str, path: str) -> tuple[Node, list[PlaybookError]]:
    """The tree of the one document in `text`, with the mistakes that leave the tree usable
    (duplicate keys). Raises PlaybookErrors for what leaves none."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _refuse(path, 1, 1, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    if strange := _FORBIDDEN.search(text):
        line, column = _line_and_column(text, strange.start())
        what = f"character U+{ord(strange.group()):04X}, which YAML does not allow"
        raise _refuse(path, line, column, what)
    builder = _Builder(path, text)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _from_yaml(path, text, error) from None
    if builder.root is None:
        raise _refuse(path, 1, 1, "is empty; expected a playbook")
    return builder.root, builder.errors


def to_value(node: Node) -> Any:
    """Plain dict, tuple, str, int, float, bool and None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return tuple(to_value(item) for item in node.items)
    assert isinstance(node, MapNode)
    return {key: to_value(value) for key, (_, value) in node.entries.items()}


def locate(root: Node, loc: Sequence[str | int]) -> tuple[Node, Node]:
    """The node to point at for a path, and the node that holds the value there. They differ for
    the key and the value of a mapping; both are the nearest parent when the path ends early."""
    at: Node = root
    value: Node = root
    for part in loc:
        if isinstance(value, MapNode) and isinstance(part, str) and part in value.entries:
            at, value = value.entries[part]
        elif isinstance(value, ListNode) and isinstance(part, int) and part < len(value.items):
            at = value = value.items[part]
        else:
            break
    return at, value


def inside(scalar: Scalar, lines: Sequence[str], line: int, column: int) -> tuple[int, int]:
    """Line and column in the file of a place in the text of a scalar. All count from 1. Exact for
    one-line and `|` scalars; the start of the scalar for what YAML folds."""
    if scalar.style == "|":
        first = scalar.line  # 0-based index of the line after the header
        while first < len(lines) and not lines[first].strip():
            first += 1
        indent = len(lines[first]) - len(lines[first].lstrip(" ")) if first < len(lines) else 0
        return scalar.line + line, indent + column
    if line == 1 and "\n" not in scalar.text and scalar.style != ">":
        return scalar.line, scalar.column + column - 1 + (1 if scalar.style in ("'", '"') else 0)
    return scalar.line, scalar.column


class _Builder:
    """Builds the tree from events without recursion: depth is checked before it is entered."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._text = text
        self.root: Node | None = None
        self.errors: list[PlaybookError] = []
        self._open: list[Node] = []
        self._keys: list[Scalar | None] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _refuse(self.path, line, column, "a second document; one file, one playbook")
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._aliased(event.anchor, line, column), line, column)
        elif isinstance(event, yaml.ScalarEvent):
            self._check_tag(event.tag, line, column)
            quoted = event.tag == _STRING_TAG or bool(event.style)
            scalar = Scalar(line, column, text=event.value, style=event.style or "", quoted=quoted)
            self._remember(event.anchor, scalar)
            self._add(scalar, line, column)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self._enter(event, line, column)
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            node = self._open.pop()
            self._keys.pop()
            self._add(node, node.line, node.column)

    def _enter(self, event: Any, line: int, column: int) -> None:
        if event.tag is not None:
            self._check_tag(event.tag, line, column)
        if len(self._open) >= MAX_DEPTH:
            raise _refuse(self.path, line, column, f"nested deeper than {MAX_DEPTH} levels")
        kind = ListNode if isinstance(event, yaml.SequenceStartEvent) else MapNode
        node = kind(line, column)
        self._remember(event.anchor, node)
        self._open.append(node)
        self._keys.append(None)

    def _add(self, node: Node, line: int, column: int) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > MAX_NODES or len(self._open) + node.depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} values or {MAX_DEPTH} levels, aliases expanded"
            raise _refuse(self.path, line, column, what)
        if isinstance(parent, ListNode):
            parent.items.append(node)
            return
        assert isinstance(parent, MapNode)
        key = self._keys[-1]
        if key is None:
            if not isinstance(node, Scalar):
                raise self._no_key(line, column)
            self._keys[-1] = node
            return
        self._keys[-1] = None
        self._put(parent, key, node)

    def _no_key(self, line: int, column: int) -> PlaybookErrors:
        from runner.playbook import syntax  # noqa: PLC0415

        # The inner one of `{{` ends as a key, and is the second of the two signs.
        template = syntax.quoted_template(self._text, line, column - 1)
        return _refuse(self.path, *(template or (line, column, "a key must be a word")))

    def _put(self, parent: MapNode, key: Scalar, value: Node) -> None:
        first = parent.entries.get(key.text)
        if first is None:
            parent.entries[key.text] = (key, value)
            return
        from runner.playbook.complaints import field_path  # noqa: PLC0415  most keys are alone

        above = [
            len(node.items) if isinstance(node, ListNode) else known.text if known else ""
            for node, known in zip(self._open[:-1], self._keys[:-1], strict=True)
        ]
        field = field_path((*above, key.text))
        message = f"duplicate key, first at {first[0].line}:{first[0].column}"
        self.errors.append(PlaybookError(self.path, key.line, key.column, field, message))

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _aliased(self, anchor: str | None, line: int, column: int) -> Node:
        node = self._anchors.get(anchor or "")
        if node is None:
            raise _refuse(self.path, line, column, f'alias "*{anchor}" names nothing before it')
        if any(node is parent for parent in self._open):
            raise _refuse(self.path, line, column, f'alias "*{anchor}" contains itself')
        return node

    def _check_tag(self, tag: str | None, line: int, column: int) -> None:
        if tag is None or tag in (_STRING_TAG, "!"):
            return
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        mend = "" if shown.startswith("!!") else "; a value that begins with ! has to be quoted"
        raise _refuse(self.path, line, column, f"tag {shown} is not allowed in a playbook{mend}")


def _plain_value(text: str) -> Any:
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text[0] in "tT"
    if _INT.match(text) and len(text) <= MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _refuse(path: str, line: int, column: int, message: str) -> PlaybookErrors:
    return PlaybookErrors([PlaybookError(path, line, column, "", message)])


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _from_yaml(path: str, text: str, error: yaml.MarkedYAMLError) -> PlaybookErrors:
    from runner.playbook import syntax  # noqa: PLC0415  most files are YAML

    line, column, words = syntax.said(text, error)
    if "nesting depth" in words:
        # libyaml reads ahead: its own limit, of versions that have one, can be met before ours.
        return _refuse(path, line, column, f"nested deeper than {MAX_DEPTH} levels")
    return _refuse(path, line, column, f"not valid YAML: {words}")
