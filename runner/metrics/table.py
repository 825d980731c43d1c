"""Every metric there is: the one source of the registry's names and texts, of docs/metrics.md, the
Grafana dashboard and the PrometheusRule. Pure."""

from typing import NamedTuple

PREFIX = "podmedic_"


class Metric(NamedTuple):
    """`kind` is gauge, counter or histogram. A run's metrics tell of the last run and are gauges;
    `text` is the HELP line."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


OF_RUNS = (
    Metric("podmedic_run_last_success_timestamp_seconds", "gauge", (),
           "When a run last ended that was neither aborted nor interrupted."),
    Metric("podmedic_run_last_completion_timestamp_seconds", "gauge", (),
           "When a run last ended in any way."),
    Metric("podmedic_run_duration_seconds", "gauge", (), "How long the last run took."),
    Metric("podmedic_pods", "gauge", ("outcome",),
           "Selected pods by how their examination ended."),
    Metric("podmedic_workloads", "gauge", ("verdict",),
           "Workloads by verdict: broken, suspicious, not-examined, healthy."),
    Metric("podmedic_broken_workloads", "gauge", ("namespace",),
           "Workloads with a critical finding, by namespace."),
    Metric("podmedic_findings", "gauge", ("playbook", "severity"), "Findings."),
    Metric("podmedic_not_evaluated", "gauge", ("playbook",), "Questions that got no answer."),
    Metric("podmedic_rules", "gauge", ("answer",),
           "Rules asked of pods, each once for each pod: evaluated or not-evaluated."),
    Metric("podmedic_steps", "gauge", ("playbook", "step", "outcome"),
           "Steps on pods by how they ended."),
    Metric("podmedic_container_start_seconds", "histogram", (),
           "From the injection of an ephemeral container to its start, in the last run."),
    Metric("podmedic_budget_stops", "gauge", ("reason",),
           "Pods that a limit of ours kept from being examined."),
    Metric("podmedic_redactions", "gauge", ("rule",),
           "Secrets that were replaced in what the last run collected."),
    Metric("podmedic_run_alerts", "gauge", ("alertname",), "Alerts that started the last run."),
    Metric("podmedic_api_requests", "gauge", ("verb", "code"),
           "Requests of the last run to the API server."),
    Metric("podmedic_sink_failures", "gauge", ("sink",),
           "Places that the last run's result was meant for and did not reach."),
    Metric("podmedic_build_info", "gauge", ("version",), "The podmedic that made the last run."),
)  # fmt: skip
OF_SERVE = (
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
    Metric("podmedic_serve_config_ok", "gauge", (),
           "0 while routes, policy or Job template were changed and cannot be used."),
    Metric("podmedic_serve_store_seconds", "histogram", (),
           "From the request to the stored Job."),
    Metric("podmedic_serve_build_info", "gauge", ("version",),
           "The podmedic that serves."),
)  # fmt: skip
"""Of `podmedic serve`, which counts since it began."""
BY_NAME = {metric.name: metric for metric in OF_RUNS}

BUDGET_STOPS = (
    "EphemeralBudget", "CoolDown", "MemoryHeadroom", "Policy", "BreakerOpen", "SweepDeadline",
)  # fmt: skip
SINKS = ("bundle", "upload", "notify", "events", "traces", "pushgateway")
START_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


class Panel(NamedTuple):
    """A panel of the dashboard; `queries` are expressions and their legends."""

    title: str
    kind: str  # stat, timeseries, table
    unit: str  # Grafana's own words
    queries: tuple[tuple[str, str], ...]
    text: str
    width: int = 8


class Alert(NamedTuple):
    name: str
    expression: str
    pending: str  # for how long
    severity: str
    summary: str
    description: str


_STARTS = "sum by (le) (podmedic_container_start_seconds_bucket)"
_STORED = "sum by (le) (rate(podmedic_serve_store_seconds_bucket[10m]))"
PANELS = (
    Panel("Last success", "stat", "dateTimeFromNow",
          (("max by (job) (podmedic_run_last_success_timestamp_seconds) * 1000", "{{job}}"),),
          "When a run last ended that was neither aborted nor interrupted.", 6),
    Panel("Broken workloads", "stat", "short", (('sum(podmedic_workloads{verdict="broken"})', ""),),
          "Workloads with a critical finding.", 6),
    Panel("Not examined", "stat", "short",
          (('sum(podmedic_workloads{verdict="not-examined"})', ""),),
          "Workloads of which nothing is known. They are not healthy.", 6),
    Panel("Coverage", "stat", "percentunit",
          (('sum(podmedic_rules{answer="evaluated"}) / sum(podmedic_rules)', ""),),
          "Rules that were answered, of those that were asked.", 6),
    Panel("Workloads by verdict", "timeseries", "short",
          (("sum by (verdict) (podmedic_workloads)", "{{verdict}}"),), "", 12),
    Panel("Broken workloads by namespace", "timeseries", "short",
          (("sum by (namespace) (podmedic_broken_workloads) > 0", "{{namespace}}"),), "", 12),
    Panel("Findings by severity", "timeseries", "short",
          (("sum by (severity) (podmedic_findings)", "{{severity}}"),), "", 12),
    Panel("Findings by playbook", "timeseries", "short",
          (("sum by (playbook) (podmedic_findings) > 0", "{{playbook}}"),), "", 12),
    Panel("Pods by outcome", "timeseries", "short",
          (("sum by (outcome) (podmedic_pods)", "{{outcome}}"),), ""),
    Panel("Steps by outcome", "timeseries", "short",
          (("sum by (outcome) (podmedic_steps)", "{{outcome}}"),), ""),
    Panel("Questions without an answer", "timeseries", "short",
          (("sum by (playbook) (podmedic_not_evaluated) > 0", "{{playbook}}"),), ""),
    Panel("Start of ephemeral containers", "timeseries", "s",
          ((f"histogram_quantile(0.5, {_STARTS})", "median"),
           (f"histogram_quantile(0.95, {_STARTS})", "95 %")),
          "From the injection to the start, in the last run."),
    Panel("Stopped by a limit", "timeseries", "short",
          (("sum by (reason) (podmedic_budget_stops) > 0", "{{reason}}"),),
          "Pods that were not examined because of a cap, a cool-down, the breaker, a deadline."),
    Panel("Duration", "timeseries", "s", (("max(podmedic_run_duration_seconds)", "run"),), ""),
    Panel("Requests to the API server", "timeseries", "short",
          (("sum by (verb, code) (podmedic_api_requests)", "{{verb}} {{code}}"),), ""),
    Panel("Redactions", "timeseries", "short",
          (("sum by (rule) (podmedic_redactions) > 0", "{{rule}}"),), ""),
    Panel("Sinks that failed", "timeseries", "short",
          (("sum by (sink) (podmedic_sink_failures) > 0", "{{sink}}"),), ""),
    Panel("Alerts that started the last run", "table", "short",
          (("sum by (alertname) (podmedic_run_alerts) > 0", "{{alertname}}"),), "", 12),
    Panel("Versions", "table", "short",
          (("sum by (version) (podmedic_build_info)", "{{version}}"),
           ("sum by (version) (podmedic_serve_build_info)", "serve {{version}}")),
          "", 12),
    Panel("Alerts received", "timeseries", "short",
          (("sum by (outcome) (increase(podmedic_serve_alerts_total[10m]))", "{{outcome}}"),),
          "By what became of them, in ten minutes."),
    Panel("Requests refused", "timeseries", "short",
          (("sum by (reason) (increase(podmedic_serve_refused_total[10m]))", "{{reason}}"),),
          "In ten minutes."),
    Panel("Requests to serve", "timeseries", "reqps",
          (("sum by (endpoint, code) (rate(podmedic_serve_requests_total[5m]))",
            "{{endpoint}} {{code}}"),), ""),
    Panel("Runs started by alerts", "timeseries", "short",
          (("max(podmedic_serve_runs_queued)", "queued"),
           ("max(podmedic_serve_runs_in_flight)", "in flight"),
           ("max(podmedic_serve_runs_failed)", "failed")), "", 12),
    Panel("Runs stored and released", "timeseries", "short",
          (("sum by (source) (increase(podmedic_serve_runs_stored_total[1h]))",
            "stored, {{source}}"),
           ("sum(increase(podmedic_serve_runs_released_total[1h]))", "released")),
          "In an hour.", 12),
    Panel("From webhook to stored Job", "timeseries", "s",
          ((f"histogram_quantile(0.95, {_STORED})", "95 %"),), "", 12),
    Panel("Replicas", "stat", "short",
          (("sum(podmedic_serve_ready)", "ready"), ("sum(podmedic_serve_leader)", "leader"),
           ("sum(podmedic_serve_config_ok)", "config in order")),
          "One of the ready ones is the leader.", 12),
)  # fmt: skip

ALERTS = (
    Alert("PodmedicNotRunRecently",
          "time() - max by (job) (podmedic_run_last_success_timestamp_seconds) > 26 * 3600", "5m",
          "warning",
          "No sweep has succeeded for more than 26 hours",
          "Runs are aborted, interrupted, or not started at all: look at the CronJob's last Jobs."),
    Alert("PodmedicAborted",
          "max by (job) (podmedic_run_last_completion_timestamp_seconds)"
          " > max by (job) (podmedic_run_last_success_timestamp_seconds)", "15m", "warning",
          "The last sweep was cut short",
          "It was aborted or interrupted; its log says why, and `podmedic resume` finishes it."),
    Alert("PodmedicWorkloadsBroken", 'sum(podmedic_workloads{verdict="broken"}) > 0', "0m",
          "warning",
          "{{ $value }} workloads are broken", "The report of the last run names the causes."),
    Alert("PodmedicBlind", 'sum(podmedic_workloads{verdict="not-examined"}) > 0', "0m", "info",
          "{{ $value }} workloads were not examined",
          "They are not known to be healthy; the report says what stood in the way."),
    Alert("PodmedicCoverageLow",
          'sum(podmedic_rules{answer="evaluated"}) / sum(podmedic_rules) < 0.9', "0m", "info",
          "Only {{ $value | humanizePercentage }} of the rules were answered",
          "A permission or a tool is missing; the report lists the questions under notEvaluated."),
    Alert("PodmedicFailureRateHigh",
          'sum(podmedic_pods{outcome=~"error|timeout|unknown"})'
          ' / sum(podmedic_pods{outcome!="skipped"}) > 0.2', "0m", "warning",
          "{{ $value | humanizePercentage }} of the pods could not be examined",
          "Ephemeral containers are refused or do not start; the report says why for each pod."),
    Alert("PodmedicBudgetStopped", "sum by (reason) (podmedic_budget_stops) > 0", "0m", "info",
          "{{ $labels.reason }} kept {{ $value }} pods from being examined",
          "A cap, a cool-down, the breaker or a deadline: docs/safety.md."),
    Alert("PodmedicSinkFailing", "sum by (sink) (podmedic_sink_failures) > 0", "0m", "warning",
          "The result did not reach {{ $labels.sink }}",
          "The run itself is intact; what failed is in its log."),
    Alert("PodmedicServeNotReady", "min(podmedic_serve_ready) == 0", "5m", "warning",
          "A replica of serve does not know the API server's Jobs",
          "It answers webhooks with 503, which Alertmanager repeats: look at its log."),
    Alert("PodmedicServeNoLeader", "sum(podmedic_serve_leader) == 0", "5m", "warning",
          "No replica of serve releases Jobs",
          "Alerts are stored and their runs wait: may serve write its Lease?"),
    Alert("PodmedicServeRefuses",
          "sum by (reason) (increase(podmedic_serve_refused_total"
          '{reason=~"queue-full|busy|api-unavailable|api-refused|unauthorized"}[15m])) > 0',
          "5m", "warning", "serve refuses requests: {{ $labels.reason }}",
          "docs/triggers.md has the reasons; Alertmanager repeats what got a 503."),
    Alert("PodmedicServeConfigBroken", "min(podmedic_serve_config_ok) == 0", "5m", "warning",
          "serve cannot use its changed routes, policy or Job template",
          "It goes on with the old ones; its log says what is wrong (config-not-reloaded)."),
    Alert("PodmedicServeRunsFail", "max(podmedic_serve_runs_failed) > 0", "0m", "info",
          "{{ $value }} runs that alerts started have failed", "Look at their Jobs' logs."),
)  # fmt: skip
