"""From alerts to pods: bodies that are read or refused, matchers, routes, targets."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.trigger import PodTarget
from runner.playbook import PlaybookErrors
from runner.playbook.reference import fields
from runner.triggers import (
    DEFAULT,
    BodyError,
    decide,
    json_schema,
    read_body,
    read_routes,
    trigger_of,
)
from runner.triggers.matchers import MatcherError, parse
from runner.triggers.spec import PARTS
from runner.triggers.targets import target_problem
from tests.unit.alerts import HOSTILE, LABELS, RECEIVED, SINCE, alert, body, grafana

ROOT = Path(__file__).parents[2]
FILE = """\
apiVersion: podmedic.io/v1alpha1
kind: Routes
metadata:
  name: shop
spec:
  routes:
    - name: crash
      matchers: ['alertname=~"KubePod.*", severity="critical"', 'team!="batch"']
      playbooks: [crashloop, triage]
    - name: slow
      matchers: ['alertname="SlowService"']
      playbooks: [./latency.yaml]
      targets:
        namespace: shop
        labels: {app.kubernetes.io/name: service, tier: tier}
    - name: workload
      matchers: ['workload!=""']
      playbooks: [triage]
      targets:
        namespaceLabel: ns
        workload: {kindLabel: workload_type, nameLabel: workload}
    - name: quota
      matchers: ['alertname="KubeQuotaExceeded"']
      playbooks: [triage]
      targets: {wholeNamespace: true}
"""


def routes(text: str = FILE) -> Any:
    return read_routes(text, "conf/routes.yaml")


# --- matchers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ('severity="critical"', {"severity": "critical"}, True),
        ("severity=critical", {"severity": "critical"}, True),
        ('severity = "critical"', {"severity": "Critical"}, False),
        ('{severity="critical",}', {"severity": "critical"}, True),
        ('a="b", c!="d"', {"a": "b"}, True),
        ('a="b",c!="d"', {"a": "b", "c": "d"}, False),
        ('a=~"x|y"', {"a": "y"}, True),
        ('a=~"x|y"', {"a": "yy"}, False),
        ('a=~"x"', {"a": "axa"}, False),
        ('a=~"x.*"', {"a": "x\ny"}, False),
        ('a!~"x.*"', {"a": "xy"}, False),
        ('a!~"x"', {}, True),
        ('a=""', {}, True),
        ('a!=""', {}, False),
        ('a=~".+"', {}, False),
        (r'a="q\"\\\n\u00e9\x41"', {"a": 'q"\\\néA'}, True),
        ('"my label"="x"', {"my label": "x"}, True),
        ("größe=2,naïve!=x", {"größe": "2"}, True),
        ('"a,b"="c"', {"a,b": "c"}, True),
    ],
)
def test_matchers(text: str, labels: dict[str, str], holds: bool) -> None:
    assert all(matcher(labels) for matcher in parse(text)) is holds


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("severity", 9, "expected one of = != =~ !~"),
        ("a==b", 3, "expected a value"),
        ('a="b', 3, "a double quote that nothing closes"),
        ("a='b'", 3, "unexpected '; put the word in double quotes"),
        ('a="b" c="d"', 7, 'expected ","'),
        ('{a="b"', 7, 'expected "," or "}"'),
        ('a="b"}', 6, 'a "}" without a "{"'),
        (r'a="\q"', 4, r"no such escape: \q"),
        (r'a="\xff"', 4, r"no such character: \xff"),
        ('a=~"(?!x)"', 4, "not a re2 regular expression: invalid perl operator: (?!"),
        ("", 1, 'expected a matcher, such as severity="critical"'),
        ("{}", 1, 'expected a matcher, such as severity="critical"'),
    ],
)
def test_matchers_that_are_none(text: str, column: int, message: str) -> None:
    with pytest.raises(MatcherError) as refused:
        parse(text)
    assert (refused.value.column, refused.value.message) == (column, message)


@given(st.text(max_size=40), st.sampled_from(("=", "!=")), st.text(max_size=40))
def test_a_matcher_reads_back_as_it_is_shown(label: str, operator: str, value: str) -> None:
    quoted = "".join(f"\\{c}" if c in '"\\' else "\\n" if c == "\n" else c for c in value)
    name = "".join(f"\\{c}" if c in '"\\' else "\\n" if c == "\n" else c for c in label)

    (matcher,) = parse(f'"{name}"{operator}"{quoted}"')

    assert (matcher.label, matcher.operator, matcher.value) == (label, operator, value)
    assert "\n" in label or parse(str(matcher)) == (matcher,)


# --- routes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "route", "target"),
    [
        (LABELS, "crash", PodTarget(namespace="shop", pod="web-0", container="app")),
        (
            {"alertname": "SlowService", "service": "web", "tier": "front", "namespace": "evil"},
            "slow",
            PodTarget(namespace="shop", selector="app.kubernetes.io/name=web,tier=front"),
        ),
        (
            {"ns": "jobs", "workload_type": "deployment", "workload": "api"},
            "workload",
            PodTarget(namespace="jobs", workload="Deployment/api"),
        ),
        (
            {"alertname": "KubeQuotaExceeded", "namespace": "shop"},
            "quota",
            PodTarget(namespace="shop"),
        ),
    ],
)
def test_the_first_route_that_fits(labels: dict[str, str], route: str, target: PodTarget) -> None:
    decision = decide(routes(), labels)

    assert decision.route is not None
    assert decision.aim is not None
    assert (decision.route.name, decision.aim.target, decision.reason) == (route, target, "")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({**LABELS, "team": "batch"}, "no route takes it"),
        ({**LABELS, "severity": "info"}, "no route takes it"),
        ({"alertname": "SlowService", "tier": "front"},
         'it has no label "service", which is to hold value of a label of pods'),
        ({"alertname": "SlowService", "service": "a,b", "tier": "front"},
         'its label "service" holds "a,b", no value of a label of pods'),
        ({"alertname": "SlowService", "service": "a" * 64, "tier": "front"},
         f'its label "service" holds "{"a" * 60}" …, no value of a label of pods'),
        ({"ns": "jobs", "workload_type": "secret", "workload": "api"},
         'its label "workload_type" holds "secret", no kind of workload'),
        ({"ns": "jobs", "workload": "api"},
         'it has no label "workload_type", which is to hold a kind of workload'),
        ({"alertname": "KubeQuotaExceeded"},
         'it has no label "namespace", which is to hold name of a namespace'),
    ],
)  # fmt: skip
def test_what_selects_nothing(labels: dict[str, str], reason: str) -> None:
    decision = decide(routes(), labels)

    assert (decision.aim, decision.reason) == (None, reason)


def test_a_container_only_chooses_within_a_pod() -> None:
    for name in ("", "*", "Not-One", "a" * 64):
        decision = decide(routes(), {**LABELS, "container": name})
        assert decision.aim is not None
        assert decision.aim.target == PodTarget(namespace="shop", pod="web-0")


def test_playbooks_of_a_path_lie_beside_the_file() -> None:
    assert routes().playbooks() == ("crashloop", "triage", "conf/latency.yaml")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_label_selects_nothing(name: str) -> None:
    labels, told = HOSTILE[name]

    decision = decide(DEFAULT, labels)

    assert decision.aim is None
    assert told in decision.reason


def test_there_are_forty_of_them() -> None:
    assert len(HOSTILE) == 40


@given(st.dictionaries(st.sampled_from(("namespace", "pod", "deployment", "job_name")), st.text()))
def test_whatever_labels_hold_only_exact_names_come_out(labels: dict[str, str]) -> None:
    aim = decide(DEFAULT, labels).aim

    if aim is not None:
        assert target_problem(aim.target) == ""
        assert aim.target.namespace == labels["namespace"]
        assert (aim.target.pod or aim.target.workload.partition("/")[2]) in labels.values()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('severity="critical"', 'severity="critical', ("8:52: spec.routes[0].matchers[0]: a double "
         "quote that nothing closes")),
        ("[crashloop, triage]", "[crashlop]", ('9:19: spec.routes[0].playbooks[0]: no built-in '
         'playbook is called "crashlop" (did you mean "crashloop"?); a path needs a "/"')),
        ("matchers: ['alertname=\"Slow", "matcher: ['alertname=\"Slow", ("11:7: "
         'spec.routes[1].matcher: unknown field (did you mean "matchers"?)')),
        ("name: slow", "name: crash", '10:13: spec.routes[1].name: "crash" is taken by routes[0]'),
        ("namespace: shop\n", "namespaceLabel: ns\n        namespace: shop\n",
         "15:20: spec.routes[1].targets.namespace: namespace or namespaceLabel, not both"),
        ("tier: tier", "'a b': tier", ("15:58: spec.routes[1].targets.labels.a b: 'a b' is no "
         "label key")),
        ("{wholeNamespace: true}", "{}", ("25:7: spec.routes[3].targets: says no pod: give "
         "podLabel, workload or labels, or wholeNamespace: true for all pods of the namespace")),
        ("{wholeNamespace: true}", "{wholeNamespace: true, podLabel: pod}", ("25:33: "
         "spec.routes[3].targets.wholeNamespace: all pods of the namespace, or those of podLabel: "
         "not both")),
        ("{kindLabel: workload_type, nameLabel: workload}", "{nameLabel: workload}", ("21:9: "
         "spec.routes[2].targets.workload: needs exactly one of kind, kindLabel")),
        ("metadata:\n  name: shop", "metadata: {}", "3:1: metadata.name: required field is missing"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place(before: str, after: str, told: str) -> None:
    assert before in FILE
    with pytest.raises(PlaybookErrors) as refused:
        routes(FILE.replace(before, after, 1))
    assert str(refused.value) == f"conf/routes.yaml:{told}"


def test_the_schema_is_published() -> None:
    assert json_schema()["$id"] == "https://podmedic.io/schema/routes-v1alpha1.json"


# --- bodies -------------------------------------------------------------------------------------


def test_alertmanager_and_grafana() -> None:
    first, second = (trigger_of(read_body(each), DEFAULT, RECEIVED) for each in (body(), grafana()))

    (found,) = first.alerts
    assert (first.source, second.source) == ("alertmanager", "grafana")
    assert first.alerts == second.alerts
    assert (found.name, found.fingerprint, found.firing) == (
        "KubePodCrashLooping", "c5d0e1a2b3f40516", True,
    )  # fmt: skip
    assert (found.starts_at, found.ends_at, found.route, found.reason) == (SINCE, None, "pod", "")
    assert [aim.target.pod for aim in first.aims()] == ["web-0"]


def test_a_resolved_alert_starts_nothing() -> None:
    gone = alert(status="resolved", endsAt="2026-11-23T02:59:00Z")

    trigger = trigger_of(read_body(body(gone, status="resolved")), DEFAULT, RECEIVED)

    assert trigger.aims() == ()
    assert trigger.alerts[0].reason == "it is resolved"
    assert trigger.alerts[0].ends_at is not None


def test_what_is_too_long_is_cut_and_what_is_no_link_is_left_out() -> None:
    long = alert(
        {**LABELS, **{f"l{n}": "v" * 1000 for n in range(60)}},
        annotations={"summary": "s" * 5000},
        generatorURL="javascript:alert(1)",
    )

    (found,) = trigger_of(read_body(body(long)), DEFAULT, RECEIVED).alerts

    assert len(json.dumps([found.labels, found.annotations])) < 16_000
    assert found.annotations["summary"] == "s" * 1023 + "…"
    assert found.generator_url == ""


_DEEP = b'{"version":"4","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("raw", "status", "message"),
    [
        (b"", 400, "not an Alertmanager webhook: Input data was truncated"),
        (b"[]", 400, "not an Alertmanager webhook: Expected `object`, got `array`"),
        (b"\xff", 400, "not an Alertmanager webhook: JSON is malformed: invalid character (byte 0)"),
        (b" " * (1024 * 1024 + 1), 413, "larger than 1024 KiB"),
        (_DEEP, 400, "nested deeper than 32 levels, or not JSON"),
        (b'{"a":' * 100_000, 400, "nested deeper than 32 levels, or not JSON"),
        (b'{"x":"' + b'\\"' * 500_000, 400, "not an Alertmanager webhook: Input data was truncated"),
        (body(version="3"), 400, 'not an Alertmanager webhook of version "4": version is "3"'),
        (body(version="1"), 400, 'not an Alertmanager webhook of version "4": version is "1"'),
        (body(version=4), 400,
         "not an Alertmanager webhook: Expected `str`, got `int` - at `$.version`"),
        (body(groupKey=""), 400, "not an Alertmanager webhook: groupKey is empty or too long"),
        (body(alerts={}), 400,
         "not an Alertmanager webhook: Expected `array`, got `object` - at `$.alerts`"),
        (body(alert({"pod": ["web-0"]})), 400,
         "not an Alertmanager webhook: Expected `str`, got `array` - at `$.alerts[0].labels[...]`"),
        (body(alert({"pod": None})), 400,
         "not an Alertmanager webhook: Expected `str`, got `null` - at `$.alerts[0].labels[...]`"),
        (body(alert(startsAt="yesterday")), 400,
         "not an Alertmanager webhook: Invalid RFC3339 encoded datetime - at `$.alerts[0].startsAt`"),
        (body(alert(status="on")), 400, 'the status of an alert is "firing" or "resolved"'),
        (body(alert(startsAt="0001-01-01T00:00:00+14:00")), 400,
         "startsAt or endsAt lies outside of the years 1 to 9999"),
        (body(alert(status="resolved", endsAt="9999-12-31T23:59:59-14:00")), 400,
         "startsAt or endsAt lies outside of the years 1 to 9999"),
        (body(*[alert()] * 1001), 413, "more than 1000 alerts in one group; set max_alerts"),
        (body(alert({f"l{n}": "" for n in range(101)})), 400,
         "not an Alertmanager webhook: Expected `object` of length <= 100 - at `$.alerts[0].labels`"),
    ],
    ids=range(20),
)  # fmt: skip
def test_bodies_that_are_refused(raw: bytes, status: int, message: str) -> None:
    began = time.process_time()
    with pytest.raises(BodyError) as refused:
        read_body(raw)
    assert (refused.value.status, str(refused.value)) == (status, message)
    assert time.process_time() - began < 1.0


def test_the_end_of_an_alert_that_fires_is_not_read() -> None:
    read_body(body(alert(endsAt="0001-01-01T00:00:00+14:00")))


def test_strings_full_of_brackets_are_not_deep() -> None:
    read_body(body(alert(annotations={"summary": '\\"[[[{{{' * 50})))


def test_the_page_names_every_field() -> None:
    text = (ROOT / "docs/triggers.md").read_text()

    assert (
        text[text.index("## Fields\n") :]
        == "\n".join(fields(json_schema(), "Routes", PARTS)) + "\n"
    )
