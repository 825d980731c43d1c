"""What lies in deploy/ and is made of something else is as it would be made now."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lab.deploy import CHART, SWEPT_BY_DEFAULT, chart_files

SCHEMA = json.loads((CHART / "values.schema.json").read_bytes())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
FILES = sorted(path.name for path in (CHART / "files").iterdir())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@cache
def made() -> dict[str, str]:
    return chart_files()


@pytest.mark.parametrize("name", FILES)
def test_the_charts_files_are_those_of_our_compilers(name: str) -> None:
    written = (CHART / "files" / name).read_text()
    assert written == made()[name], "python -m lab.deploy makes it anew"


def test_no_file_is_missing_or_left_over() -> None:
    assert set(FILES) == set(made())


def test_permissions_are_for_what_is_swept_by_default() -> None:
    [sweep] = VALUES["sweeps"]
    assert tuple(sweep["playbooks"]) == SWEPT_BY_DEFAULT


def test_the_values_are_what_the_schema_says_and_no_value_is_without_one() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(VALUES)] == []
    assert SCHEMA["properties"].keys() - VALUES.keys() == {"global"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("image", "digest"), "4f1c"),
        (("image", "pullPolicy"), "Sometimes"),
        (("sweeps",), [{"name": "a", "schedule": "at night", "playbooks": ["triage"]}]),
        (("sweeps",), [{"name": "a", "schedule": "@daily", "playbooks": []}]),
        (("sweeps",), [{"name": "A_", "schedule": "@daily", "playbooks": ["triage"]}]),
        (("sweeps",), [{"name": "a", "schedule": "@daily", "playbooks": ["--shell"]}]),
        (("sweeps",), [{"name": "a", "schedule": "@daily", "playbooks": ["x"], "arguments": []}]),
        (("namespaces",), ["Shop"]),
        (("namespaces",), "shop"),
        (("metrics", "pushgateway"), "http://user:password@host"),
        (("serve", "replicas"), 0),
        (("serve", "enabled"), "yes"),
        (("policy",), "images: {allow: []}"),
        (("reports", "persistence", "size"), "much"),
        (("servce",), {}),
    ],
)
def test_mistakes_are_refused_before_anything_is_installed(
    path: tuple[str, ...], value: object
) -> None:
    values = json.loads(json.dumps(VALUES))
    inner = values
    for word in path[:-1]:
        inner = inner[word]
    inner[path[-1]] = value

    assert list(VALIDATOR.iter_errors(values))


def test_every_component_says_its_kind() -> None:
    folder = Path(CHART).parents[1] / "kustomize"
    kinds = {
        path.parent.name: yaml.safe_load(path.read_text())["kind"]
        for path in folder.glob("*/kustomization.yaml")
    }
    assert kinds == {
        "base": "Kustomization", "serve": "Component", "monitoring": "Component",
        "admission": "Component",
    }  # fmt: skip
