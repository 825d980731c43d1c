"""What pods and findings mean for a workload, and how it is said."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.report import (
    Evidence,
    Injection,
    NotEvaluated,
    PodOutcome,
    PodResult,
    Report,
    Severity,
    Summary,
)
from runner.model.subject import PodRef
from runner.report import Verdict, summarize, verdicts
from runner.report.summary import added, verdict
from runner.report.view import Tone, headline, notices, rows, shown_by, tone, unanswered
from tests.unit.report_samples import (
    pod,
    ref,
    report_of,
    rich_report,
    without_namespace,
    workload,
)

P = PodOutcome


@pytest.mark.parametrize(
    ("outcomes", "severities", "expected"),
    [
        ({P.PASSED}, set(), Verdict.HEALTHY),
        ({P.PASSED, P.SKIPPED}, set(), Verdict.HEALTHY),
        ({P.PASSED}, {Severity.INFO}, Verdict.HEALTHY),
        ({P.WARNED}, {Severity.INFO}, Verdict.HEALTHY),
        ({P.WARNED}, {Severity.WARNING}, Verdict.SUSPICIOUS),
        ({P.WARNED}, set(), Verdict.SUSPICIOUS),
        ({P.WARNED, P.ERROR}, {Severity.WARNING}, Verdict.SUSPICIOUS),
        ({P.FAILED, P.ERROR}, {Severity.CRITICAL}, Verdict.BROKEN),
        ({P.PASSED}, {Severity.CRITICAL, Severity.WARNING}, Verdict.BROKEN),
        ({P.FAILED}, set(), Verdict.BROKEN),
        ({P.PASSED, P.ERROR}, set(), Verdict.NOT_EXAMINED),
        ({P.PASSED, P.TIMEOUT}, {Severity.INFO}, Verdict.NOT_EXAMINED),
        ({P.UNKNOWN}, set(), Verdict.NOT_EXAMINED),
        ({P.SKIPPED}, set(), Verdict.NOT_EXAMINED),
        (set(), {Severity.INFO}, Verdict.NOT_EXAMINED),
    ],
)
def test_verdict(outcomes: set[P], severities: set[Severity], expected: Verdict) -> None:
    assert verdict(outcomes, severities) == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(P)), max_size=30))
def test_a_workload_with_an_unexamined_pod_is_never_healthy(pairs: list[tuple[int, P]]) -> None:
    pods = [
        pod(f"p-{number}", workload(f"w-{owner}"), outcome)
        for number, (owner, outcome) in enumerate(pairs)
    ]
    summary = summarize(pods, (), ())

    for owner, said in verdicts(pods, (), ()).items():
        ended = {item.outcome for item in pods if item.workload == owner}
        if ended & {P.ERROR, P.TIMEOUT, P.UNKNOWN} or ended == {P.SKIPPED}:
            assert said is not Verdict.HEALTHY
    assert sum(summary.outcomes.values()) == summary.pods == len(pods)
    counted = (
        summary.workloads_broken
        + summary.workloads_suspicious
        + summary.workloads_healthy
        + summary.workloads_not_examined
    )
    assert counted == len({item.workload for item in pods})


def test_the_summary_of_a_rich_report() -> None:
    assert rich_report().summary == Summary(
        pods=18,
        outcomes={
            "passed": 4,
            "warned": 2,
            "failed": 8,
            "error": 2,
            "timeout": 1,
            "skipped": 1,
            "unknown": 0,
        },
        workloads_broken=2,
        workloads_suspicious=2,
        workloads_healthy=4,
        workloads_not_examined=2,
        steps={"passed": 14, "failed": 9, "timeout": 0, "error": 0, "not-evaluated": 0},
        not_evaluated=2,
        ephemeral_containers=14,
        rules={"evaluated": 38, "not-evaluated": 2},
    )


def _injected(pod_name: str, *injections: Injection) -> PodResult:
    examined = pod(pod_name, workload("web"), P.PASSED)
    return msgspec.structs.replace(examined, injections=injections)


@pytest.mark.parametrize(
    ("injections", "names"),
    [
        ((), ()),
        ((Injection(container="a", image="i"), Injection(container="b", image="i")), ("a", "b")),
        # Found by a run that was resumed: this run had sent it.
        ((Injection(container="a", image="i", reused=True),), ("a",)),
        ((Injection(container="a", image="i", reused=True, transport="exec"),), ()),
        ((Injection(container="a", image="i", transport="exec"),), ("a",)),
        ((Injection(container="a", image="i", strategy="copy"),), ()),
    ],
)
def test_what_was_added_to_a_pod(injections: tuple[Injection, ...], names: tuple[str, ...]) -> None:
    examined = _injected("web-0", *injections)
    assert added(examined) == names
    assert summarize((examined,), (), ()).ephemeral_containers == len(names)


def test_a_pod_that_is_named_as_not_evaluated_makes_its_workload_not_examined() -> None:
    pods = [pod("a-0", workload("a"), P.PASSED)]
    question = NotEvaluated(
        subject="pod", playbook="", reason="aborted", message="", pods=(ref("a-0"),)
    )

    assert summarize(pods, (), (question,)).workloads_not_examined == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            (3, 1, 12, 2, 0),
            "3 workloads broken, 1 suspicious, 12 healthy, 2 not examined",
        ),
        ((1, 0, 0, 0, 0), "1 workload broken"),
        ((0, 0, 5, 0, 0), "5 workloads healthy"),
        ((0, 0, 5, 0, 1), "5 workloads healthy, 1 question without an answer"),
        ((0, 0, 0, 2, 3), "2 workloads not examined"),
        ((0, 0, 0, 0, 0), "Nothing was examined: no pod was selected"),
    ],
)
def test_headline(counts: tuple[int, int, int, int, int], expected: str) -> None:
    broken, suspicious, healthy, not_examined, questions = counts
    summary = Summary(
        pods=9,
        outcomes={},
        workloads_broken=broken,
        workloads_suspicious=suspicious,
        workloads_healthy=healthy,
        workloads_not_examined=not_examined,
        steps={},
        not_evaluated=questions,
    )

    assert headline(summary) == expected


def _with_run(report: Report, **values: object) -> Report:
    return msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **values))


def test_good_is_said_only_when_everything_was_examined_and_answered() -> None:
    good = report_of(pod("a-0", workload("a"), P.PASSED))
    open_question = msgspec.structs.replace(
        good, summary=msgspec.structs.replace(good.summary, not_evaluated=1)
    )

    assert tone(good) is Tone.GOOD
    assert tone(open_question) is Tone.UNSURE
    assert tone(_with_run(good, interrupted=True)) is Tone.UNSURE
    assert tone(_with_run(good, aborted="error rate 30 %")) is Tone.UNSURE
    assert tone(report_of()) is Tone.UNSURE
    for outcome in (P.ERROR, P.TIMEOUT, P.UNKNOWN, P.SKIPPED):
        assert tone(report_of(pod("a-0", workload("a"), outcome))) is Tone.UNSURE


def test_notices_say_why_a_report_is_not_the_whole_story() -> None:
    report = _with_run(rich_report(), aborted="30 % errors", interrupted=True, resumed=True)

    assert notices(rich_report()) == ()
    assert notices(report) == (
        "The sweep was aborted: 30 % errors",
        "The sweep was interrupted: pods that it had not reached are missing here",
        "The sweep was resumed: some results come from an earlier start of this run",
    )


def test_a_namespace_that_does_not_exist_is_a_notice_and_keeps_the_report_from_being_good() -> None:
    report = without_namespace(report_of(pod("a-0", workload("a"), P.PASSED)), "nope")

    assert notices(report) == ("Namespace nope does not exist: nothing was examined there",)
    assert headline(report.summary) == "1 workload healthy, 1 question without an answer"
    assert tone(report) is Tone.UNSURE
    assert unanswered(report) == ()


def test_rows_are_worst_first_and_in_order_of_rank() -> None:
    said = [
        (f"{row.workload.kind}/{row.workload.name}", row.verdict.value, row.pods, row.restarts)
        for row in rows(rich_report())
    ]

    assert said == [
        ("Deployment/ledger", "broken", "6 of 6 pods", 84),
        ("Deployment/orders", "broken", "2 of 3 pods, 1 not examined", 28),
        ("StatefulSet/queue", "suspicious", "1 of 1 pod", 0),
        ("Deployment/<img src=x onerror=alert(1)>", "suspicious", "1 of 1 pod", 2),
        ("Deployment/cart", "not examined", "2 of 2 pods", 0),
        ("Deployment/sampled", "not examined", "1 of 1 pod", 0),
        ("StatefulSet/etcd", "healthy", "1 pod", 0),
        ("StatefulSet/kafka", "healthy", "1 pod", 0),
        ("StatefulSet/redis", "healthy", "1 pod", 0),
        ("StatefulSet/web", "healthy", "1 pod", 0),
    ]


def test_a_row_without_a_finding_says_in_a_sentence_what_happened() -> None:
    owner = workload("a")
    cases = {
        P.ERROR: "Could not be examined: Forbidden: no (and 1 other reason)",
        P.TIMEOUT: "Did not answer before the deadline: Forbidden: no (and 1 other reason)",
        P.UNKNOWN: "Was examined, but the result is lost or incomplete: Forbidden: no (and 1 other reason)",
        P.SKIPPED: "Was skipped: Forbidden: no (and 1 other reason)",
        P.FAILED: "Forbidden: no (and 1 other reason)",
        P.PASSED: "Nothing was found",
    }
    for outcome, expected in cases.items():
        reasons = itertools.chain(["Forbidden"] * 2, ["Gone"])
        pods = [
            pod(f"a-{number}", owner, outcome, reason=reason, message="no")
            for number, reason in enumerate(reasons)
        ]

        assert [row.cause for row in rows(report_of(*pods))] == [expected]


def test_a_row_whose_pods_were_left_in_different_ways_counts_those_it_speaks_of() -> None:
    owner = workload("a")
    ended = (P.UNKNOWN, P.SKIPPED, P.SKIPPED)
    pods = [
        pod(f"a-{number}", owner, outcome, message="the run was interrupted")
        for number, outcome in enumerate(ended)
    ]

    assert [row.cause for row in rows(report_of(*pods))] == [
        "Was examined, but the result is lost or incomplete (1 of 3): the run was interrupted"
    ]


def test_the_same_of_many_containers_is_told_once() -> None:
    owner = workload("a")
    pods = [
        msgspec.structs.replace(pod(f"a-{name}", owner, P.FAILED), target_container=name)
        for name in ("api", "web")
    ]
    questions = tuple(
        NotEvaluated(
            subject=f"step {step}", playbook="triage", reason="TargetNotRunning",
            message=f"container {one.target_container} is not running",
            pods=(PodRef(namespace=one.namespace, name=one.name),),
        )
        for step in ("load", "memory", "processes", "sockets", "usage")
        for one in pods
    )  # fmt: skip
    report = msgspec.structs.replace(report_of(*pods), not_evaluated=questions)
    assert [(each.what, each.why, each.pods) for each in unanswered(report)] == [
        (
            "steps load, memory, processes and 2 others of triage",
            "TargetNotRunning: the container is not running",
            2,
        )
    ]


def test_what_stopped_the_sweep_is_told_alike_of_all_pods() -> None:
    """It names the container of another pod, which may be called like theirs."""
    owner = workload("a")
    pods = [
        msgspec.structs.replace(pod(f"a-{name}", owner, P.FAILED), target_container=name)
        for name in ("api", "web")
    ]
    stopped = "shop/b-0 changed while it was examined: container api was running, now ended"
    questions = tuple(
        NotEvaluated(
            subject="step disk", playbook="triage", reason="BreakerOpen", message=stopped,
            pods=(PodRef(namespace=one.namespace, name=one.name),),
        )
        for one in pods
    )  # fmt: skip
    report = msgspec.structs.replace(report_of(*pods), not_evaluated=questions)
    assert [(each.what, each.why, each.pods) for each in unanswered(report)] == [
        ("step disk of triage", f"BreakerOpen: {stopped}", 2)
    ]


def test_pods_at_the_cap_are_told_once_and_before_what_follows() -> None:
    """Each of them carries another number of bytes."""
    pods = [pod(f"a-{number}", workload("a"), P.FAILED) for number in range(2)]
    full = "the pod carries 7 ephemeral containers (about {} bytes), the cap is 100000 bytes; "
    full += "they leave it only with the pod: kubectl delete pod a-{} -n shop"
    questions = tuple(
        NotEvaluated(
            subject=subject, playbook="triage", reason=reason, message=message.format(number, number),
            pods=(PodRef(namespace=one.namespace, name=one.name),),
        )
        for number, one in enumerate(pods)
        for subject, reason, message in (
            ("rule full", "FactMissing", f"steps.disk: {full}"), ("step disk", "EphemeralBudget", full),
        )
    )  # fmt: skip
    report = msgspec.structs.replace(report_of(*pods), not_evaluated=questions)
    folded = "the pod carries too many ephemeral containers, the cap is 100000 bytes; "
    folded += "they leave it only with the pod (see `podmedic containers`)"
    assert [(each.what, each.why, each.pods) for each in unanswered(report)] == [
        ("step disk of triage", f"EphemeralBudget: {folded}", 2),
        ("rule full of triage", f"FactMissing: steps.disk: {folded}", 2),
    ]


def test_unanswered_folds_what_shares_a_reason() -> None:
    said = [(item.what, item.why, item.pods, item.example) for item in unanswered(rich_report())]

    assert said == [
        (
            "pod could not be examined",
            "Forbidden: may not patch pods/ephemeralcontainers in namespace shop",
            2,
            "shop/cart-5c0",
        ),
        (
            "rule events of crashloop",
            "forbidden: may not list events in namespace shop; grant it with the shipped Role",
            2,
            "shop/ledger-6d9f7c5b9-2xkq8",
        ),
        (
            "pod did not answer before the deadline",
            "StartTimeout: the ephemeral container did not start within 60 s",
            1,
            "shop/orders-75b8d-ccccc",
        ),
        ("pod was skipped", "Sampled: two other replicas were examined", 1, "shop/sampled-1"),
        ("step capture of triage", "tool missing: the image has no tcpdump", 1, "infra/queue-0"),
    ]


_REFUSED, _404 = "Probe failed: connection refused", "Probe failed: HTTP statuscode: 404"


@pytest.mark.parametrize(
    ("evidence", "message", "expected"),
    [
        ([("log", "")], "x", ("", "")),
        ([("log", "starting\n\nfatal: LEDGER_URL is not set\nbye\n")], "exits: LEDGER_URL is not set.", ("log", "fatal: LEDGER_URL is not set")),
        ([("log", "starting\nno config\n  bye  \n")], "Something else.", ("log", "bye")),
        ([("log", "lookup db.prod: no such host\nretrying db.prod")], "the host db.prod does not resolve", ("log", "lookup db.prod: no such host")),
        # of several events the one that the sentence is about, of other kinds the first
        ([("event Unhealthy x2", _REFUSED), ("event Unhealthy x6", _404)], "its probe fails: HTTP statuscode: 404", ("event Unhealthy x6", _404)),
        ([("event Unhealthy", _REFUSED), ("log of container web", _404)], "its probe fails: HTTP statuscode: 404", ("event Unhealthy", _REFUSED)),
    ],
)  # fmt: skip
def test_what_shows_it(
    evidence: list[tuple[str, str]], message: str, expected: tuple[str, str]
) -> None:
    (first, *_) = rich_report().findings
    items = tuple(Evidence(source=s, excerpt=e, pod="web-1") for s, e in evidence)
    found, line = shown_by(msgspec.structs.replace(first, evidence=items, message=message))
    assert (found.source if found else "", line) == expected


def test_a_healthy_workload_tells_what_only_informs() -> None:
    (first, *_) = rich_report().findings
    info = msgspec.structs.replace(
        first, severity=Severity.INFO, workload=workload("a"), message="It is old.", pods=(ref("a-0"),)
    )  # fmt: skip
    healthy = report_of(pod("a-0", workload("a"), P.PASSED))
    lost = report_of(pod("a-0", workload("a"), P.UNKNOWN))

    def said(report: Report) -> list[tuple[str, str, str]]:
        told = rows(msgspec.structs.replace(report, findings=(info,)))
        return [(row.verdict.value, row.cause, row.pods) for row in told]

    assert said(healthy) == [("healthy", "It is old.", "1 pod")]
    assert said(lost) == [
        ("not examined", "Was examined, but the result is lost or incomplete", "1 of 1 pod")
    ]
