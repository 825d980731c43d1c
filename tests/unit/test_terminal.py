"""The terminal says the same as the page, and nothing from a pod speaks to it."""

import re

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.model.report import NotEvaluated, PodOutcome, Report
from runner.model.subject import PodRef
from runner.report import from_json, render, summary_text, to_json
from runner.report.plain import cells, is_terminal_safe
from tests.unit.report_samples import HOSTILE, large_report, pod, report_of, rich_report, workload

EXPECTED = """\
2 workloads broken, 2 suspicious, 4 healthy, 2 not examined
broken        Deployment/ledger  (shop, 6 of 6 pods, certain, 84 restarts)
              app exits with code 1 because LEDGER_URL is not set.
              | KeyError: 'LEDGER_URL'
              What to do: Set LEDGER_URL, for example: kubectl set env deployment/ledger -n shop
              LEDGER_URL=… This restarts its pods.
broken        Deployment/orders  (shop, 2 of 3 pods, 1 not examined, likely, 28 restarts)
              app exits because db.prod.svc does not resolve: there is no Service db in namespace
              prod.
              | nslookup: can't resolve 'db.prod.svc'
              What to do: Check the name with `kubectl get service db -n prod`; the app reads it
              from DB_HOST.
suspicious    StatefulSet/queue  (infra, 1 of 1 pod, possible)
              app has 2 kB of memory left.
              | MemFree: 2 kB
suspicious    Deployment/<img src=x onerror=alert(1)>  (evil, 1 of 1 pod, possible, 2 restarts)
              <script>alert(1)</script> "><img src=x onerror=alert(1)>
              </script><script>alert(1)</script> <!--<script> {{7*7}} {% raw %}
              ^[[31mred^[[0m^[]8;;https://evil.example^Glink^[]8;;^G \\x9b31mC1 nul^@byte overwritte…
              | <script>alert(1)</script>
              What to do: <script>alert(1)</script> "><img src=x onerror=alert(1)>
              </script><script>alert(1)</script> <!--<script> {{7*7}} {% raw %}
              ^[[31mred^[[0m^[]8;;https://evil.example^Glink^[]8;;^G \\x9b31mC1 nul^@byte overwritte…
not examined  Deployment/cart  (shop, 2 of 2 pods)
              Could not be examined: Forbidden: may not patch pods/ephemeralcontainers in namespace
              shop
not examined  Deployment/sampled  (shop, 1 of 1 pod)
              Was skipped: Sampled: two other replicas were examined
healthy       4 workloads: StatefulSet/etcd, StatefulSet/kafka, StatefulSet/redis, StatefulSet/web
Not examined or not evaluated:
  pod could not be examined: Forbidden: may not patch pods/ephemeralcontainers in namespace shop
    (2 pods)
  rule events of crashloop: forbidden: may not list events in namespace shop; grant it with the
    shipped Role (2 pods)
  pod did not answer before the deadline: StartTimeout: the ephemeral container did not start
    within 60 s (1 pod)
  pod was skipped: Sampled: two other replicas were examined (1 pod)
  step capture of triage: tool missing: the image has no tcpdump (1 pod)
"""


def test_the_summary_of_a_rich_report() -> None:
    assert summary_text(rich_report(), width=100, color=False, max_lines=31) == EXPECTED


def test_colour_adds_nothing_but_colour() -> None:
    colored = summary_text(rich_report(), width=100, color=True, max_lines=31)

    assert re.sub(r"\x1b\[[0-9;]+m", "", colored) == EXPECTED
    assert colored.startswith("\x1b[1;31m2 workloads broken")


def test_green_is_for_a_sweep_that_saw_everything() -> None:
    good = report_of(pod("a-0", workload("a"), PodOutcome.PASSED))
    cut_short = msgspec.structs.replace(
        good, run=msgspec.structs.replace(good.run, interrupted=True)
    )

    assert summary_text(good, width=80, color=True) == (
        "\x1b[1;32m1 workload healthy\x1b[0m\n"
        "\x1b[32mhealthy       \x1b[0m1 workload: Deployment/a\n"
    )
    assert summary_text(cut_short, width=80, color=True).splitlines()[:2] == [
        "\x1b[1mThe sweep was interrupted: pods that it had not reached are missing here\x1b[0m",
        "\x1b[1;35m1 workload healthy\x1b[0m",
    ]


@pytest.mark.parametrize(
    ("workloads", "lines", "last"),
    [
        (7, 22, "              | KeyError: 'VARIABLE_6'"),
        (8, 17, "              app exits with code 1 because VARIABLE_7 is not set."),
        (
            21,
            22,
            "broken        Deployment/app-20 (ns-6, 1 of 1 pod): app exits with code 1 because…",
        ),
        (33, 22, "… and 13 more"),
        (5000, 22, "… and 4980 more"),
    ],
)
def test_the_rows_fit_on_a_screen(workloads: int, lines: int, last: str) -> None:
    text = summary_text(large_report(workloads, output_bytes=10), width=82, color=False)

    assert len(text.splitlines()) == lines
    assert text.splitlines()[-1] == last


@given(st.text() | st.sampled_from(HOSTILE), st.integers(20, 200))
def test_no_text_of_a_pod_reaches_the_terminal_as_it_is(text: str, width: int) -> None:
    """In every field that is shown; colour off, so that every escape would be a pod's."""
    owner = workload(text, text, text)
    pods = [
        pod(text, owner, outcome, reason=text, message=text)
        for outcome in (PodOutcome.FAILED, PodOutcome.ERROR)
    ]
    report = report_of(*pods)
    run = msgspec.structs.replace(report.run, aborted=text)
    report = msgspec.structs.replace(report, run=run)

    shown = summary_text(report, width=width, color=False)

    assert is_terminal_safe(shown)
    assert max(map(cells, shown.splitlines())) <= max(width, 40)
    for output in ("json", "yaml", "name", "wide"):
        assert is_terminal_safe(render(report, output))


def test_json_and_yaml_hold_everything() -> None:
    report = rich_report()

    assert from_json(render(report, "json").encode()) == report
    values = yaml.load(render(report, "yaml"), yaml.CSafeLoader)
    assert from_json(msgspec.json.encode(values)) == report
    assert render(report, "yaml").startswith(
        "apiVersion: podmedic.io/v1alpha1\nkind: Report\nrun:\n  id: 20261123-031240-k3f9\n"
    )


def _two() -> Report:
    owner = workload("web")
    return report_of(
        pod("web-1", owner, PodOutcome.PASSED),
        pod("web-22", owner, PodOutcome.ERROR, reason="Forbidden"),
    )


def test_names_and_table_are_as_kubectl_prints_them() -> None:
    assert render(_two(), "name") == "pod/web-1\npod/web-22\n"
    assert render(_two(), "wide") == (
        "NAMESPACE   NAME     OUTCOME   REASON      WORKLOAD         NODE     STRATEGY   EPHEMERAL CONTAINER\n"
        "shop        web-1    passed    <none>      Deployment/web   node-a   none       <none>\n"
        "shop        web-22   error     Forbidden   Deployment/web   node-b   none       <none>\n"
    )
    assert render(report_of(), "name") == ""
    assert to_json(_two()).decode() == render(_two(), "json")


def test_rules_do_not_repeat_why_what_they_need_is_not_known() -> None:
    full = "the pod carries 7 ephemeral containers (about 100123 bytes), the cap is 100000 bytes"
    said = [
        ("step disk", "EphemeralBudget", full),
        ("rule disk-full", "FactMissing", f"steps.disk: {full}"),
        ("rule oom", "FactMissing", "steps.memory: it has no number"),
        ("fact events", "Forbidden", "forbidden: list events"),
        ("rule evicted", "FactMissing", "events: forbidden: list events"),
    ]
    questions = tuple(
        NotEvaluated(
            subject=subject, playbook="triage", reason=reason, message=message,
            pods=(PodRef(namespace="shop", name="web-0"),),
        )
        for subject, reason, message in said
    )  # fmt: skip
    report = report_of(pod("web-0", workload("web"), PodOutcome.PASSED))
    folded = "the pod carries too many ephemeral containers, the cap is 100000 bytes"
    text = summary_text(
        msgspec.structs.replace(report, not_evaluated=questions), width=200, color=False
    )
    assert text.partition("Not examined or not evaluated:\n")[2].splitlines() == [
        "  fact events of triage: forbidden: list events (1 pod)",
        f"  step disk of triage: EphemeralBudget: {folded} (1 pod)",
        "  rule oom of triage: FactMissing: steps.memory: it has no number (1 pod)",
    ]


def test_why_pods_were_left_out_is_told_once() -> None:
    late = "the deadline passed before its turn came"
    questions = tuple(
        NotEvaluated(
            subject=subject, playbook="triage", reason="SweepDeadline", message=late,
            pods=(PodRef(namespace="shop", name="web-0"),),
        )
        for subject in ("pod", "step disk")
    )  # fmt: skip
    left = pod("web-0", workload("web"), PodOutcome.SKIPPED, reason="SweepDeadline", message=late)
    text = summary_text(
        msgspec.structs.replace(report_of(left), not_evaluated=questions), width=200, color=False
    )
    assert text.partition("Not examined or not evaluated:\n")[2].splitlines() == [
        f"  pod was skipped: SweepDeadline: {late} (1 pod)"
    ]
