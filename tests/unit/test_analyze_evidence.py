"""The lines that make a finding believable, and how sure a borrowed log makes it."""

from runner.analyze import judge
from runner.playbook import load, resolve
from tests.unit.examinations import (
    crashloop_steps,
    event,
    examination,
    exited,
    findings_of,
    running,
    waiting,
)

CRASHLOOP = resolve("crashloop")


def test_evidence_is_short_and_shows_the_decisive_line() -> None:
    noise = "".join(f"line {i} {'x' * 300}\n" for i in range(50))
    log = f"{noise}KeyError: 'LEDGER_URL'\n" + "".join(f"after {i}\n" for i in range(12))
    (finding,) = findings_of(CRASHLOOP, examination(log=log, steps=crashloop_steps()))
    (evidence,) = finding.evidence
    assert (evidence.source, evidence.pod) == ("log of container app", "web-5d9c7-abcde")
    lines = evidence.excerpt.splitlines()
    assert "KeyError: 'LEDGER_URL'" in lines
    assert len(lines) <= 10
    assert len(evidence.excerpt.encode()) <= 2048


def test_the_decisive_line_is_shown_however_long_the_lines_after_it() -> None:
    frames = "".join(f"    at {'f' * 400} (app.js:{i})\n" for i in range(8))
    log = f"LEDGER_URL is not set\n{frames}"
    (finding,) = findings_of(CRASHLOOP, examination(log=log, steps=crashloop_steps()))
    assert finding.evidence[0].excerpt == "LEDGER_URL is not set"


def test_the_text_with_the_match_is_the_first_evidence() -> None:
    """Also when the rule does not list it."""
    rules = load(
        """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: p}
spec:
  findings:
  - id: a
    match: {in: [logs.last, container.message], patterns: ['bad (?P<what>\\w+)']}
    severity: info
    title: t
    message: "{{ match.what }}"
    evidence: [container.status, logs.last]
""",
        "p.yaml",
    )
    one = examination(state=exited(1, message="bad flag"), log="bye\n")
    (finding,) = findings_of(rules, one)
    first = finding.evidence[0]
    assert (first.source, first.excerpt) == (
        "termination message of container app",
        "bad flag",
    )


def test_a_borrowed_log_alone_is_less_sure() -> None:
    """A replica stands for the others only as long as it shows the same itself."""
    log = "fatal: LEDGER_URL is not set\n"
    read = examination(pod="web-0", log=log, steps=crashloop_steps())
    others = [
        examination(pod=f"web-{i}", log=log, steps=crashloop_steps(), read_from="web-0")
        for i in (1, 2)
    ]
    told: dict[int, tuple[str, set[str]]] = {}
    for pods in (others, [read, *others], [*others[:1], read]):
        (finding,), _, _ = judge(
            [CRASHLOOP], pods, {each.pod.metadata.uid: ["crashloop"] for each in pods}
        )
        told[len(told)] = (finding.confidence, {each.pod for each in finding.evidence})
    assert told == {0: ("likely", {"web-0"}), 1: ("certain", {"web-0"}), 2: ("certain", {"web-0"})}


def test_a_borrowed_log_makes_likely_possible() -> None:
    one = examination(log="ValueError: bad\n", steps=crashloop_steps(), read_from="web-z")
    (finding,) = findings_of(CRASHLOOP, one)
    assert (finding.rule, finding.confidence) == ("uncaught-exception", "possible")


def test_what_does_not_rest_on_the_borrowed_log_stays_certain() -> None:
    one = examination(state=exited(137, "OOMKilled"), log="loading\n", read_from="web-z")
    (finding,) = findings_of(CRASHLOOP, one)
    assert (finding.rule, finding.confidence) == ("out-of-memory", "certain")


def test_evidence_of_a_replica_names_the_pod_it_was_read_from() -> None:
    one = examination(log="KeyError: 'LEDGER_URL'\n", steps=crashloop_steps(), read_from="web-z")
    assert findings_of(CRASHLOOP, one)[0].evidence[0].pod == "web-z"


def test_events_are_evidence_with_their_count() -> None:
    one = examination(
        state=running(),
        restarts=0,
        readiness_probe=True,
        events=[event("Unhealthy", "Readiness probe failed: no", count=12)],
    )
    (evidence,) = findings_of(CRASHLOOP, one)[0].evidence
    assert (evidence.source, evidence.excerpt) == (
        "event Unhealthy x12",
        "Readiness probe failed: no",
    )


def test_of_many_events_those_that_say_the_cause_are_shown() -> None:
    one = examination(
        state=waiting("ImagePullBackOff", "back-off"),
        restarts=0,
        steps=crashloop_steps(),
        events=[
            event("Failed", 'Failed to pull image "web": manifest unknown', count=5),
            event("Failed", "Error: ErrImagePull", count=5),
            event("Failed", "Error: ImagePullBackOff", count=9),
        ],
    )
    (finding,) = findings_of(CRASHLOOP, one)
    assert [(each.source, each.excerpt) for each in finding.evidence] == [
        ("event Failed x5", 'Failed to pull image "web": manifest unknown'),
        ("status of container app", "back-off"),
    ]


def test_what_the_kubelet_says_twice_is_shown_once() -> None:
    one = examination(
        state=waiting("CreateContainerConfigError", 'configmap "c" not found'),
        restarts=0,
        steps=crashloop_steps(),
        events=[event("Failed", 'Error: configmap "c" not found', count=8)],
    )
    (finding,) = findings_of(CRASHLOOP, one)
    assert [each.source for each in finding.evidence] == ["status of container app"]


def test_an_event_that_a_watch_repeats_is_one_event() -> None:
    one = examination(
        state=waiting("CreateContainerConfigError", 'configmap "c" not found'),
        restarts=0,
        steps=crashloop_steps(),
        events=[event("Failed", "Error: other", count=count) for count in (3, 1, 2)],
    )
    (finding,) = findings_of(CRASHLOOP, one)
    assert [(each.source, each.excerpt) for each in finding.evidence] == [
        ("status of container app", 'configmap "c" not found'),
        ("event Failed x3", "Error: other"),
    ]
