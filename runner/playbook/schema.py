"""The format as JSON Schema draft-07, the newest that yaml-language-server reads."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from runner.playbook.spec import Playbook

SCHEMA_ID = "https://podmedic.io/schema/playbook-v1alpha1.json"
_DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def json_schema(model: type[BaseModel] = Playbook, schema_id: str = SCHEMA_ID) -> dict[str, Any]:
    """Accepts what `load` accepts, but for what one schema cannot say: names that must exist,
    expressions, selectors and templates."""
    generated = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = {name: _converted(each) for name, each in generated.pop("$defs").items()}
    return {
        "$schema": _DRAFT_07,
        "$id": schema_id,
        **_converted(generated),
        "definitions": dict(sorted(definitions.items())),
    }


def _attribute_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The string below each field of the class and of those it inherits from, theirs first."""
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
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
                yield field.target.id, inspect.cleandoc(below.value.value)


class _Generator(GenerateJsonSchema):
    def model_schema(self, schema: Any) -> JsonSchemaValue:
        result = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        properties = result.get("properties", {})
        for name, text in _attribute_docstrings(model):
            field = model.model_fields.get(name)
            shown = properties.get(field.alias or name) if field is not None else None
            if shown is not None:
                shown.setdefault("description", text)
        return result

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Defaults in the file's own spelling; a default of None says nothing."""
        result = super().default_schema(schema)
        if result.get("default", 0) is None:
            del result["default"]
        return result

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """`load` refuses a field without a value, so None never comes from a file."""
        return self.generate_inner(schema["schema"])


def _converted(schema: Any) -> Any:
    """2020-12 to draft-07: `definitions`, and nothing beside a `$ref`, which would be ignored."""
    if isinstance(schema, list):
        return [_converted(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    result = {key: _converted(value) for key, value in schema.items() if key != "title"}
    if "properties" in schema:
        result["properties"] = {
            name: _converted(value) for name, value in schema["properties"].items()
        }
    if isinstance(schema.get("description"), str):
        result["description"] = " ".join(schema["description"].split())
    reference = result.pop("$ref", None)
    if reference is not None:
        target = {"$ref": str(reference).replace("#/$defs/", "#/definitions/")}
        return {"allOf": [target], **result} if result else target
    return result
