"""`podmedic validate`: which document a file is, and what only it looks for."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli.main import podmedic


def validated(tmp_path: Path, text: str) -> list[str]:
    """What it says, without the folder."""
    file = tmp_path / "f.yaml"
    file.write_text(text)
    done = CliRunner().invoke(podmedic, ["validate", str(file)], standalone_mode=False)
    return [line.removeprefix(f"{tmp_path}/") for line in done.output.splitlines()]


@pytest.mark.parametrize(
    ("kind", "spec", "lines"),
    [
        ("Policy", "{bounds: {qps: 0}}", ["f.yaml:4:22: spec.bounds.qps: must be at least 1"]),
        (
            "Polcy",
            "{bounds: {qps: 0}}",
            [
                'f.yaml:2:7: kind: must be "Policy", found "Polcy" (did you mean "Policy"?)',
                "f.yaml:4:22: spec.bounds.qps: must be at least 1",
            ],
        ),
        (
            "routes",
            "{}",
            [
                'f.yaml:2:7: kind: must be "Routes", found "routes" (did you mean "Routes"?)',
                "f.yaml:4:1: spec.routes: required field is missing",
            ],
        ),
        ("Deployment", "{}", ['f.yaml:2:7: kind: expected "Playbook", found "Deployment"']),
        ("[Policy]", "1", [
            'f.yaml:2:1: kind: must be "Playbook", found a list',
            "f.yaml:4:7: spec: must be a mapping (field: value), found 1",
        ]),
    ],
)  # fmt: skip
def test_which_document_it_is(tmp_path: Path, kind: str, spec: str, lines: list[str]) -> None:
    text = f"apiVersion: podmedic.io/v1alpha1\nkind: {kind}\nmetadata: {{name: p}}\nspec: {spec}\n"
    assert validated(tmp_path, text) == lines


def test_a_policy_as_json(tmp_path: Path) -> None:
    text = '{"apiVersion":"podmedic.io/v1alpha1","kind":"Policy","metadata":{"name":"x"}}'
    assert validated(tmp_path, text) == ["f.yaml: valid: policy x"]
