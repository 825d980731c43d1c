"""Metrics of one run, made from its report: for a textfile collector, or for a Pushgateway.

Every family has at least one sample whatever happened, and there are at most 200 series: names of
pods and texts never become labels. docs/metrics.md names them all.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, Gauge, generate_latest, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler
from prometheus_client.parser import text_string_to_metric_families

from runner.model.report import PodOutcome, Report, Severity, StepOutcome
from runner.report.files import write_atomically
from runner.report.plain import one_line

OTHER = "other"
LAST_SUCCESS = "podmedic_run_last_success_timestamp_seconds"
_LAST_SUCCESS_HELP = "When a run last ended that was neither aborted nor interrupted."
# 200 series: 17 of fixed number, 33 findings, 11 not evaluated, 31 API requests, 11 alerts, 87
# steps.
_PLAYBOOKS = 10
_API_REQUESTS = 30
_ALERTS = 10
_STEPS = 82
_LABEL_CHARACTERS = 100

Labels = tuple[str, ...]
Counts = Counter[Labels]


class MetricsError(Exception):
    """The metrics did not arrive; the message is one line for people."""


def build_registry(
    report: Report, *, api_requests: Mapping[tuple[str, str], int]
) -> CollectorRegistry:
    """The metrics of `report`; `api_requests` counts requests by (verb, HTTP status code)."""
    registry = CollectorRegistry()
    run = report.run
    seconds = (run.finished_at - run.started_at).total_seconds()
    finished = run.finished_at.timestamp()
    _set(registry, "run_duration_seconds", "How long the last run took.", seconds)
    _set(registry, "run_last_completion_timestamp_seconds", "When a run last ended.", finished)
    if not run.aborted and not run.interrupted:
        Gauge(LAST_SUCCESS, _LAST_SUCCESS_HELP, registry=registry).set(finished)
    build = "The podmedic that made the last run."
    _family(registry, "build_info", build, ("version",), {(run.runner_version,): 1})
    _counts(registry, report, api_requests)
    return registry


def write_textfile(path: Path, registry: CollectorRegistry) -> None:
    """For the textfile collector of node_exporter, atomically. A last success that `registry`
    does not have is taken over from the file that is replaced. Raises OutputError."""
    content = generate_latest(registry)
    if registry.get_sample_value(LAST_SUCCESS) is None and (time := _last_success(path)):
        # Not added to `registry`: it is not this run's to tell anybody else.
        older = CollectorRegistry()
        Gauge(LAST_SUCCESS, _LAST_SUCCESS_HELP, registry=older).set(time)
        content += generate_latest(older)
    write_atomically(path, content)


def push(url: str, registry: CollectorRegistry, *, job: str, timeout_seconds: float) -> None:
    """To the Pushgateway at `url`, which may hold a user and a password. Raises MetricsError.

    A POST to the group of `job` alone: it replaces every family that the registry has and leaves
    the others, so that the last success outlives a run that failed.
    """
    address = urlsplit(url if "://" in url else f"http://{url}")
    shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    failures: list[Exception] = []

    def send() -> None:
        try:
            _push(address.username, address.password, shown, registry, job, timeout_seconds + 1)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told below
            failures.append(error)

    # The time-out of a socket starts again with each byte; this one does not.
    thread = threading.Thread(target=send, name="pushgateway", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        raise MetricsError(f"Pushgateway {shown} did not answer within {timeout_seconds:g} s")
    if failures:
        raise MetricsError(f"Pushgateway {shown}: {_said(failures[0])}") from failures[0]


def _push(
    user: str | None,
    password: str | None,
    url: str,
    registry: CollectorRegistry,
    job: str,
    timeout_seconds: float,
) -> None:
    handler = default_handler
    if user is not None:
        known = unquote(password or "")
        handler = partial(basic_auth_handler, username=unquote(user), password=known)
    pushadd_to_gateway(url, job=job, registry=registry, timeout=timeout_seconds, handler=handler)


def _said(error: Exception) -> str:
    if isinstance(error, HTTPError):
        body = one_line(error.read(300).decode(errors="replace"))
        return f"HTTP {error.code} {error.reason}" + (f": {body}" if body else "")
    return one_line(str(getattr(error, "reason", error)))


def _last_success(path: Path) -> float | None:
    try:
        families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
        samples = [sample for family in families for sample in family.samples]
    except (OSError, ValueError):
        return None  # a file that cannot be read is replaced by one that can
    return next((sample.value for sample in samples if sample.name == LAST_SUCCESS), None)


def _counts(
    registry: CollectorRegistry, report: Report, api_requests: Mapping[tuple[str, str], int]
) -> None:
    summary = report.summary
    pods: Counts = Counter({(outcome.value,): 0 for outcome in PodOutcome})
    pods.update((pod.outcome.value,) for pod in report.pods)
    workloads: dict[Labels, int] = {
        ("broken",): summary.workloads_broken,
        ("suspicious",): summary.workloads_suspicious,
        ("not-examined",): summary.workloads_not_examined,
        ("healthy",): summary.workloads_healthy,
    }
    _family(registry, "pods", "Selected pods by how their examination ended.", ("outcome",), pods)
    rules: dict[Labels, int] = {
        (answer,): summary.rules.get(answer, 0) for answer in ("evaluated", "not-evaluated")
    }
    asked = "Rules asked of pods, each once for each pod."
    _family(registry, "rules", asked, ("answer",), rules)
    _family(registry, "workloads", "Workloads by verdict.", ("verdict",), workloads)

    known = _playbooks(report)
    findings: Counts = Counter({(name, level.value): 0 for name in known for level in Severity})
    findings.update((_one_of(known, f.playbook), f.severity.value) for f in report.findings)
    _family(registry, "findings", "Findings.", ("playbook", "severity"), findings)
    questions: Counts = Counter({(name,): 0 for name in known})
    questions.update((_one_of(known, item.playbook),) for item in report.not_evaluated)
    unanswered = "Questions that got no answer."
    _family(registry, "not_evaluated", unanswered, ("playbook",), questions)

    steps: Counts = Counter(
        (step.playbook, step.name, step.outcome.value) for pod in report.pods for step in pod.steps
    )
    _family(
        registry,
        "steps",
        "Steps on pods by how they ended.",
        ("playbook", "step", "outcome"),
        _folded(steps, _STEPS, keep_last=True) or {(OTHER, OTHER, StepOutcome.PASSED.value): 0},
    )
    alerts: Counts = Counter()
    if report.run.trigger is not None:
        alerts.update((one.name,) for one in report.run.trigger.alerts if one.aim is not None)
    _family(
        registry,
        "run_alerts",
        "Alerts that started the last run.",
        ("alertname",),
        _folded(alerts, _ALERTS, keep_last=False) or {(OTHER,): 0},
    )
    requests: dict[Labels, int] = dict(api_requests.items())
    _family(
        registry,
        "api_requests",
        "Requests of the last run to the API server.",
        ("verb", "code"),
        _folded(requests, _API_REQUESTS, keep_last=False) or {(OTHER, OTHER): 0},
    )


def _playbooks(report: Report) -> Labels:
    names = [playbook.name for playbook in report.run.playbooks][:_PLAYBOOKS]
    return (*dict.fromkeys(names), OTHER)


def _one_of(known: Iterable[str], name: str) -> str:
    return name if name in known else OTHER


def _folded(counts: Mapping[Labels, int], most: int, *, keep_last: bool) -> dict[Labels, int]:
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


def _set(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(f"podmedic_{name}", text, registry=registry).set(value)


def _family(
    registry: CollectorRegistry,
    name: str,
    text: str,
    labels: Labels,
    values: Mapping[Labels, int],
) -> None:
    gauge = Gauge(f"podmedic_{name}", text, labels, registry=registry)
    for key, value in values.items():
        # Names that differ only after the cut share a series.
        gauge.labels(*(one_line(label)[:_LABEL_CHARACTERS] for label in key)).inc(value)
