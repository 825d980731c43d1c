"""The reference part of docs/playbooks.md, written from the models that validate.

`python -m runner.playbook.reference` prints it; a test compares it with the page.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner import __version__
from runner.playbook import vocabulary
from runner.playbook.schema import json_schema

PARTS = (
    ("metadata", "Metadata"),
    ("spec", "PlaybookSpec"),
    ("spec.targets", "Targets"),
    ("spec.targets.owners[]", "Owner"),
    ("spec.targets.sample", "Sample"),
    ("spec.debugger", "Debugger"),
    ("spec.debugger.securityContext", "SecurityContext"),
    ("spec.debugger.securityContext.capabilities", "Capabilities"),
    ("spec.debugger.securityContext.seccompProfile", "SecurityProfile"),
    ("spec.debugger.securityContext.seLinuxOptions", "SELinuxOptions"),
    ("spec.debugger.env[]", "Env"),
    ("spec.debugger.env[].valueFrom", "EnvSource"),
    ("spec.debugger.env[].valueFrom.configMapKeyRef", "KeyOf"),
    ("spec.debugger.env[].valueFrom.fieldRef", "FieldOf"),
    ("spec.debugger.env[].valueFrom.resourceFieldRef", "ResourceOf"),
    ("spec.debugger.envFrom[]", "EnvFrom"),
    ("spec.debugger.envFrom[].configMapRef", "ObjectOf"),
    ("spec.debugger.volumeMounts[]", "VolumeMount"),
    ("spec.debugger.volumeDevices[]", "VolumeDevice"),
    ("spec.evidence", "EvidenceSpec"),
    ("spec.evidence.logs", "LogEvidence"),
    ("spec.steps[]", "Step"),
    ("spec.steps[].retry", "Retry"),
    ("spec.steps[].needs", "Needs"),
    ("spec.steps[].parse", "Parse"),
    ("spec.steps[].parse.table", "Table"),
    ("spec.steps[].parse.numbers[]", "Number"),
    ("spec.steps[].collect", "Collect"),
    ("spec.findings[]", "FindingRule"),
    ("spec.findings[].match", "Match"),
    ("spec.findings[].refuted", "Refutation"),
)


def reference() -> str:
    """Markdown: a table for each part of a playbook, then the names that rules may use."""
    return "\n".join([*fields(json_schema(), "Playbook", PARTS), *_facts()])


def fields(schema: Mapping[str, Any], kind: str, parts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Markdown: a table for each of the parts, (path, name in the schema), of a document."""
    yield "## Fields"
    yield ""
    yield f"| field of a {kind.lower()} | |"
    yield "|---|---|"
    yield f"| `apiVersion` | {schema['properties']['apiVersion']['const']} |"
    yield f"| `kind` | {kind} |"
    for path, name in parts:
        part = schema["definitions"][name]
        required = part.get("required", [])
        yield ""
        yield f"### `{path}`"
        yield ""
        yield part["description"]
        yield ""
        yield "| field | values | default | |"
        yield "|---|---|---|---|"
        for field, value in part["properties"].items():
            default = "**required**" if field in required else _default(value)
            words = value.get("description", "")
            yield f"| `{field}` | {values_of(value, schema)} | {default} | {_cell(words)} |"


def _default(value: Mapping[str, Any]) -> str:
    given = value.get("default")
    if given in (None, "", []) or isinstance(given, dict):
        return ""
    words = given if isinstance(given, str) else json.dumps(given)
    return f"`{words.replace(__version__, 'VERSION')}`"


def values_of(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a field may be, in words."""
    if "allOf" in value or "$ref" in value:
        name = str((value.get("allOf") or [value])[0]["$ref"]).rpartition("/")[2]
        inner: Mapping[str, Any] = schema["definitions"][name]
        return values_of(inner, schema)
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if value["type"] == "array":
        return f"list of {values_of(value['items'], schema)}".replace("of see", "see")
    if value["type"] == "integer":
        least, most = value.get("minimum"), value.get("maximum")
        return f"{least} to {most}" if most is not None else f"{least} or more"
    return {"string": "text", "boolean": "`true`, `false`", "object": "see below"}[value["type"]]


def _facts() -> Iterator[str]:
    yield ""
    yield "## Names for conditions and templates"
    yield ""
    yield "A name marked *optional* is absent where it makes no sense: ask `has()` first."
    yield ""
    yield "| name | |"
    yield "|---|---|"
    for name, words in vocabulary.LISTS.items():
        yield f"| `{name}` | {_cell(words)} |"
    for root, members in vocabulary.TABLES.items():
        yield ""
        yield f"### `{root}`"
        yield ""
        yield "| name | |"
        yield "|---|---|"
        for name, words in members.items():
            optional = "*optional*; " if name.endswith("?") else ""
            yield f"| `{name.removesuffix('?')}` | {_cell(optional + words)} |"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    print(reference())
