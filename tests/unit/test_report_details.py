"""What an opened workload tells."""

from typing import Any

import msgspec
import pytest

from runner.model.harm import Change, Harm, HarmVerdict, OwnEvent
from runner.model.report import (
    Artifact,
    Attempt,
    Evidence,
    Injection,
    NotEvaluated,
    OutputInfo,
    PodOutcome,
    StepOutcome,
    StepResult,
    StrategyAttempt,
    StrategyOutcome,
)
from runner.report.details import (
    MAX_OUTPUT_CHARACTERS,
    artifact_words,
    attempts,
    detail,
    fix_parts,
    grouped,
    output_limit,
    proof,
    shortened,
)
from runner.report.view import rows
from tests.unit.report_samples import (
    LONG_OUTPUT,
    State,
    pod,
    report_of,
    rich_report,
    step,
    workload,
)


@pytest.mark.parametrize(
    ("remediation", "parts"),
    [
        ("", []),
        ("Set it.", [{"text": "Set it."}]),
        (
            "Set it:\nkubectl set env deploy/a X=1\nand wait.",
            [{"text": "Set it:"}, {"command": "kubectl set env deploy/a X=1"}, {"text": "and wait."}],
        ),
        ("```sh\n$ helm rollback a\n```", [{"command": "helm rollback a"}]),
        ("Run:\n\n    make it\n", [{"text": "Run:"}, {"command": "make it"}]),
        (
            "Look with `kubectl get svc` or `cat x`.",
            [{"text": "Look with `kubectl get svc` or `cat x`."}, {"command": "kubectl get svc"}],
        ),
        ("kubectl delete x\r\x1b[2Krm -rf /", [{"command": "kubectl delete x^M^[[2Krm -rf /"}]),
    ],
)  # fmt: skip
def test_fix_parts(remediation: str, parts: list[dict[str, str]]) -> None:
    assert fix_parts(remediation) == parts


def test_what_was_not_evaluated_for_one_reason_is_told_once() -> None:
    ledger, *_ = rows(rich_report())
    asked = [
        NotEvaluated(subject=subject, playbook="triage", reason=reason, message="", pods=())
        for subject, reason in (
            ("step usage", "A"), ("step load", "A"), ("rule x", "B"), ("step usage", "A"), ("pod", "C"),
        )
    ]  # fmt: skip
    row = msgspec.structs.replace(ledger, not_evaluated=tuple(asked))
    assert [(each["subject"], each["reason"]) for each in detail(row, 1000)["questions"]] == [
        ("steps usage and load", "A"), ("rule x", "B"), ("pod", "C"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, {"text": "short"}),
        ("0123456789", 8, {"text": "012345", "hidden": 2, "tail": "89"}),
        ("a\x00b", 8, {"text": "a^@b"}),
    ],
)
def test_shortened(text: str, limit: int, expected: dict[str, Any]) -> None:
    assert shortened(text, limit) == expected


def test_pods_that_said_the_same_are_told_once() -> None:
    """The same but for their own name, durations and restart counts."""
    owner = workload("web")

    def replica(name: str, restarts: int, output: str = "I am {}\n") -> Any:
        return pod(name, owner, PodOutcome.FAILED, state=State("Error", 1, restarts),
                   steps=(step("say", output.format(name), tries=restarts % 2 + 1),))  # fmt: skip

    pods = [
        replica("web-a", 2),
        replica("web-b", 4),
        replica("web-c", 3),
        replica("web-d", 6, "no"),
    ]

    assert [[item.name for item in group] for group in grouped(pods)] == [
        ["web-a", "web-b"], ["web-c"], ["web-d"],
    ]  # fmt: skip


def harm(verdict: HarmVerdict, *changes: Change) -> Harm:
    return Harm(verdict=verdict, changes=changes)


RESTARTED = Change(what="restarts of container app", before="3", after="4", expected=True)
BACK_OFF = OwnEvent(container="c", reason="BackOff", message="Back-off pulling image", count=2)
ENDED = Change(what="container app", before="running and ready", after="ended", expected=False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "unknown: the pod went away before it could be compared"),
        (harm(HarmVerdict.UNKNOWN), "unknown: the pod went away before it could be compared"),
        (
            harm(HarmVerdict.UNCHANGED),
            "unchanged: the same containers, restart counts, readiness and QoS class as before",
        ),
        (
            harm(HarmVerdict.UNCHANGED, RESTARTED),
            "unchanged: restarts of container app: 3, then 4 (expected)",
        ),
        (
            harm(HarmVerdict.CHANGED, ENDED),
            "changed: container app: running and ready, then ended",
        ),
        (
            Harm(verdict=HarmVerdict.UNCHANGED, changes=(RESTARTED,), events=(BACK_OFF,)),
            (
                "unchanged: restarts of container app: 3, then 4 (expected); "
                "event by us: BackOff x2: Back-off pulling image"
            ),
        ),
    ],
)
def test_the_proof_is_a_sentence(given: Harm | None, words: str) -> None:
    assert proof(given) == words


def test_replicas_that_restarted_at_other_times_are_told_once() -> None:
    one, other = (
        pod("a", workload("web"), PodOutcome.PASSED),
        pod("b", workload("web"), PodOutcome.PASSED),
    )
    one = msgspec.structs.replace(one, harm=harm(HarmVerdict.UNCHANGED))
    other = msgspec.structs.replace(other, harm=harm(HarmVerdict.UNCHANGED, RESTARTED))
    worse = msgspec.structs.replace(
        pod("c", workload("web"), PodOutcome.PASSED), harm=harm(HarmVerdict.CHANGED, ENDED)
    )
    assert [[item.name for item in group] for group in grouped([one, other, worse])] == [
        ["a", "b"], ["c"],
    ]  # fmt: skip


def test_the_ways_considered_stand_beside_the_container_that_was_sent() -> None:
    """In the order they were considered, up to the one that it came from."""
    sent = Injection(container="podmedic-x-1", image="tools:1")
    ways = (
        StrategyAttempt(
            strategy="target", outcome=StrategyOutcome.REFUSED, message="app is not running"
        ),
        StrategyAttempt(strategy="shared", outcome=StrategyOutcome.USED, container="podmedic-x-1"),
    )
    subject = msgspec.structs.replace(
        pod("a", workload("web"), PodOutcome.PASSED), injections=(sent,), strategies=ways
    )
    report = report_of(subject)
    (group,) = detail(rows(report)[0], MAX_OUTPUT_CHARACTERS)["groups"]
    assert group["injections"][0]["before"] == "target refused: app is not running"


def test_a_step_without_attempts_is_its_own_only_attempt() -> None:
    lost = StepResult(
        playbook="p", name="s", outcome=StepOutcome.ERROR, stdout="half", duration_seconds=2
    )
    skipped = StepResult(
        playbook="p", name="s", outcome=StepOutcome.NOT_EVALUATED, reason="tool missing"
    )

    assert attempts(lost) == (
        Attempt(number=1, outcome=StepOutcome.ERROR, exit_code=None, duration_seconds=2, stdout="half"),
    )  # fmt: skip
    assert attempts(skipped) == ()


def test_the_details_of_one_workload() -> None:
    row = next(row for row in rows(rich_report()) if row.workload.name == "orders")

    told = detail(row, 1000)

    assert told["questions"] == [
        {
            "subject": "rule events",
            "playbook": "crashloop",
            "reason": "forbidden",
            "message": "may not list events in namespace shop; grant it with the shipped Role",
        }
    ]
    (finding,) = told["findings"]
    assert finding["pods"] == "2 of 3 pods"
    assert finding["evidence"] == [
        {
            "source": "step resolve, stderr, attempt 3",
            "pod": "shop/orders-75b8d-aaaaa",
            "step": "resolve",
            "text": "nslookup: can't resolve 'db.prod.svc'\n",
        }
    ]
    assert [part.get("command") for part in finding["fix"]] == [
        None,
        "kubectl get service db -n prod",
    ]
    both, silent = told["groups"]
    assert [item["name"] for item in both["pods"]] == ["orders-75b8d-aaaaa", "orders-75b8d-bbbbb"]
    assert both["pods"][0] == {
        "name": "orders-75b8d-aaaaa",
        "namespace": "shop",
        "node": "node-a",
        "uid": "5a1c0f3e-orders-75b8d-aaaaa",
        "phase": "Running",
        "added": "podmedic-aaaaa",
        "control": False,
        "containers": [
            {
                "name": "app",
                "state": "CrashLoopBackOff, exit code 1, not ready",
                "restarts": 14,
                "word": "ended",
                "time": "2026-11-23T03:09:40+00:00",
            }
        ],
    }
    assert [item["seconds"] for item in both["steps"][1]["attempts"]] == [0.12, 0.24, 0.36]
    assert both["steps"][1]["attempts"][2] == {
        "number": 3,
        "outcome": "failed",
        "exitCode": 1,
        "seconds": 0.36,
        "stdout": {"text": ""},
        "stderr": {"text": "nslookup: can't resolve 'db.prod.svc'\n"},
    }
    assert both["injections"][0]["warnings"] == []
    assert (silent["outcome"], silent["steps"], silent["injections"]) == ("timeout", [], [])


def test_outputs_say_what_of_them_is_missing() -> None:
    tried = Attempt(
        number=1, outcome=StepOutcome.PASSED, exit_code=0, duration_seconds=1, stdout=LONG_OUTPUT,
        stdout_info=OutputInfo(bytes=900_000, kept_bytes=100_000, truncated=True, redactions=2, blob="outputs/a"),
    )  # fmt: skip
    long = StepResult(playbook="p", name="s", outcome=StepOutcome.PASSED, attempts=(tried,))
    report = report_of(pod("a-0", workload("a"), PodOutcome.PASSED, steps=(long,)))

    shown = detail(rows(report)[0], 4000)["groups"][0]["steps"][0]["attempts"][0]["stdout"]

    assert shown == {
        "text": LONG_OUTPUT[:3000],
        "hidden": len(LONG_OUTPUT) - 4000,
        "tail": LONG_OUTPUT[-1000:],
        "lost": 800_000,
        "redactions": 2,
        "blob": "outputs/a",
    }


def test_a_page_of_many_long_outputs_keeps_less_of_each() -> None:
    long = tuple(step(f"s{number}", "x" * 100_000) for number in range(10))
    few = [pod("a-0", workload("a"), PodOutcome.PASSED, steps=long)]

    assert output_limit([]) == MAX_OUTPUT_CHARACTERS
    assert output_limit(few) == MAX_OUTPUT_CHARACTERS
    assert output_limit(few * 200) == 16_000
    assert output_limit(few * 20_000) == 2_000


def test_evidence_that_says_the_same_is_told_once() -> None:
    (first, *_) = rich_report().findings
    said = (
        Evidence(source="event Unhealthy x22", excerpt="refused", pod="a"),
        Evidence(source="event Unhealthy x23", excerpt="refused", pod="a"),
        Evidence(source="event Unhealthy x23", excerpt="refused", pod="b"),
    )
    finding = msgspec.structs.replace(first, evidence=said)
    report = msgspec.structs.replace(rich_report(), findings=(finding,))

    told = detail(rows(report)[0], 1000)["findings"][0]["evidence"]

    assert [(item["source"], item["pod"]) for item in told] == [
        ("event Unhealthy x22, event Unhealthy x23", "a"),
        ("event Unhealthy x23", "b"),
    ]


@pytest.mark.parametrize(
    ("artifact", "words"),
    [
        (None, ""),
        (
            Artifact(path="artifacts/shop/web-0/p.s.tar", bytes=512, sha256="ab"),
            (
                "collected artifacts/shop/web-0/p.s.tar (512 bytes, sha256 ab), as it came and not "
                "redacted"
            ),
        ),
        (
            Artifact(reason="TooLarge", message="more than 5 bytes"),
            "nothing was collected: TooLarge: more than 5 bytes",
        ),
        (
            Artifact(
                path="a.tar", bytes=1, sha256="ab", reason="Incomplete", message="tar: \x1b[2J"
            ),
            (
                "collected a.tar (1 bytes, sha256 ab), as it came and not redacted; Incomplete: tar: "
                "^[[2J"
            ),
        ),
    ],
)
def test_what_became_of_collected_files(artifact: Artifact | None, words: str) -> None:
    step = StepResult(
        playbook="p", name="s", outcome=StepOutcome.PASSED, exit_code=0, artifact=artifact
    )
    assert artifact_words(step) == words
