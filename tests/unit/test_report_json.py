"""report.json: canonical bytes, a schema that holds, and nothing that harms a terminal."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.report import PodOutcome
from runner.report import ReportError, from_json, json_schema, to_json
from runner.report.plain import is_terminal_safe
from tests.unit.report_samples import HOSTILE, pod, report_of, rich_report, step, workload


def _with_stdout(text: str) -> Any:
    return report_of(pod("a-0", workload("a"), PodOutcome.PASSED, steps=(step("s", text),)))


def test_what_is_written_reads_back_as_it_was() -> None:
    report = rich_report()

    raw = to_json(report)

    assert from_json(raw) == report
    assert to_json(from_json(raw)) == raw
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1


@given(st.text() | st.sampled_from(HOSTILE))
def test_any_output_round_trips_and_is_safe_to_print(text: str) -> None:
    report = _with_stdout(text)

    raw = to_json(report)

    assert from_json(raw) == report
    assert is_terminal_safe(raw.decode())


def test_code_points_that_utf8_cannot_hold_are_replaced() -> None:
    said = from_json(to_json(_with_stdout("half \ud83d pair")))

    assert said.pods[0].steps[0].stdout == "half \ufffd pair"


def test_the_keys_that_others_rely_on() -> None:
    report = json.loads(to_json(rich_report()))

    assert list(report) == [
        "apiVersion", "kind", "run", "summary", "pods", "findings", "notEvaluated", "changes",
        "configurationChanges", "ruledOut",
    ]  # fmt: skip
    assert report["apiVersion"] == "podmedic.io/v1alpha1"
    assert report["kind"] == "Report"
    assert {"id", "startedAt", "finishedAt", "playbooks"} <= report["run"].keys()
    assert report["run"]["startedAt"] == "2026-11-23T03:12:40Z"
    first = report["pods"][0]
    assert first["workload"] == {"kind": "Deployment", "namespace": "shop", "name": "ledger"}
    assert {"namespace", "name", "uid", "node", "outcome", "reason", "container", "strategy"} <= (
        first.keys()
    )
    assert {"name", "outcome", "exitCode", "attempts", "durationSeconds", "stdout", "stderr"} <= (
        first["steps"][0].keys()
    )
    assert list(report["findings"][0]) == [
        "rule", "playbook", "severity", "confidence", "title", "message", "remediation",
        "workload", "container", "pods", "evidence", "fingerprint", "ruleVersion",
        "rulePlace",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a report of podmedic: Input data was truncated"),
        (b"[]", "not a report of podmedic: Expected `object`, got `array`"),
        (b'{"kind": 1}', "not a report of podmedic: Expected `str`, got `int` - at `$.kind`"),
        (b"\xff", "not a report of podmedic: JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(raw: bytes, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        from_json(raw)

    assert str(caught.value) == message


def test_a_report_of_somebody_else_is_refused() -> None:
    raw = to_json(rich_report()).replace(b"podmedic.io/v1alpha1", b"other.io/v1")

    with pytest.raises(ReportError, match=r"it says 'other\.io/v1 Report'"):
        from_json(raw)


def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker())


def test_the_schema_accepts_what_we_write() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for report in (rich_report(), report_of()):
        assert list(_validator().iter_errors(json.loads(to_json(report)))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pods", 0, "outcome"), "fine"),
        (("pods", 0, "steps", 0, "exitCode"), "0"),
        (("findings", 0, "severity"), "high"),
        (("run", "startedAt"), 12),
        (("summary", "outcomes"), []),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[Any, ...], value: Any) -> None:
    report = json.loads(to_json(rich_report()))
    place = report
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    assert [list(error.absolute_path) for error in _validator().iter_errors(report)] == [list(path)]


def test_the_schema_misses_no_key() -> None:
    """Records write every key, so each of them is required and known."""
    report = json.loads(to_json(rich_report()))
    del report["pods"][0]["node"]
    schema = json_schema()

    assert [error.message for error in _validator().iter_errors(report)] == [
        "'node' is a required property"
    ]
    assert schema["$id"] == "https://podmedic.io/schema/report-v1alpha1.json"
    assert [name for name, item in schema["$defs"].items() if not item["description"]] == []


def test_unknown_keys_of_a_later_version_are_ignored() -> None:
    raw = json.loads(to_json(rich_report()))
    raw["later"] = raw["run"]["later"] = True

    assert from_json(msgspec.json.encode(raw)) == rich_report()
