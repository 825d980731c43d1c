"""A playbook's text to a `Playbook`, or to every mistake in it at once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from runner.playbook import checks, document
from runner.playbook.base import Document, Spec
from runner.playbook.checks import Loc, Problem
from runner.playbook.document import MapNode, Node, Scalar
from runner.playbook.errors import (
    PlaybookError,
    PlaybookErrors,
    UnknownPlaybookError,
    did_you_mean,
)
from runner.playbook.fields import SHAPES
from runner.playbook.reading import Fault, fields_of, read
from runner.playbook.spec import API_VERSION, Playbook
from runner.playbook.use import SECTIONS, borrow, rule_places
from runner.resources import directory

Model = TypeVar("Model", bound=Document)

_SUFFIXES = (".yaml", ".yml")
_KINDS = {
    "true or false": "true or false",
    "whole number": "a whole number",
    "mapping": "a mapping (field: value)",
    "list": "a list",
}
_LIMITS = {
    "too small": "must be at least {least}",
    "too large": "must be at most {most}",
    "too short": "must not be empty",
    "too long": "longer than {most} characters",
    "too many": "more than {most} entries",
    "too few": "must have at least {least} entry",
}
_OTHER_WORDS = {
    "args": "run",
    "assert": "when",
    "cmd": "run",
    "code": "id",
    "command": "run",
    "condition": "when",
    "if": "when",
    "fields": "fieldSelector",
    "labelSelector": "selector",
    "labels": "selector",
    "retries": "retry",
    "rules": "findings",
    "shell": "script",
    "timeout": "timeoutSeconds",
}


def load(text: str, path: str) -> Playbook:
    """Raises PlaybookErrors; `path` is what its lines begin with."""
    digest = _digest(text)

    def read(name: str) -> Node:
        """The tree of a built-in playbook, which thereby is part of this one."""
        other = read_text(files[name])
        digest.update(other.encode())
        trees[_shown(str(files[name]), files)] = document.parse(other, str(files[name]))[0]
        return trees[_shown(str(files[name]), files)]

    def prepare(root: Node) -> tuple[list[PlaybookError], dict[str, int]]:
        found = borrow(root, path, list(files), read)
        places.update(rule_places(root, _shown(path, files), found[1], trees))
        return found

    files = {path.stem: path for path in builtin()}
    trees: dict[str, Node] = {}
    places: dict[str, str] = {}
    playbook = load_document(text, path, Playbook, "playbook", checks.check, prepare)
    playbook.rules_stand(places)
    playbook.was_read(path, text, digest.hexdigest())
    return playbook


def _digest(text: str) -> "hashlib._Hash":
    return hashlib.sha256(text.encode("utf-8", "surrogatepass"))


def _shown(path: str, files: Mapping[str, Path]) -> str:
    """A built-in playbook by its place in the repository, which is the same on every machine."""
    known = files.get(Path(path).stem)
    return f"playbooks/{known.name}" if known is not None and Path(path) == known else path


def load_document(
    text: str,
    path: str,
    model: type[Model],
    noun: str,
    check: Callable[[Any], Iterable[Problem]] = lambda _: (),
    prepare: Callable[[Node], tuple[list[PlaybookError], dict[str, int]]] = lambda _: ([], {}),
) -> Model:
    """A document of any kind of ours; `check` finds what one field alone does not show, `prepare`
    may put items before those of the sections of `spec` before anything is checked, and says how
    many. Raises PlaybookErrors."""
    root, errors = document.parse(text, path)
    found, borrowed = prepare(root)
    errors.extend(found)
    reader = _Reader(text, path, root, model, borrowed)
    value = document.to_value(root)
    if problem := _another_document(value, model):
        raise PlaybookErrors([reader.error(problem)])
    errors.extend(reader.nulls())
    if not isinstance(root, MapNode):
        errors.append(reader.error(Problem((), f"expected a {noun}, a mapping (field: value)")))
        raise PlaybookErrors(errors)
    faults: list[Fault] = []
    made = read(model, value, faults)
    errors.extend(map(reader.fault, faults))
    errors.extend(reader.error(problem) for problem in check(value))
    if errors or made is None:
        raise PlaybookErrors(errors)
    made.was_read(path, text, _digest(text).hexdigest())
    return made


def load_file(path: str | Path) -> Playbook:
    """Raises PlaybookErrors, also when the file cannot be read."""
    return load(read_text(path), str(path))


def places(path: str | Path, problems: Sequence[Problem]) -> PlaybookErrors:
    """What is wrong with a valid file for another reason, each with its line and column."""
    text = read_text(path)
    root, _ = document.parse(text, str(path))
    reader = _Reader(text, str(path), root, Playbook)
    return PlaybookErrors(reader.error(problem) for problem in problems)


def read_text(path: str | Path) -> str:
    """Raises PlaybookErrors when the file cannot be read."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(document.MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PlaybookErrors([PlaybookError(str(path), 0, 0, "", reason)]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = "not UTF-8"
        raise PlaybookErrors([PlaybookError(str(path), line, column, "", message)]) from None
    return text


def builtin() -> list[Path]:
    """Files of the playbooks that come with podmedic; each is named like its file's stem."""
    return sorted(directory("playbooks").glob("*.yaml"))


def resolve(name_or_path: str) -> Playbook:
    """A built-in playbook by name, else a file by path (anything with a `/` or a YAML suffix).

    Raises UnknownPlaybookError or PlaybookErrors.
    """
    files = {path.stem: path for path in builtin()}
    if name_or_path in files:
        return _built_in(files[name_or_path])
    if "/" in name_or_path or name_or_path.endswith(_SUFFIXES):
        return load_file(name_or_path)
    hint = did_you_mean(name_or_path, list(files))
    message = (
        f'no playbook is called "{name_or_path}"{hint}; `podmedic list` shows those there are; '
        'a path needs a "/"'
    )
    raise UnknownPlaybookError(message)


@cache
def _built_in(path: Path) -> Playbook:
    """Read once, however many include it: it is frozen, and its file is part of the program."""
    playbook = load_file(path)
    playbook.was_read("built-in", playbook.text, playbook.sha256)
    return playbook


def _another_document(value: Any, model: type[Model]) -> Problem | None:
    """Of what is meant for somebody else the rest need not be told."""
    if not isinstance(value, dict):
        return None
    version, found = value.get("apiVersion"), value.get("kind")
    if version not in (None, API_VERSION):
        return Problem(("apiVersion",), f'this version reads "{API_VERSION}", found "{version}"')
    [kind] = next(get_args(each.annotation) for each in fields_of(model) if each.name == "kind")
    if not isinstance(found, str) or found == kind or did_you_mean(found, [kind]):
        return None
    return Problem(("kind",), f'expected "{kind}", found "{found}"')


class _Reader:
    """Turns paths into places in one file."""

    def __init__(
        self,
        text: str,
        path: str,
        root: Node,
        model: type[Document],
        borrowed: Mapping[str, int] | None = None,
    ) -> None:
        self._borrowed = borrowed or {}
        self._model = model
        self._lines = text.splitlines()
        self._path = path
        self._root = root

    def _field(self, loc: Sequence[str | int]) -> str:
        """As the file counts."""
        if len(loc) > 2 and loc[0] == "spec" and isinstance(loc[2], int):
            loc = (*loc[:2], loc[2] - self._borrowed.get(str(loc[1]), 0), *loc[3:])
        return field_path(loc)

    def _of_borrowed(self, problem: Problem) -> PlaybookError | None:
        """What is wrong with an item of another file is wrong with `use`."""
        loc = problem.loc
        if len(loc) < 3 or not isinstance(loc[2], int):
            return None
        if loc[2] >= self._borrowed.get(str(loc[1]), 0):
            return None
        at, _ = document.locate(self._root, ("spec", "use"))
        section = str(loc[1])
        _, name = document.locate(self._root, (*loc[:3], SECTIONS[section]))
        words = name.text if isinstance(name, Scalar) else section
        message = f"{words}: {problem.message}"
        return PlaybookError(self._path, at.line, at.column, "spec.use", message)

    def error(self, problem: Problem) -> PlaybookError:
        if (error := self._of_borrowed(problem)) is not None:
            return error
        at, value = document.locate(self._root, problem.loc)
        line, column = at.line, at.column
        if isinstance(value, Scalar) and value is not self._root:
            line, column = value.line, value.column
            if (problem.line, problem.column) != (1, 1):
                line, column = document.inside(value, self._lines, problem.line, problem.column)
        return PlaybookError(self._path, line, column, self._field(problem.loc), problem.message)

    def fault(self, fault: Fault) -> PlaybookError:
        loc, context = fault.loc, fault.context
        if fault.kind == "unknown":
            return self._unknown_field(loc)
        if fault.kind == "missing":
            at, _ = document.locate(self._root, loc[:-1])
            message = "required field is missing"
            return PlaybookError(self._path, at.line, at.column, self._field(loc), message)
        if fault.kind == "placed":
            return self.error(Problem(loc, context["message"], context["line"], context["column"]))
        return self.error(Problem(loc, self._message(fault)))

    def nulls(self) -> Iterator[PlaybookError]:
        yield from self._nulls(self._root, ())

    def _nulls(self, node: Node, loc: Loc) -> Iterator[PlaybookError]:
        if isinstance(node, MapNode):
            for key, (_, value) in node.entries.items():
                yield from self._nulls(value, (*loc, key))
        elif isinstance(node, document.ListNode):
            for index, value in enumerate(node.items):
                yield from self._nulls(value, (*loc, index))
        elif isinstance(node, Scalar) and node.value is None and loc:
            at, _ = document.locate(self._root, loc)
            message = "has no value; give it one or leave it out"
            if node.text:
                message += f' (quote it if it is a word: "{node.text}")'
            yield PlaybookError(self._path, at.line, at.column, self._field(loc), message)

    def _message(self, fault: Fault) -> str:
        kind, given, context = fault.kind, fault.given, fault.context
        if kind == "string":
            return self._not_a_string(fault.loc)
        if kind == "one of":
            return _not_one_of(given, context["words"])
        if kind == "pattern":
            return f"expected {SHAPES[context['pattern']]}; found {_describe(given)}"
        if kind in _LIMITS:
            return _LIMITS[kind].format(**context)
        return f"must be {_KINDS[kind]}, found {_describe(given)}"

    def _not_a_string(self, loc: Loc) -> str:
        _, value = document.locate(self._root, loc)
        if isinstance(value, Scalar):
            what = "true or false" if isinstance(value.value, bool) else "a number"
            word = value.text
            return f'must be a string, but YAML reads {word} as {what}: quote it ("{word}")'
        return "must be a string, found a list or a mapping"

    def _unknown_field(self, loc: Loc) -> PlaybookError:
        at, _ = document.locate(self._root, loc)
        name = str(loc[-1])
        part = _part_at(self._model, loc[:-1])
        if part is not None and name in part.refused:
            message = f"cannot be set: {part.refused[name]}"
            return PlaybookError(self._path, at.line, at.column, self._field(loc), message)
        known = fields_of(part) if part is not None else ()
        hint = _hint(name, [each.name for each in known])
        if name == "<<":
            hint = " (YAML 1.2 has no merge keys)"
        message = f"unknown field{hint}"
        return PlaybookError(self._path, at.line, at.column, self._field(loc), message)


def _hint(name: str, known: Sequence[str]) -> str:
    """What other tools call it counts as a typing mistake too."""
    others = {word: field for word, field in _OTHER_WORDS.items() if field in known}
    close = did_you_mean(name, [*known, *others])
    for word, field in others.items():
        close = close.replace(f'"{word}"', f'"{field}"')
    return close


def field_path(loc: Sequence[str | int]) -> str:
    """`spec.steps[0].run`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _not_one_of(given: Any, words: Sequence[Any]) -> str:
    known = [_describe(word).strip('"') for word in words]
    return f"must be one of {', '.join(known)}, found {_describe(given)}" + did_you_mean(
        str(given), known
    )


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}…"'
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return str(value)


def _part_at(part: type[Spec] | None, loc: Sequence[str | int]) -> type[Spec] | None:
    """The part of the format that a path leads to."""
    for name in loc:
        if part is not None and isinstance(name, str):
            known = fields_of(part)
            part = next((_part_of(each.annotation) for each in known if each.name == name), None)
    return part


def _part_of(annotation: Any) -> type[Spec] | None:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    return next(filter(None, map(_part_of, get_args(annotation))), None)
