"""What is made of the table of metrics is what lies in the repository, and names nothing else."""

import json
import re
from pathlib import Path

import pytest
import yaml

from runner.metrics import build_registry
from runner.metrics.documents import dashboard, metrics, prometheus_rule, rules, table
from runner.metrics.table import ALERTS, OF_RUNS, OF_SERVE, PANELS
from tests.unit.report_samples import rich_report

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bpodmedic_[a-z_]+")
KNOWN = {metric.name for metric in metrics()} | {
    f"{metric.name}{suffix}"
    for metric in metrics()
    if metric.kind == "histogram"
    for suffix in ("_bucket", "_sum", "_count")
}
EXPRESSIONS = [
    *(alert.expression for alert in ALERTS),
    *(expression for panel in PANELS for expression, _ in panel.queries),
]


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("deploy/grafana/podmedic.json", dashboard()),
        ("deploy/prometheus/podmedic.rules.yaml", rules()),
        ("deploy/prometheus/prometheusrule.yaml", prometheus_rule()),
    ],
)
def test_the_files_are_those_of_the_table(path: str, made: str) -> None:
    assert (ROOT / path).read_text() == made, "python -m runner.metrics.documents makes it anew"


def test_the_page_has_the_table() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    assert table() in text
    assert table(OF_SERVE) in text


def test_a_run_has_the_metrics_of_the_table_and_no_others() -> None:
    registry = build_registry(rich_report(), api_requests={})
    made = {
        (family.name, family.type, family.documentation): {
            tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples
        }
        for family in registry.collect()
    }
    assert made == {
        (metric.name, metric.kind, metric.text): {tuple(sorted(metric.labels))}
        for metric in OF_RUNS
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_name_metrics_that_there_are(expression: str) -> None:
    assert set(NAME.findall(expression)) <= KNOWN


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for panel in PANELS for e, _ in panel.queries for name in NAME.findall(e)}
    missing = {
        metric.name for metric in metrics() if not any(n.startswith(metric.name) for n in shown)
    }
    # It matters as an age, which the alert PodmedicAborted compares with the last success.
    assert missing == {"podmedic_run_last_completion_timestamp_seconds"}


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in json.loads(dashboard())["panels"]]
    taken = [
        (x, y)
        for each in places
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_alerts_have_names_of_their_own_and_say_what_to_do() -> None:
    found = yaml.load(rules(), yaml.CSafeLoader)["groups"][0]["rules"]
    assert len({each["alert"] for each in found}) == len(found)
    assert not [each for each in found if not each["annotations"]["description"]]
