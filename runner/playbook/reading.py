"""A plain value to a part of a document, or to everything that is wrong with it."""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import NODEFAULT, Meta
from msgspec.structs import FieldInfo, fields

from runner.playbook.base import Check, Spec
from runner.playbook.checks import Loc
from runner.playbook.errors import PlacedError

Part = TypeVar("Part", bound=Spec)


class Fault(NamedTuple):
    """`kind` is `missing`, `unknown`, `placed`, what was expected (`string`, `whole number`, …), or
    a limit's name; `given` stands at `loc`."""

    loc: Loc
    kind: str
    given: Any = None
    context: Mapping[str, Any] = {}


class UnreadableError(ValueError):
    """Whoever made the value by hand made a mistake."""


_Faults = list[Fault]
_Read = Callable[[Any, Loc, _Faults], Any]


def read(part: type[Part], value: Any, faults: _Faults) -> Part | None:
    """`value` is made of mappings, tuples, words, numbers and None, where a value is missing and
    somebody else says so. What is wrong is added to `faults`; then the part is of no use."""
    before = len(faults)
    made = _part(part, value, (), faults)
    return cast(Part, made) if len(faults) == before else None


def made(part: type[Part], value: Mapping[str, Any]) -> Part:
    """Raises UnreadableError: for values of ours, spelled as in a file."""
    faults: _Faults = []
    found = read(part, value, faults)
    if found is None:
        raise UnreadableError("; ".join(f"{each.loc}: {each.kind}" for each in faults))
    return found


class Field(NamedTuple):
    """`name` as it stands in the file. Without a default it must be given."""

    attribute: str
    name: str
    annotation: Any
    default: Any

    @property
    def is_required(self) -> bool:
        return self.default is NODEFAULT


@cache
def fields_of(part: type[Spec]) -> tuple[Field, ...]:
    """Those of the parts that it extends first."""
    known: dict[str, FieldInfo] = {each.name: each for each in fields(part)}
    return tuple(
        Field(name, known[name].encode_name, annotation, _default(known[name]))
        for name, annotation in get_type_hints(part, include_extras=True).items()
        if name in known
    )


def _default(info: FieldInfo) -> Any:
    return info.default if info.default_factory is NODEFAULT else info.default_factory()


@cache
def _readers(part: type[Spec]) -> Mapping[str, tuple[Field, _Read]]:
    return {field.name: (field, _reader(field.annotation)) for field in fields_of(part)}


def _part(part: type[Spec], value: Any, loc: Loc, faults: _Faults) -> Spec | None:
    if not isinstance(value, Mapping):
        faults.append(Fault(loc, "mapping", value))
        return None
    before = len(faults)
    known, values = _readers(part), {}
    for name, (field, reader) in known.items():
        if name in value:
            read_value = reader(value[name], (*loc, name), faults)
            # Equal is left out when it is written again: then it must be the very same.
            if read_value != field.default or type(read_value) is not type(field.default):
                values[field.attribute] = read_value
        elif field.is_required:
            faults.append(Fault((*loc, name), "missing"))
    faults.extend(Fault((*loc, name), "unknown") for name in value if name not in known)
    return part(**values) if len(faults) == before else None


def unwrapped(annotation: Any) -> tuple[Any, Meta, Check | None]:
    """The type of a field that has a value, its limits, and what more must hold."""
    meta: Meta = Meta()
    check: Check | None = None
    if get_origin(annotation) in (Union, UnionType):
        [annotation] = [each for each in get_args(annotation) if each is not NoneType]
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        meta = next((each for each in extras if isinstance(each, Meta)), meta)
        check = next((each for each in extras if isinstance(each, Check)), None)
    return annotation, meta, check


def _reader(annotation: Any) -> _Read:
    kind, meta, check = unwrapped(annotation)
    reader = _plain_reader(kind, meta)
    return _nothing_or(_checked(reader, check) if check is not None else reader)


def _plain_reader(annotation: Any, meta: Meta) -> _Read:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _word(inner)
    if origin is tuple:
        return _tuple(_reader(inner[0]), meta)
    if origin is dict:
        return _dict(_reader(inner[1]), meta)
    if annotation is str:
        return _string(meta)
    if annotation is int:
        return _whole_number(meta)
    if annotation is bool:
        return _true_or_false
    if issubclass(annotation, Enum):
        return _enum(annotation)
    return lambda value, loc, faults: _part(annotation, value, loc, faults)


def _nothing_or(reader: _Read) -> _Read:
    return lambda value, loc, faults: None if value is None else reader(value, loc, faults)


def _checked(reader: _Read, check: Check) -> _Read:
    def read_checked(value: Any, loc: Loc, faults: _Faults) -> Any:
        before = len(faults)
        text = reader(value, loc, faults)
        if len(faults) == before:
            try:
                check.problem(text)
            except PlacedError as error:
                for each in (error, *error.others):
                    context = {"message": each.message, "line": each.line, "column": each.column}
                    faults.append(Fault(loc, "placed", value, context))
        return text

    return read_checked


def _string(meta: Meta) -> _Read:
    @cache
    def pattern() -> re.Pattern[str]:
        return re.compile(meta.pattern or "")

    def read_string(value: Any, loc: Loc, faults: _Faults) -> Any:
        if not isinstance(value, str):
            faults.append(Fault(loc, "string", value))
        elif meta.min_length is not None and len(value) < meta.min_length:
            faults.append(Fault(loc, "too short", value))
        elif meta.max_length is not None and len(value) > meta.max_length:
            faults.append(Fault(loc, "too long", value, {"most": meta.max_length}))
        elif meta.pattern is not None and not pattern().fullmatch(value):
            faults.append(Fault(loc, "pattern", value, {"pattern": meta.pattern}))
        return value

    return read_string


def _whole_number(meta: Meta) -> _Read:
    def read_number(value: Any, loc: Loc, faults: _Faults) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            faults.append(Fault(loc, "whole number", value, {"least": meta.ge, "most": meta.le}))
        elif meta.ge is not None and value < meta.ge:
            faults.append(Fault(loc, "too small", value, {"least": meta.ge}))
        elif meta.le is not None and value > meta.le:
            faults.append(Fault(loc, "too large", value, {"most": meta.le}))
        return value

    return read_number


def _true_or_false(value: Any, loc: Loc, faults: _Faults) -> Any:
    if not isinstance(value, bool):
        faults.append(Fault(loc, "true or false", value))
    return value


def _word(words: tuple[Any, ...]) -> _Read:
    def read_word(value: Any, loc: Loc, faults: _Faults) -> Any:
        if not any(value == word and type(value) is type(word) for word in words):
            faults.append(Fault(loc, "one of", value, {"words": words}))
        return value

    return read_word


def _enum(kind: type[Enum]) -> _Read:
    words = {each.value: each for each in kind}

    def read_enum(value: Any, loc: Loc, faults: _Faults) -> Any:
        if isinstance(value, str) and value in words:
            return words[value]
        faults.append(Fault(loc, "one of", value, {"words": tuple(words)}))
        return value

    return read_enum


def _tuple(each: _Read, meta: Meta) -> _Read:
    def read_tuple(value: Any, loc: Loc, faults: _Faults) -> Any:
        if not isinstance(value, (tuple, list)):
            faults.append(Fault(loc, "list", value))
            return value
        if meta.max_length is not None and len(value) > meta.max_length:
            faults.append(Fault(loc, "too many", value, {"most": meta.max_length}))
            return value
        if meta.min_length is not None and len(value) < meta.min_length:
            faults.append(Fault(loc, "too few", value, {"least": meta.min_length}))
        return tuple([each(item, (*loc, index), faults) for index, item in enumerate(value)])

    return read_tuple


def _dict(each: _Read, meta: Meta) -> _Read:
    def read_dict(value: Any, loc: Loc, faults: _Faults) -> Any:
        if not isinstance(value, Mapping):
            faults.append(Fault(loc, "mapping", value))
            return value
        if meta.max_length is not None and len(value) > meta.max_length:
            faults.append(Fault(loc, "too many", value, {"most": meta.max_length}))
        return {key: each(item, (*loc, key), faults) for key, item in value.items()}

    return read_dict
