"""What is made of the table of metrics: `python -m runner.metrics.documents WHAT` prints the table
of docs/metrics.md, the Grafana dashboard, rules for Prometheus, or its operator's PrometheusRule.
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runner.metrics.table import ALERTS, OF_RUNS, OF_SERVE, PANELS, Metric, Panel

Json = dict[str, Any]
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHT = {"stat": 4, "timeseries": 8, "table": 8}
LABELS = {"app.kubernetes.io/name": "podmedic"}


def metrics() -> tuple[Metric, ...]:
    return OF_RUNS + OF_SERVE


def table(of: Sequence[Metric] = OF_RUNS) -> str:
    """Markdown."""
    lines = ["| metric | labels | meaning |", "|---|---|---|"]
    for each in of:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        text = each.text[0].lower() + each.text[1:].rstrip(".")
        kind = "" if each.kind == "gauge" else f" ({each.kind})"
        lines.append(f"| `{each.name}` | {labels} | {text}{kind} |")
    return "\n".join(lines) + "\n"


def dashboard() -> str:
    x = y = row_height = 0
    panels = []
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > 24:
            x, y = 0, y + row_height
            row_height = 0
        place = {"x": x, "y": y, "w": panel.width, "h": _HEIGHT[panel.kind]}
        panels.append(_panel(number, panel, place))
        x, row_height = x + panel.width, max(row_height, _HEIGHT[panel.kind])
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "refresh": 1, "options": [], "multi": False, "includeAll": False,
    }  # fmt: skip
    made = {
        "uid": "podmedic",
        "title": "podmedic",
        "description": "What the last sweeps found, and how they went.",
        "tags": ["podmedic", "kubernetes"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "",
        "refresh": "5m",
        "templating": {"list": [source]},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }
    return json.dumps(made, indent=2) + "\n"


def _panel(number: int, panel: Panel, place: Json) -> Json:
    instant = panel.kind != "timeseries"
    made: Json = {
        "id": number,
        "title": panel.title,
        "description": panel.text,
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": instant,
                "range": not instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for at, (expression, legend) in enumerate(panel.queries)
        ],
    }
    if panel.kind == "stat":
        made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none"}
    return made


def groups() -> Json:
    return {
        "groups": [
            {
                "name": "podmedic",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expression,
                        "for": alert.pending,
                        "labels": {"severity": alert.severity},
                        "annotations": {
                            "summary": alert.summary,
                            "description": alert.description,
                        },
                    }
                    for alert in ALERTS
                ],
            }
        ]
    }


def rules() -> str:
    """A file for `rule_files` of Prometheus."""
    return _yaml(groups())


def prometheus_rule() -> str:
    """The same for the Prometheus Operator."""
    return _yaml(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "podmedic", "labels": LABELS},
            "spec": groups(),
        }
    )


def _yaml(value: Json) -> str:
    import yaml  # noqa: PLC0415

    return (
        "# Made by `python -m runner.metrics.documents`: edit runner/metrics/table.py instead.\n"
        + str(yaml.safe_dump(value, sort_keys=False, width=100))
    )


DOCUMENTS: dict[str, Callable[[], str]] = {
    "table": table,
    "serve-table": lambda: table(OF_SERVE),
    "dashboard": dashboard,
    "rules": rules,
    "prometheus-rule": prometheus_rule,
}


if __name__ == "__main__":
    sys.stdout.write(DOCUMENTS[sys.argv[1]]())
