"""The metrics of a run, from its report.

Every family has at least one sample whatever happened, and there are at most 200 series: names of
pods and texts never become labels.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from runner.metrics.table import BUDGET_STOPS, BY_NAME, PREFIX, SINKS, START_BUCKETS
from runner.model.report import PodOutcome, Report, Severity, StepOutcome
from runner.report.plain import one_line
from runner.report.summary import Verdict, verdicts

OTHER = "other"
LAST_SUCCESS = "podmedic_run_last_success_timestamp_seconds"
# 200 series: 17 of fixed number, 33 findings, 11 not evaluated, 21 namespaces, 10 starts, 6 stops,
# 6 sinks, 11 redactions, 6 alerts, 16 API requests, 60 steps.
_PLAYBOOKS = 10
_NAMESPACES = 20
_REDACTIONS = 10
_API_REQUESTS = 15
_ALERTS = 5
_STEPS = 55
_LABEL_CHARACTERS = 100

Labels = tuple[str, ...]
Counts = Counter[Labels]


def build_registry(
    report: Report,
    *,
    api_requests: Mapping[tuple[str, str], int],
    redactions: Mapping[str, int] | None = None,
    failed_sinks: Iterable[str] = (),
) -> CollectorRegistry:
    """The metrics of `report`; `api_requests` counts requests by (verb, HTTP status code),
    `redactions` replaced secrets by rule; `failed_sinks` are some of SINKS."""
    registry = CollectorRegistry()
    run = report.run
    finished = run.finished_at.timestamp()
    _set(registry, "run_duration_seconds", (run.finished_at - run.started_at).total_seconds())
    _set(registry, "run_last_completion_timestamp_seconds", finished)
    if not run.aborted and not run.interrupted:
        _set(registry, LAST_SUCCESS.removeprefix(PREFIX), finished)
    _family(registry, "build_info", {(run.runner_version,): 1})
    _of_pods(registry, report)
    _of_rules(registry, report)
    _family(registry, "steps", _steps(report))
    registry.register(_Starts(report))
    stops: Counts = Counter({(reason,): 0 for reason in BUDGET_STOPS})
    stops.update((pod.reason,) for pod in report.pods if pod.reason in BUDGET_STOPS)
    _family(registry, "budget_stops", stops)
    replaced: dict[Labels, int] = {(rule,): count for rule, count in (redactions or {}).items()}
    _family(registry, "redactions", _folded(replaced, _REDACTIONS) or {(OTHER,): 0})
    alerts: Counts = Counter()
    if run.trigger is not None:
        alerts.update((one.name,) for one in run.trigger.alerts if one.aim is not None)
    _family(registry, "run_alerts", _folded(alerts, _ALERTS) or {(OTHER,): 0})
    requests: dict[Labels, int] = dict(api_requests.items())
    _family(registry, "api_requests", _folded(requests, _API_REQUESTS) or {(OTHER, OTHER): 0})
    failed = Counter(failed_sinks)
    _family(registry, "sink_failures", {(sink,): failed[sink] for sink in SINKS})
    return registry


def _of_pods(registry: CollectorRegistry, report: Report) -> None:
    summary = report.summary
    pods: Counts = Counter({(outcome.value,): 0 for outcome in PodOutcome})
    pods.update((pod.outcome.value,) for pod in report.pods)
    _family(registry, "pods", pods)
    workloads: dict[Labels, int] = {
        ("broken",): summary.workloads_broken,
        ("suspicious",): summary.workloads_suspicious,
        ("not-examined",): summary.workloads_not_examined,
        ("healthy",): summary.workloads_healthy,
    }
    _family(registry, "workloads", workloads)
    broken: Counts = Counter({(namespace,): 0 for namespace in report.run.namespaces})
    judged = verdicts(report.pods, report.findings, report.not_evaluated)
    broken.update((each.namespace,) for each, said in judged.items() if said is Verdict.BROKEN)
    _family(registry, "broken_workloads", _folded(broken, _NAMESPACES) or {(OTHER,): 0})


def _of_rules(registry: CollectorRegistry, report: Report) -> None:
    rules: dict[Labels, int] = {
        (answer,): report.summary.rules.get(answer, 0) for answer in ("evaluated", "not-evaluated")
    }
    _family(registry, "rules", rules)
    known = _playbooks(report)
    findings: Counts = Counter({(name, level.value): 0 for name in known for level in Severity})
    findings.update((_one_of(known, f.playbook), f.severity.value) for f in report.findings)
    _family(registry, "findings", findings)
    questions: Counts = Counter({(name,): 0 for name in known})
    questions.update((_one_of(known, item.playbook),) for item in report.not_evaluated)
    _family(registry, "not_evaluated", questions)


def _steps(report: Report) -> dict[Labels, int]:
    steps: Counts = Counter(
        (step.playbook, step.name, step.outcome.value) for pod in report.pods for step in pod.steps
    )
    return _folded(steps, _STEPS, keep_last=True) or {(OTHER, OTHER, StepOutcome.PASSED.value): 0}


class _Starts(Collector):
    """How long ephemeral containers took to start: a histogram of one run, made at once."""

    def __init__(self, report: Report) -> None:
        self._seconds = [
            (each.started_at - each.injected_at).total_seconds()
            for pod in report.pods
            for each in pod.injections
            if each.started_at and each.injected_at and not each.reused
        ]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        known = BY_NAME["podmedic_container_start_seconds"]
        buckets = [
            (str(limit), float(sum(one <= limit for one in self._seconds)))
            for limit in START_BUCKETS
        ]
        buckets.append(("+Inf", float(len(self._seconds))))
        yield HistogramMetricFamily(
            known.name, known.text, buckets=buckets, sum_value=sum(self._seconds)
        )


def _playbooks(report: Report) -> Labels:
    names = [playbook.name for playbook in report.run.playbooks][:_PLAYBOOKS]
    return (*dict.fromkeys(names), OTHER)


def _one_of(known: Iterable[str], name: str) -> str:
    return name if name in known else OTHER


def _folded(
    counts: Mapping[Labels, int], most: int, *, keep_last: bool = False
) -> dict[Labels, int]:
    """At most `most` of `counts`, the same ones in every run with the same names; the others are
    added up under `other`, for each value of the last label if that is kept."""
    folded: Counter[Labels] = Counter()
    for position, labels in enumerate(sorted(counts)):
        if position < most:
            folded[labels] += counts[labels]
        else:
            others = (OTHER,) * (len(labels) - 1)
            folded[*others, labels[-1] if keep_last else OTHER] += counts[labels]
    return dict(folded)


def _set(registry: CollectorRegistry, name: str, value: float) -> None:
    known = BY_NAME[PREFIX + name]
    Gauge(known.name, known.text, registry=registry).set(value)


def _family(registry: CollectorRegistry, name: str, values: Mapping[Labels, int]) -> None:
    known = BY_NAME[PREFIX + name]
    gauge = Gauge(known.name, known.text, known.labels, registry=registry)
    for key, value in values.items():
        # Names that differ only after the cut share a series.
        gauge.labels(*(one_line(label)[:_LABEL_CHARACTERS] for label in key)).inc(value)
