"""The format as JSON Schema draft-07, the newest that yaml-language-server reads."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from runner.playbook.base import Spec
from runner.playbook.reading import fields_of, unwrapped
from runner.playbook.spec import Playbook

SCHEMA_ID = "https://podmedic.io/schema/playbook-v1alpha1.json"
_DRAFT_07 = "http://json-schema.org/draft-07/schema#"
_TYPES = {str: "string", int: "integer", bool: "boolean"}
_LIMITS = {
    "string": {"pattern": "pattern", "min_length": "minLength", "max_length": "maxLength"},
    "integer": {"ge": "minimum", "le": "maximum"},
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "object": {"max_length": "maxProperties"},
}

Schema = dict[str, Any]


def json_schema(part: type[Spec] = Playbook, schema_id: str = SCHEMA_ID) -> Schema:
    """Accepts what `load` accepts, but for what one schema cannot say: names that must exist,
    expressions, selectors and templates."""
    definitions: dict[str, Schema] = {}
    whole = _part(part, definitions)
    return {
        "$schema": _DRAFT_07,
        "$id": schema_id,
        **whole,
        "definitions": dict(sorted(definitions.items())),
    }


def _part(part: type[Spec], definitions: dict[str, Schema]) -> Schema:
    known, said = fields_of(part), _attribute_docstrings(part)
    properties = {}
    for field in known:
        one = _of(field.annotation, definitions)
        is_told = not field.is_required and field.default is not None
        default = {"default": _spelled(field.default)} if is_told else {}
        description = {"description": said[field.attribute]} if field.attribute in said else {}
        beside = default | description
        # Nothing may stand beside a reference: it would be ignored.
        whole = {"allOf": [one]} if beside and "$ref" in one else one
        properties[field.name] = {**whole, **beside}
    required = [field.name for field in known if field.is_required]
    return {
        "additionalProperties": False,
        "description": _one_line(part.__doc__),
        **part.also_in_schema,
        "properties": properties,
        **({"required": required} if required else {}),
        "type": "object",
    }


def _spelled(value: Any) -> Any:
    """As a file says it."""
    if isinstance(value, Spec):
        return {
            field.name: _spelled(inner)
            for field in fields_of(type(value))
            if (inner := getattr(value, field.attribute)) is not None
        }
    if isinstance(value, tuple):
        return [_spelled(each) for each in value]
    return msgspec.to_builtins(value)


def _of(annotation: Any, definitions: dict[str, Schema]) -> Schema:
    """`load` refuses a field without a value, so None never comes from a file."""
    annotation, meta, _ = unwrapped(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        kind = _TYPES[type(inner[0])]
        return {"const": inner[0], "type": kind} if len(inner) == 1 else _words(inner)
    if origin is tuple:
        return _limited({"items": _of(inner[0], definitions), "type": "array"}, meta)
    if origin is dict:
        values = {"additionalProperties": _of(inner[1], definitions), "type": "object"}
        return _limited(values, meta)
    if annotation in _TYPES:
        return _limited({"type": _TYPES[annotation]}, meta)
    if annotation.__name__ not in definitions:
        definitions[annotation.__name__] = {}  # it may name itself
        definitions[annotation.__name__] = (
            _enum(annotation) if issubclass(annotation, Enum) else _part(annotation, definitions)
        )
    return {"$ref": f"#/definitions/{annotation.__name__}"}


def _limited(schema: Schema, meta: Meta) -> Schema:
    limits = {
        word: value
        for attribute, word in _LIMITS.get(schema["type"], {}).items()
        if (value := getattr(meta, attribute)) is not None
    }
    return {**limits, **schema, **(meta.extra_json_schema or {})}


def _words(words: tuple[Any, ...]) -> Schema:
    return {"enum": list(words), "type": "string"}


def _enum(kind: type[Enum]) -> Schema:
    said = {"description": _one_line(kind.__doc__)} if kind.__doc__ else {}
    return {**said, **_words(tuple(each.value for each in kind))}


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


@cache
def _attribute_docstrings(part: type[Spec]) -> Mapping[str, str]:
    """The string below each field of the class and of those that it extends."""
    found = {}
    for each in reversed(part.__mro__):
        if not issubclass(each, Spec):
            continue
        parsed = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(parsed, ast.ClassDef)
        for field, below in pairwise(parsed.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                found[field.target.id] = _one_line(below.value.value)
    return found
