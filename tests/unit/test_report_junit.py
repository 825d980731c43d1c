"""JUnit XML, read back by a reader that others use."""

from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from runner.model.report import PodOutcome, StepOutcome
from runner.report.junit import to_junit
from tests.unit.report_samples import HOSTILE, pod, report_of, rich_report, step, workload

WEB = workload("web")


def _cases(report: Any) -> dict[tuple[str, str], TestCase]:
    read = JUnitXml.fromstring(to_junit(report).encode())
    return {(suite.name, case.name): case for suite in read for case in suite}


def _how(case: TestCase) -> str:
    return ",".join(type(each).__name__ for each in case.result)


def test_a_suite_for_each_workload_the_worst_first() -> None:
    read = JUnitXml.fromstring(to_junit(rich_report()).encode())

    assert [suite.name for suite in read][:4] == [
        "podmedic", "shop/Deployment/ledger", "shop/Deployment/orders", "infra/StatefulSet/queue",
    ]  # fmt: skip
    assert all(isinstance(suite, TestSuite) for suite in read)


def test_findings_are_failures_and_their_pods_are_not_counted_again() -> None:
    cases = _cases(rich_report())
    ledger = "shop/Deployment/ledger"

    finding = cases[ledger, "crashloop/missing-env, container app"]
    [failure] = finding.result
    assert isinstance(failure, Failure)
    assert failure.type == "critical"
    assert failure.message == "app exits with code 1 because LEDGER_URL is not set."
    assert "kubectl set env deployment/ledger" in failure.text
    assert _how(cases[ledger, "pod ledger-6d9f7c5b9-2xkq8"]) == ""
    timeout = cases["shop/Deployment/orders", "pod orders-75b8d-ccccc"]
    assert [(type(each), each.type) for each in timeout.result] == [(Error, "StartTimeout")]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (StepOutcome.PASSED, None),
        (StepOutcome.FAILED, Failure),
        (StepOutcome.ERROR, Error),
        (StepOutcome.TIMEOUT, Error),
        (StepOutcome.NOT_EVALUATED, Skipped),
    ],
)
def test_what_failed_what_erred_and_what_was_not_asked_stay_apart(
    outcome: StepOutcome, kind: type | None
) -> None:
    made = msgspec.structs.replace(step("look"), outcome=outcome, reason="Why")
    case = _cases(report_of(pod("web-0", WEB, PodOutcome.PASSED, steps=(made,))))[
        "shop/Deployment/web", "pod web-0, step crashloop/look"
    ]
    assert [type(each) for each in case.result] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (PodOutcome.PASSED, None),
        (PodOutcome.FAILED, Failure),
        (PodOutcome.WARNED, Failure),
        (PodOutcome.ERROR, Error),
        (PodOutcome.TIMEOUT, Error),
        (PodOutcome.UNKNOWN, Error),
        (PodOutcome.SKIPPED, Skipped),
    ],
)
def test_so_do_the_outcomes_of_pods(outcome: PodOutcome, kind: type | None) -> None:
    case = _cases(report_of(pod("web-0", WEB, outcome)))["shop/Deployment/web", "pod web-0"]
    assert [type(each) for each in case.result] == ([kind] if kind else [])


def test_the_counts_are_those_of_the_cases() -> None:
    read = JUnitXml.fromstring(to_junit(rich_report()).encode())
    found = Counter(_how(case) for suite in read for case in suite)

    assert (read.tests, read.failures, read.errors) == (
        found.total(), found["Failure"], found["Error"],
    )  # fmt: skip
    assert sum(suite.skipped for suite in read) == found["Skipped"]
    assert found["Failure"] == 4 + 9  # findings, steps with another exit code than 0
    for suite in read:
        assert suite.tests == len(list(suite))


def test_it_has_only_what_the_strictest_schema_knows() -> None:
    """That of Jenkins' xUnit plugin (junit-10.xsd), element by element."""
    counts = {"tests", "failures", "errors", "time"}
    known = {
        "testsuites": {"name", *counts},
        "testsuite": {"name", "skipped", "timestamp", *counts},
        "testcase": {"name", "classname", "time"},
        "failure": {"type", "message"}, "error": {"type", "message"},
        "skipped": {"type", "message"}, "system-out": set(), "system-err": set(),
    }  # fmt: skip
    root = ET.fromstring(to_junit(rich_report()))
    assert {each.tag for each in root.iter()} == set(known)
    for each in root.iter():
        assert set(each.attrib) <= known[each.tag], each.tag


@pytest.mark.parametrize(
    ("how", "said"),
    [({"aborted": "30 % errors"}, "30 % errors"), ({"interrupted": True}, "was interrupted")],
)
def test_a_run_that_was_cut_short_is_never_green(how: dict[str, Any], said: str) -> None:
    report = report_of(pod("web-0", WEB, PodOutcome.PASSED))
    report = msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **how))

    [error] = _cases(report)["podmedic", "run"].result

    assert isinstance(error, Error)
    assert said in error.message


def test_a_run_without_a_pod_is_skipped() -> None:
    assert _how(_cases(report_of())["podmedic", "run"]) == "Skipped"


def test_questions_without_an_answer_are_skipped_cases() -> None:
    case = _cases(rich_report())["not evaluated", "rule events of crashloop"]
    [skipped] = case.result
    assert isinstance(skipped, Skipped)
    assert skipped.message == (
        "forbidden: may not list events in namespace shop; grant it with the shipped Role "
        "(shop/ledger-6d9f7c5b9-2xkq8, shop/orders-75b8d-aaaaa)"
    )


@given(st.text() | st.sampled_from(HOSTILE))
def test_any_text_is_xml(text: str) -> None:
    said = pod(
        "web-0",
        WEB,
        PodOutcome.ERROR,
        message=text,
        reason=text,
        steps=(step("s", text, exit_code=1),),
    )
    assert len(_cases(report_of(said))) == 3


def test_a_long_output_is_cut_at_its_beginning_and_says_so() -> None:
    text = "".join(f"line {number}\n" for number in range(2_000))
    case = _cases(report_of(pod("web-0", WEB, PodOutcome.PASSED, steps=(step("s", text, exit_code=1),))))[
        "shop/Deployment/web", "pod web-0, step crashloop/s"
    ]  # fmt: skip
    head, _, rest = case.system_out.partition("\n")
    assert head == f"({len(text) - 4_000} characters are left out; report.json has them)"
    assert rest == text[-4_000:]
