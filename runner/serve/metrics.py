"""What `/metrics` of `podmedic serve` says. Labels have few values, none of them a stranger's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from runner import __version__
from runner.metrics.table import Metric

FAMILIES = (
    Metric("podmedic_serve_requests_total", "counter", ("endpoint", "code"),
           "Requests by endpoint and HTTP status."),
    Metric("podmedic_serve_alerts_total", "counter", ("outcome",),
           "Alerts received, by what became of them."),
    Metric("podmedic_serve_refused_total", "counter", ("reason",),
           "Requests that were refused, by reason."),
    Metric("podmedic_serve_runs_stored_total", "counter", ("source",),
           "Runs that were stored as Jobs by this replica."),
    Metric("podmedic_serve_runs_released_total", "counter", (),
           "Jobs that were released by this replica."),
    Metric("podmedic_serve_runs_queued", "gauge", (),
           "Jobs that wait for the budget."),
    Metric("podmedic_serve_runs_in_flight", "gauge", (),
           "Jobs that were released and have not ended."),
    Metric("podmedic_serve_runs_failed", "gauge", (),
           "Jobs that failed and are still there."),
    Metric("podmedic_serve_leader", "gauge", (),
           "1 in the replica that releases Jobs."),
    Metric("podmedic_serve_ready", "gauge", (),
           "1 while the API server's Jobs are known."),
    Metric("podmedic_serve_store_seconds", "histogram", (),
           "From the request to the stored Job."),
    Metric("podmedic_serve_build_info", "gauge", ("version",),
           "The podmedic that serves."),
)  # fmt: skip
"""The one source of what there is; docs/triggers.md shows it."""

ALERT_OUTCOMES = (
    "stored", "known", "cool-down", "no-route", "no-target", "policy", "resolved",
)  # fmt: skip
SOURCES = ("alertmanager", "grafana", "request")
REFUSALS = (
    "unauthorized", "malformed", "policy", "too-large", "queue-full", "busy", "api-unavailable",
    "api-refused",
)  # fmt: skip


@dataclass(frozen=True)
class Metrics:
    """A registry of its own. Every value of a label that can be known is there from the start."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    counters: dict[str, Counter] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # When a counter began, once more for each of them: nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        for each in FAMILIES:
            text, labels = each.text, each.labels
            if each.kind == "counter":
                name = each.name.removesuffix("_total")
                self.counters[each.name] = Counter(name, text, labels, registry=self.registry)
            elif each.kind == "gauge":
                self.gauges[each.name] = Gauge(each.name, text, labels, registry=self.registry)
            else:
                self.histograms[each.name] = Histogram(
                    each.name, text, labels, registry=self.registry,
                    buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
                )  # fmt: skip
        for outcome in ALERT_OUTCOMES:
            self.counters["podmedic_serve_alerts_total"].labels(outcome)
        for reason in REFUSALS:
            self.counters["podmedic_serve_refused_total"].labels(reason)
        for source in SOURCES:
            self.counters["podmedic_serve_runs_stored_total"].labels(source)
        self.gauges["podmedic_serve_build_info"].labels(__version__).set(1)

    def request(self, endpoint: str, code: int) -> None:
        self.counters["podmedic_serve_requests_total"].labels(endpoint, str(code)).inc()

    def alerts(self, outcome: str, count: int = 1) -> None:
        self.counters["podmedic_serve_alerts_total"].labels(outcome).inc(count)

    def refused(self, reason: str) -> None:
        self.counters["podmedic_serve_refused_total"].labels(reason).inc()

    def stored(self, source: str, seconds: float) -> None:
        self.counters["podmedic_serve_runs_stored_total"].labels(source).inc()
        self.histograms["podmedic_serve_store_seconds"].observe(seconds)

    def released(self) -> None:
        self.counters["podmedic_serve_runs_released_total"].inc()

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """A gauge that is looked up when somebody asks."""
        self.gauges[name].set_function(value)

    def text(self) -> bytes:
        return generate_latest(self.registry)
