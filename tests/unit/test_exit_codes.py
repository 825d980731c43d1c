"""What a report makes of the exit code: docs/exit-codes.md."""

import msgspec
import pytest

from runner.cli.exit_codes import ExitCode, of_report
from runner.cli.main import main
from runner.model.report import PodOutcome as P
from tests.unit.report_samples import pod, report_of, step, without_namespace, workload

WEB = workload("web")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((P.PASSED, P.PASSED), ExitCode.OK),
        ((P.PASSED, P.SKIPPED), ExitCode.OK),
        ((P.SKIPPED, P.SKIPPED), ExitCode.NOTHING_SELECTED),
        ((P.SKIPPED, P.ERROR), ExitCode.FINDINGS),
        ((P.PASSED, P.UNKNOWN), ExitCode.FINDINGS),
        ((), ExitCode.OK),
    ],
)
def test_skipped_pods_are_well_only_beside_one_that_was_examined(
    outcomes: tuple[P, ...], code: ExitCode
) -> None:
    report = report_of(*(pod(f"web-{n}", WEB, outcome) for n, outcome in enumerate(outcomes)))
    assert of_report(report) is code


@pytest.mark.parametrize(
    ("outcome", "allow_empty", "code"),
    [
        (P.PASSED, False, ExitCode.FINDINGS),
        (P.PASSED, True, ExitCode.OK),
        (P.SKIPPED, False, ExitCode.NOTHING_SELECTED),
        (P.ERROR, True, ExitCode.FINDINGS),
    ],
)
def test_a_namespace_that_does_not_exist_is_no_success_unless_allowed_for(
    outcome: P, *, allow_empty: bool, code: ExitCode
) -> None:
    report = without_namespace(report_of(pod("web-0", WEB, outcome)), "nope")
    assert of_report(report, allow_empty=allow_empty) is code


def test_a_command_of_several_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["routes"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 4
        said = capsys.readouterr().err
        assert said.startswith(f"Usage: {' '.join(['podmedic', *words])} [OPTIONS] COMMAND")
        assert "\n\nOptions:\n  " in said


def test_a_link_is_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", "--link", "javascript:alert(1)"])
    assert left.value.code == 4
    assert capsys.readouterr().err == (
        "podmedic: Invalid value for '--link': 'javascript:alert(1)' does not begin with "
        "https:// or http://\n"
    )


def test_that_all_are_skipped_can_be_allowed() -> None:
    assert of_report(report_of(pod("web-0", WEB, P.SKIPPED)), allow_empty=True) is ExitCode.OK


def test_a_pod_that_was_skipped_halfway_could_not_be_examined() -> None:
    begun = pod("web-0", WEB, P.SKIPPED, steps=(step("hello"),), reason="EphemeralBudget")
    assert begun.injections
    assert of_report(report_of(begun, pod("web-1", WEB, P.PASSED))) is ExitCode.FINDINGS


def test_an_aborted_run_has_skipped_what_was_left() -> None:
    report = report_of(pod("web-0", WEB, P.SKIPPED, reason="BreakerOpen"))
    aborted = msgspec.structs.replace(report.run, aborted="the breaker opened")
    assert of_report(msgspec.structs.replace(report, run=aborted)) is ExitCode.ABORTED
