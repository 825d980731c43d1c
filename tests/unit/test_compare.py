"""Two runs side by side: nothing is called resolved that nobody looked at."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from runner.compare import Comparison, FindingState, RuleChange, compare, fails
from runner.model.report import (
    Confidence,
    Finding,
    NotEvaluated,
    PlaybookRef,
    PodOutcome,
    PodResult,
    Report,
    Severity,
)
from runner.model.subject import Workload
from runner.report import summarize
from tests.unit.report_samples import STARTED, pod, ref, report_of, workload

WEB = workload("web")
F, P, E, S = PodOutcome.FAILED, PodOutcome.PASSED, PodOutcome.ERROR, PodOutcome.SKIPPED
RULES = {"ends": "v1", "other": "v1"}


def finding(rule: str = "ends", pods: Sequence[str] = ("web-0",), **values: Any) -> Finding:
    owner: Workload = values.get("workload", WEB)
    known: dict[str, Any] = {
        "rule": rule, "playbook": "crashloop", "severity": Severity.CRITICAL,
        "confidence": Confidence.CERTAIN, "title": "It ends", "message": f"{rule} in {owner.name}",
        "remediation": "", "workload": owner, "container": "app",
        "pods": tuple(map(ref, pods)), "evidence": (), "fingerprint": f"{owner.name}-{rule}",
    }  # fmt: skip
    return Finding(**known | values)


def run(
    day: int,
    pods: Sequence[PodResult],
    findings: Sequence[Finding] = (),
    questions: Sequence[NotEvaluated] = (),
    **values: Any,
) -> Report:
    report = report_of(*pods)
    began = STARTED + timedelta(days=day)
    playbook = PlaybookRef(name="crashloop", source="built-in", sha256="ab", rules=RULES)
    known = {
        "id": f"run-{day}", "started_at": began, "finished_at": began + timedelta(seconds=9),
        "playbooks": (playbook,), "namespaces": ("shop",),
    }  # fmt: skip
    return msgspec.structs.replace(
        report,
        run=msgspec.structs.replace(report.run, **known | values),
        findings=tuple(findings),
        not_evaluated=tuple(questions),
        summary=summarize(report.pods, findings, questions),
    )


def web(outcome: PodOutcome, number: int = 0, **values: Any) -> PodResult:
    return pod(f"web-{number}", WEB, outcome, **values)


def only(found: Comparison) -> tuple[str, str]:
    [each] = found.findings
    return each.state.value, each.why


ILL = run(0, [web(F)], [finding()])
WELL = run(1, [web(P)])


def test_new_persisting_and_resolved() -> None:
    both = [web(F), web(P, 1)]
    found = compare(
        [run(0, both, [finding("stays"), finding("goes")])],
        run(1, both, [finding("comes"), finding("stays")]),
    )

    said = {each.finding.rule: each.state.value for each in found.findings}
    assert said == {"comes": "new", "stays": "persisting", "goes": "resolved"}
    assert [each.finding.rule for each in found.findings] == ["comes", "stays", "goes"]
    assert found.summary == {
        "new": 1, "not-compared": 0, "rules": 0, "persisting": 1, "resolved": 1, "gone": 0,
        "flapping": 0,
    }  # fmt: skip
    assert fails(found)


@pytest.mark.parametrize("outcome", [E, PodOutcome.TIMEOUT, PodOutcome.UNKNOWN, S])
def test_what_was_not_examined_is_not_resolved(outcome: PodOutcome) -> None:
    after = run(1, [web(outcome, reason="Forbidden", message="may not")])
    assert only(compare([ILL], after)) == (
        "not-compared", "in the new run pod web-0 was not examined: Forbidden: may not",
    )  # fmt: skip


def test_a_pod_that_replicas_stand_for_was_looked_at() -> None:
    sampled = web(S, reason="NotSampled", message="web-1 stands for it")
    assert only(compare([ILL], run(1, [sampled, web(P, 1)])))[0] == "resolved"
    assert only(compare([ILL], run(1, [sampled, web(E, 1)])))[0] == "not-compared"


def test_pods_of_a_rollout_stand_for_those_that_went() -> None:
    assert only(compare([ILL], run(1, [web(P, 7), web(P, 8)])))[0] == "resolved"
    assert only(compare([ILL], run(1, [web(P, 7), web(E, 8)])))[0] == "not-compared"


def test_another_pod_that_was_not_examined_does_not_matter() -> None:
    assert only(compare([ILL], run(1, [web(P), web(E, 1)])))[0] == "resolved"


def question(
    rule: str = "ends", pods: Sequence[str] = ("web-0",), message: str = "no log"
) -> NotEvaluated:
    return NotEvaluated(
        subject=f"rule {rule}", playbook="crashloop", reason="FactMissing", message=message,
        pods=tuple(map(ref, pods)),
    )  # fmt: skip


def test_a_rule_that_was_not_evaluated_resolves_nothing() -> None:
    others = question(pods=["web-9"], message="of another pod")
    assert only(compare([ILL], run(1, [web(P)], (), [others, question()]))) == (
        "not-compared",
        "in the new run rule ends was not evaluated for pod web-0: FactMissing: no log",
    )
    assert only(compare([ILL], run(1, [web(P)], (), [question("other")])))[0] == "resolved"
    assert only(compare([ILL], run(1, [web(P)], (), [question(pods=["web-9"])])))[0] == "resolved"


def test_a_playbook_that_was_not_run_resolves_nothing() -> None:
    other = PlaybookRef(name="dns", source="built-in", sha256="cd")
    after = run(1, [web(P)], playbooks=(other,))
    assert only(compare([ILL], after)) == (
        "not-compared", "in the new run playbook crashloop was not run",
    )  # fmt: skip


def test_a_workload_that_is_not_there_is_gone_not_resolved() -> None:
    found = compare([ILL], run(1, [pod("api-0", workload("api"), P)]))
    assert only(found) == ("gone", "its workload is not in the new run")
    assert not fails(found)


def test_a_finding_that_the_old_run_did_not_look_for_counts_as_news() -> None:
    found = compare([run(0, [web(E, message="refused")])], run(1, [web(F)], [finding()]))
    assert only(found) == (
        "not-compared", "in the old run pod web-0 was not examined: refused",
    )  # fmt: skip
    assert found.findings[0].found
    assert fails(found)


def test_what_only_informs_does_not_fail() -> None:
    found = compare([WELL], run(2, [web(P)], [finding(severity=Severity.INFO)]))
    assert only(found)[0] == "new"
    assert not fails(found)


def test_about_a_workload_without_pods() -> None:
    quota = finding("quota", pods=(), container="")
    before = run(0, [pod("api-0", workload("api"), P)], [quota])
    clear = run(1, [pod("api-0", workload("api"), P)])
    assert only(compare([before], clear))[0] == "resolved"
    elsewhere = run(1, [pod("api-0", workload("api"), P)], namespaces=("other",))
    assert only(compare([before], elsewhere))[0] == "gone"
    unasked = run(1, [pod("api-0", workload("api"), P)], (), [question("quota", ())])
    assert only(compare([before], unasked))[0] == "not-compared"


def test_about_a_service_whose_pods_are_still_there() -> None:
    service = Workload(kind="Service", namespace="shop", name="web")
    before = run(0, [web(P)], [finding("no-endpoint", workload=service)])
    assert only(compare([before], WELL))[0] == "resolved"
    assert only(compare([before], run(1, [web(E)])))[0] == "not-compared"


def _with_rules(report: Report, rules: dict[str, str]) -> Report:
    playbook = PlaybookRef(name="crashloop", source="built-in", sha256=repr(rules), rules=rules)
    return msgspec.structs.replace(
        report, run=msgspec.structs.replace(report.run, playbooks=(playbook,))
    )


def test_what_a_new_rule_says_of_the_old_run_as_well_is_no_news() -> None:
    old, new = _with_rules(run(0, [web(P)]), {"other": "v1"}), run(1, [web(F)], [finding()])

    unknown = compare([old], new)
    assert only(unknown) == ("new", "the rule is new: the cause may have been there")
    assert unknown.findings[0].rule is RuleChange.NEW
    assert fails(unknown)

    known = compare([old], new, rejudged=run(0, [web(F)], [finding()]))
    assert only(known) == ("rules", "the rule is new; the cause was there before")
    assert not fails(known)

    really_new = compare([old], new, rejudged=run(0, [web(P)]))
    assert only(really_new) == ("new", "")


def test_what_a_rule_does_not_say_any_more_is_not_resolved() -> None:
    new = _with_rules(WELL, RULES | {"ends": "v2"})
    assert only(compare([ILL], new))[0] == "resolved"
    assert only(compare([ILL], new, rejudged=run(0, [web(P)]))) == (
        "rules", "the rules of the new run do not say it of the old one either",
    )  # fmt: skip


def test_since_when_and_what_comes_and_goes() -> None:
    ill = [run(day, [web(F)], [finding()]) for day in (0, 2, 3)]
    unseen = run(4, [web(E)])
    found = compare([ill[0], run(1, [web(P)]), *ill[1:], unseen], run(5, [web(F)], [finding()]))

    [each] = found.findings
    assert each.history == ("found", "clear", "found", "found", "not-evaluated", "found")
    assert each.since == ill[1].run.started_at
    assert each.flapping
    assert each.state is FindingState.NOT_COMPARED  # the last run did not look

    steady = compare(ill, run(5, [web(F)], [finding()])).findings[0]
    assert not steady.flapping
    assert steady.since == ill[0].run.started_at


def test_a_workload_that_is_worse_without_a_finding_fails() -> None:
    found = compare([run(0, [web(P)])], run(1, [web(E)]))
    assert [(each.before, each.after, each.worse) for each in found.workloads] == [
        ("healthy", "not examined", True)
    ]
    assert fails(found)
    assert not fails(compare([run(0, [web(E)])], run(1, [web(E)])))
    assert not fails(compare([run(0, [web(E)])], run(1, [web(P)])))


def test_a_finished_job_is_not_worse() -> None:
    job = pod("job-1", workload("job", "Job"), S, reason="Finished")
    assert not fails(compare([run(0, [web(P)])], run(1, [web(P), job])))


def test_pods_come_and_go() -> None:
    found = compare([run(0, [web(P), web(P, 1)])], run(1, [web(P), web(P, 2)]))
    assert ([each.name for each in found.pods_come], [each.name for each in found.pods_gone]) == (
        ["web-2"], ["web-1"],
    )  # fmt: skip


def test_without_an_earlier_run_everything_is_new() -> None:
    found = compare([], ILL)
    assert only(found)[0] == "new"
    assert fails(found)
    assert not fails(compare([], WELL))


def test_runs_that_are_not_the_whole_story_say_so() -> None:
    found = compare([run(0, [web(P)], interrupted=True)], run(1, [web(P)], cluster="staging"))
    assert found.notices == (
        "The runs are of different clusters: prod-eu-1, staging",
        "Old run: The sweep was interrupted: pods that it had not reached are missing here",
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, ("resolved", "")),
        ({"selector": "app=api"}, (
            "not-compared", "in the new run only what has the labels app=api was looked at",
        )),
        ({"objects_meant": False}, (
            "not-compared",
            "in the new run only certain pods were looked at, no workloads and Services",
        )),
    ],
)  # fmt: skip
def test_a_service_that_was_not_meant_is_not_resolved(
    asked: dict[str, Any], said: tuple[str, str]
) -> None:
    service = finding("service-selects-nothing", (), workload=workload("db", kind="Service"))
    before, after = run(0, [web(P)], [service]), run(1, [web(P)], **asked)
    assert only(compare([before], after)) == said


def test_pods_that_were_not_meant_are_not_gone() -> None:
    after = run(1, [pod("api-0", workload("api"), P)], selector="app=api")
    found = compare([ILL], after)
    assert only(found) == (
        "not-compared", "in the new run only what has the labels app=api was looked at",
    )  # fmt: skip
    assert not fails(found)
    assert fails(compare([after], ILL))


def test_the_same_labels_look_at_the_same() -> None:
    of_web = finding("quota-exceeded", ())
    assert only(compare([run(0, [], [of_web])], run(1, [web(P)], selector="app=web"))) == (
        "resolved", "",
    )  # fmt: skip
    of_web = finding("quota-exceeded", (), workload=workload("api"))
    before = run(0, [], [of_web], selector="team=shop")
    assert only(compare([before], run(1, [web(P)], selector="team=shop"))) == ("resolved", "")
