"""A playbook's text to a `Playbook`, or to every mistake in it at once."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from runner.late import late
from runner.playbook import checks, document
from runner.playbook.base import Document
from runner.playbook.checks import Loc, Problem
from runner.playbook.document import MapNode, Node, Scalar
from runner.playbook.errors import (
    PlaybookError,
    PlaybookErrors,
    UnknownPlaybookError,
    did_you_mean,
)
from runner.playbook.reading import Fault, fields_of, read
from runner.playbook.spec import API_VERSION, EvidenceSpec, Playbook
from runner.playbook.use import borrow, rule_places
from runner.resources import directory

Model = TypeVar("Model", bound=Document)

_SUFFIXES = (".yaml", ".yml")
_IDLE = (
    "does nothing: give it steps, findings or workloads, or name playbooks in includes or parts of "
    "them in use"
)
_PLAIN_KIND = late(r"^kind: (Playbook|Policy|Routes)$", re.MULTILINE)
_KINDS = ("Playbook", "Policy", "Routes")


def load(text: str, path: str, also: Callable[[Any], Iterable[Problem]] = lambda _: ()) -> Playbook:
    """Raises PlaybookErrors; `path` is what its lines begin with, `also` finds more that is wrong
    with it."""
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
        wrong.extend(found[0])
        return found

    def check(value: Any) -> Iterator[Problem]:
        yield from checks.check(value, is_whole=not wrong)
        yield from also(value)

    wrong: list[PlaybookError] = []
    files = {path.stem: path for path in builtin()}
    trees: dict[str, Node] = {}
    places: dict[str, str] = {}
    playbook = load_document(text, path, Playbook, "playbook", check, prepare)
    spec = playbook.spec
    does = spec.steps or spec.findings or spec.workloads or spec.includes or spec.use
    # One that reads evidence is for those who want to see that.
    if not does and spec.evidence == EvidenceSpec():
        root = document.parse(text, path)[0]
        problems = [Problem(("spec",), _IDLE)]
        raise PlaybookErrors(_complaints(text, path, root, Playbook, problems=problems))
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
    value = document.to_value(root)
    if problem := _another_document(value, model):
        raise PlaybookErrors(_complaints(text, path, root, model, problems=[problem]))
    if not isinstance(root, MapNode):
        problem = Problem((), f"expected a {noun}, a mapping (field: value)")
        raise PlaybookErrors(_complaints(text, path, root, model, problems=[problem]))
    faults: list[Fault] = []
    nulls = list(_nulls(root, ()))
    made = read(model, value, faults)
    problems = list(check(value))
    if made is not None and not (errors or nulls or problems):
        made.was_read(path, text, _digest(text).hexdigest())
        return made
    said = _complaints(
        text, path, root, model, borrowed, nulls=nulls, faults=faults, problems=problems
    )
    raise PlaybookErrors([*errors, *said])


def _complaints(
    text: str,
    path: str,
    root: Node,
    model: type[Document],
    borrowed: Mapping[str, int] | None = None,
    *,
    nulls: Sequence[Loc] = (),
    faults: Sequence[Fault] = (),
    problems: Sequence[Problem] = (),
) -> list[PlaybookError]:
    from runner.playbook.complaints import Complaints  # noqa: PLC0415  most files are right

    return Complaints(text, path, root, model, borrowed).all(nulls, faults, problems)


def _nulls(node: Node, loc: Loc) -> Iterator[Loc]:
    """Where there is no value."""
    if isinstance(node, MapNode):
        for key, (_, value) in node.entries.items():
            yield from _nulls(value, (*loc, key))
    elif isinstance(node, document.ListNode):
        for index, value in enumerate(node.items):
            yield from _nulls(value, (*loc, index))
    elif isinstance(node, Scalar) and loc and node.value is None:
        yield loc


def load_file(path: str | Path) -> Playbook:
    """Raises PlaybookErrors, also when the file cannot be read."""
    return load(read_text(path), str(path))


def kind_of(text: str, path: str) -> str:
    """Which document it is meant as, by its kind or what that is probably misspelt of; a playbook
    when in doubt. Raises PlaybookErrors where it is no YAML."""
    if plain := _PLAIN_KIND.search(text):
        return plain[1]
    root, _ = document.parse(text, path)
    _, value = document.locate(root, ("kind",))
    found = value.text if isinstance(value, Scalar) and value is not root else ""
    hint = did_you_mean(found, _KINDS)
    return next((kind for kind in _KINDS if f'"{kind}"' in hint), _KINDS[0])


def places(playbook: Playbook, problems: Sequence[Problem]) -> PlaybookErrors:
    """What is wrong with a valid file for another reason, each with its line and column."""
    root, _ = document.parse(playbook.text, playbook.source)
    said = _complaints(playbook.text, playbook.source, root, Playbook, problems=problems)
    return PlaybookErrors(said)


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
    here = [f"./{name_or_path}{suffix}" for suffix in ("", *_SUFFIXES)]
    path = next((each for each in here if name_or_path and Path(each).is_file()), "")
    message = (
        f'no playbook is called "{name_or_path}"{hint}; `podmedic list` shows those there are; '
        f'{path and f"the file here is {path}: "}a path needs a "/"'
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
    if isinstance(version, (str, int, float)) and version != API_VERSION:
        what = f" of kind {found}" if isinstance(found, str) and found not in _KINDS else ""
        message = f'this version reads "{API_VERSION}", found "{version}"{what}'
        return Problem(("apiVersion",), message)
    [kind] = next(get_args(each.annotation) for each in fields_of(model) if each.name == "kind")
    if not isinstance(found, str) or found == kind:
        return None
    hint = "" if found in _KINDS else did_you_mean(found, _KINDS)
    if f'"{kind}"' in hint:
        return None
    return Problem(("kind",), f'expected "{kind}", found "{found}"{hint}')
