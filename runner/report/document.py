"""`report.json`: the canonical form of a report, and its JSON Schema."""

import re
from typing import Any

import msgspec

from runner.late import late
from runner.model.report import Report

SCHEMA_ID = "https://podmedic.io/schema/report-v1alpha1.json"

# UTF-8 of DEL, C1 and what reorders or hides text (see plain.py), and of surrogates not: those
# cannot be encoded. People print this file to terminals; `\u202e` means the same to a reader of
# JSON. C0 is escaped by the encoder.
_DANGEROUS = re.compile(
    rb"\x7f|\xc2[\x80-\x9f\xad]|\xd8\x9c|\xe2\x80[\x8b\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xa9]"
    rb"|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xf3\xa0[\x80-\xbf][\x80-\xbf]"
)
_DESCRIPTIONS = {
    "Attempt": "One try of a step: `exitCode` is null when there was none to be had.",
    "Confidence": "How sure a finding is of its cause.",
    "PodRef": "A pod by name.",
    "Report": "What one sweep saw. `findings` are in order of rank, the worst first.",
    "Run": "When, where and with what. `aborted` says why the sweep stopped early, or is empty.",
    "Severity": "How bad a finding is: one that is `critical` makes its workload broken.",
    "Summary": "Counts; a workload is healthy only if it was examined and nothing was found.",
}
_SURROGATE = late("[\ud800-\udfff]")


class ReportError(Exception):
    """What was read is not a report of a version that this podmedic knows."""


def to_json(report: Report) -> bytes:
    """One line for every reader of lines, UTF-8, keys in the order of the model; the same report
    gives the same bytes. Code points that no UTF-8 can hold are replaced."""
    return line_of(report)


def line_of(value: msgspec.Struct, *, indent: int = -1) -> bytes:
    """The same for any value of ours; indented for people with `indent` blanks."""
    raw = encode(value)
    formatted = raw if indent < 0 else msgspec.json.format(raw, indent=indent)
    return _DANGEROUS.sub(_escaped, formatted) + b"\n"


def encode(value: msgspec.Struct) -> bytes:
    """JSON, with code points that no UTF-8 can hold replaced."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(value)))


def from_json(raw: bytes) -> Report:
    """Raises ReportError with one line when `raw` is not a report."""
    try:
        report = msgspec.json.decode(raw, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"not a report of podmedic: {error}") from error
    if report.kind != "Report" or not report.api_version.startswith("podmedic.io/"):
        found = f"{report.api_version} {report.kind}"
        raise ReportError(f"not a report of podmedic: it says {found!r}")
    return report


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `report.json`. Unknown keys are allowed: later versions add some."""
    schema = msgspec.json.schema(Report)
    for name, definition in schema["$defs"].items():
        description = definition.get("description", _DESCRIPTIONS.get(name, ""))
        definition["description"] = " ".join(description.split())
        if "properties" in definition:
            _publish(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "podmedic report",
        "description": "What one sweep saw: every selected pod ends in exactly one outcome.",
        **schema,
    }


def _publish(definition: dict[str, Any]) -> None:
    # Records write every key, so readers may rely on all of them.
    definition["required"] = list(definition["properties"])
    for name, member in definition["properties"].items():
        member.pop("default", None)
        for kind in (member, *member.get("anyOf", ())):
            if name.endswith("At") and kind.get("type") == "string":
                kind["format"] = "date-time"


def _escaped(match: re.Match[bytes]) -> bytes:
    code = ord(match.group().decode())
    if code > 0xFFFF:
        high, low = divmod(code - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}".encode()
    return f"\\u{code:04x}".encode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value
