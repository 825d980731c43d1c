"""`spec.use`: steps and rules of built-in playbooks, as if they stood in this one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from runner.playbook.document import ListNode, MapNode, Node, Scalar
from runner.playbook.errors import PlaybookError, did_you_mean

MAX_USED = 100
SECTIONS = {"steps": "name", "findings": "id", "workloads": "id"}
"""The lists of a playbook that can be borrowed from, and what an item of each goes by."""


def borrow(
    root: Node, path: str, names: Sequence[str], read: Callable[[str], Node]
) -> tuple[list[PlaybookError], dict[str, int]]:
    """Puts what `spec.use` names before what the playbook says itself; returns how many items that
    are, by section. `names` are the built-in playbooks, `read` gives the tree of one. What is not
    as it should be is left for the validation of the whole, but for what only shows here."""
    spec = _below(root, "spec")
    errors = list(_unknown(path, _below(spec, "includes"), names))
    used = _below(spec, "use")
    if not isinstance(spec, MapNode) or not isinstance(used, ListNode):
        return errors, {}
    found: dict[str, list[MapNode]] = {section: [] for section in SECTIONS}
    trees: dict[str, Node] = {}
    taken: dict[tuple[str, str], str] = {}
    for at, item in enumerate(used.items[:MAX_USED]):
        if not isinstance(item, Scalar) or "/" not in item.text:
            continue
        name, _, pattern = item.text.partition("/")
        field = f"spec.use[{at}]"
        if name not in names:
            hint = did_you_mean(name, names)
            message = f'no built-in playbook is called "{name}"{hint}'
            errors.append(PlaybookError(path, item.line, item.column, field, message))
            continue
        tree = trees[name] = trees.get(name) or read(name)
        matched = [
            (section, own, node)
            for section, key in SECTIONS.items()
            for node in _items(tree, section)
            if fnmatchcase(own := _text(node, key), pattern)
        ]
        for section, own, node in matched:
            other = taken.setdefault((section, own), name)
            if other != name:
                message = f'"{own}" of {name} has the name of one of {other}: use one of them'
                errors.append(PlaybookError(path, item.line, item.column, field, message))
            elif not any(each is node for each in found[section]):
                found[section].append(node)
        if not matched:
            known_names = [_text(n, key) for s, key in SECTIONS.items() for n in _items(tree, s)]
            hint = did_you_mean(pattern, known_names)
            message = f'playbook {name} has no step and no rule "{pattern}"{hint}'
            errors.append(PlaybookError(path, item.line, item.column, field, message))
    for section, nodes in found.items():
        if nodes:
            _put_first(spec, used, section, nodes)
    return errors, {section: len(nodes) for section, nodes in found.items() if nodes}


def rule_places(
    root: Node, file: str, borrowed: Mapping[str, int], trees: Mapping[str, Node]
) -> dict[str, str]:
    """FILE:LINE of every rule by its id; `borrowed` counts those that stand first and are from one
    of `trees`, which go by their file."""
    found: dict[str, str] = {}
    for section in ("findings", "workloads"):
        for at, node in enumerate(_items(root, section)):
            own = _text(node, "id")
            owner = file
            if at < borrowed.get(section, 0):
                owner = next(
                    (
                        name
                        for name, tree in trees.items()
                        for each in _items(tree, section)
                        if each.line == node.line and _text(each, "id") == own
                    ),
                    file,
                )
            found.setdefault(own, f"{owner}:{node.line}")
    return found


def _unknown(path: str, includes: Node | None, names: Sequence[str]) -> Iterator[PlaybookError]:
    for at, item in enumerate(includes.items if isinstance(includes, ListNode) else ()):
        if isinstance(item, Scalar) and item.text not in names:
            hint = did_you_mean(item.text, names)
            message = f'no built-in playbook is called "{item.text}"{hint}'
            yield PlaybookError(path, item.line, item.column, f"spec.includes[{at}]", message)


def _put_first(spec: MapNode, used: Node, section: str, nodes: Sequence[MapNode]) -> None:
    present = spec.entries.get(section)
    own = present[1].items if present is not None and isinstance(present[1], ListNode) else []
    if present is not None and not isinstance(present[1], ListNode):
        return
    ids = {_text(node, "id") for node in (*nodes, *own) if isinstance(node, MapNode)}
    borrowed = [_without_strangers(node, ids) for node in nodes]
    key = present[0] if present is not None else Scalar(used.line, used.column, text=section)
    spec.entries[section] = (
        key,
        ListNode(key.line, key.column, items=[*borrowed, *own]),
    )


def _without_strangers(node: MapNode, ids: set[str]) -> MapNode:
    """A rule without those of its `unless` that stayed behind."""
    unless = node.entries.get("unless")
    if unless is None or not isinstance(unless[1], ListNode):
        return node
    kept = [i for i in unless[1].items if isinstance(i, Scalar) and i.text in ids]
    entries = dict(node.entries)
    if kept:
        known = unless[1]
        entries["unless"] = (unless[0], ListNode(known.line, known.column, items=list(kept)))
    else:
        del entries["unless"]
    return MapNode(node.line, node.column, entries=entries)


def _below(node: Node | None, key: str) -> Node | None:
    entry = node.entries.get(key) if isinstance(node, MapNode) else None
    return entry[1] if entry is not None else None


def _items(root: Node, section: str) -> Iterator[MapNode]:
    items = _below(_below(root, "spec"), section)
    if isinstance(items, ListNode):
        yield from (item for item in items.items if isinstance(item, MapNode))


def _text(node: Node, key: str) -> str:
    value = _below(node, key)
    return value.text if isinstance(value, Scalar) else ""
