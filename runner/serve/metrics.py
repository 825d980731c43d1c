"""What `/metrics` of `podmedic serve` says. Labels have few values, none of them a stranger's."""

from collections.abc import Callable

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from runner import __version__
from runner.metrics.table import OF_SERVE

FAMILIES = OF_SERVE

ALERT_OUTCOMES = (
    "stored", "known", "cool-down", "no-route", "no-target", "policy", "resolved",
)  # fmt: skip
SOURCES = ("alertmanager", "grafana", "request")
REFUSALS = (
    "unauthorized", "malformed", "policy", "too-large", "queue-full", "busy", "api-unavailable",
    "api-refused",
)  # fmt: skip


class Metrics(msgspec.Struct, frozen=True):
    """A registry of its own. Every value of a label that can be known is there from the start."""

    registry: CollectorRegistry = msgspec.field(default_factory=CollectorRegistry)
    counters: dict[str, Counter] = msgspec.field(default_factory=dict)
    gauges: dict[str, Gauge] = msgspec.field(default_factory=dict)
    histograms: dict[str, Histogram] = msgspec.field(default_factory=dict)

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

    def config_read(self, *, ok: bool) -> None:
        self.gauges["podmedic_serve_config_ok"].set(ok)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """A gauge that is looked up when somebody asks."""
        self.gauges[name].set_function(value)

    def text(self) -> bytes:
        return generate_latest(self.registry)
