"""An ill pod beside a healthy one of the same workload. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runner.playbook.conditions import Facts

_MAX_CHARACTERS = 500


def compared(ill: Mapping[str, Any], well: Facts, unknown: dict[str, str]) -> dict[str, Any]:
    """What the ill pod's rules see of the healthy one; what is unknown of that is added to
    `unknown`."""
    values = well.values
    for name, why in well.unknown.items():
        if name.partition(".")[0] in ("steps", "container"):
            unknown[f"control.{name}"] = why
    return {
        "pod": values["pod"]["name"],
        "node": values["pod"]["node"],
        "container": values["container"],
        "steps": values["steps"],
        "differs": list(_differs(ill["steps"], values["steps"])),
    }


def _differs(
    ill: Mapping[str, Mapping[str, Any]], well: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, str]]:
    """Of the steps that both answered: another exit code, else something else in what was parsed.
    Bare outputs always differ: they name the pod."""
    for name, one in ill.items():
        other = well.get(name, {})
        for what in ("exitCode", "parsed"):
            if what in one and what in other and one[what] != other[what]:
                yield {
                    "step": name,
                    "what": what,
                    "ill": _text(one[what]),
                    "well": _text(other[what]),
                }
                break


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
