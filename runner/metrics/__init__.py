"""Metrics of one run, made from its report: for a textfile collector, or for a Pushgateway."""

from runner.metrics.build import LAST_SUCCESS, build_registry
from runner.metrics.send import MetricsError, push, write_textfile
from runner.metrics.table import ALERTS, OF_RUNS, PANELS

__all__ = [
    "ALERTS",
    "LAST_SUCCESS",
    "OF_RUNS",
    "PANELS",
    "MetricsError",
    "build_registry",
    "push",
    "write_textfile",
]
