"""A run as an OpenTelemetry trace: a span for the run, one for each pod that got a container, one
for each step, at the times that the report tells. Made when the run is over, because a finding is
known only then, and sent by OTLP as the standard OTEL_* variables say.

Imported only where it is asked for: `pip install 'podmedic[otel]'`.
"""

import logging
import os
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runner.model.report import PodOutcome, PodResult, Report, StepOutcome, StepResult
from runner.report.plain import cut, one_line

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span, Tracer

SECONDS = 20.0
_BATCH = 512
_MAX_TEXT = 500
_NO_ANSWER = frozenset({PodOutcome.ERROR, PodOutcome.TIMEOUT, PodOutcome.UNKNOWN})
_STEP_NO_ANSWER = frozenset({StepOutcome.ERROR, StepOutcome.TIMEOUT})
# The semantic conventions name these kinds.
_OWNERS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet"}


class TracesError(Exception):
    """The trace did not arrive; the message is one line for people."""


def missing() -> str:
    """What is to be installed first; empty if it is all there."""
    if all(map(_there, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))):
        return ""
    return "--otel needs OpenTelemetry, which is not installed: pip install 'podmedic[otel]'"


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def send(report: Report, seconds: float = SECONDS) -> None:
    """To where OTEL_EXPORTER_OTLP_ENDPOINT says. Raises TracesError, at most `seconds` later."""
    failures: list[str] = []

    def work() -> None:
        try:
            _export(spans_of(report))
        except Exception as error:  # noqa: BLE001  a library of others: whatever it is, it is told
            failures.append(one_line(f"{type(error).__name__}: {error}"))

    # What it would log is told by us.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    thread = threading.Thread(target=work, name="traces", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TracesError(f"traces: the collector did not take them within {seconds:g} s")
    if failures:
        raise TracesError(f"traces: {failures[0]}")


def _export(spans: "Sequence[ReadableSpan]") -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

    exporter = OTLPSpanExporter()
    for begin in range(0, len(spans), _BATCH):
        if exporter.export(spans[begin : begin + _BATCH]) is not SpanExportResult.SUCCESS:
            raise RuntimeError("the collector refused them or could not be reached")
    exporter.shutdown()  # type: ignore[no-untyped-call]


def spans_of(report: Report) -> "list[ReadableSpan]":
    """The trace; its parent is that of $TRACEPARENT, where a pipeline gives one."""
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    ended: list[ReadableSpan] = []

    class Collect(SpanProcessor):
        def on_end(self, span: "ReadableSpan") -> None:
            ended.append(span)

    provider = TracerProvider(resource=_resource(report), shutdown_on_exit=False)
    provider.add_span_processor(Collect())
    tracer = provider.get_tracer("podmedic", report.run.runner_version)
    carrier = {"traceparent": os.environ.get("TRACEPARENT", "")}
    parent = TraceContextTextMapPropagator().extract(carrier)
    run = report.run
    root = tracer.start_span(
        "podmedic run", context=parent, start_time=_ns(run.started_at), attributes=_of_run(report)
    )
    for finding in report.findings:
        root.add_event(
            "finding",
            {
                "podmedic.rule": f"{finding.playbook}/{finding.rule}",
                "podmedic.severity": finding.severity.value,
                "podmedic.workload": _workload(finding.workload),
                "podmedic.fingerprint": finding.fingerprint,
                "podmedic.message": _text(finding.message),
                "podmedic.pods": len(finding.pods),
            },
            timestamp=_ns(run.finished_at),
        )
    within = set_span_in_context(root, parent)
    for pod in report.pods:
        if pod.injections:
            _pod(tracer, within, pod, run.finished_at)
    if run.aborted or run.interrupted:
        _failed(root, run.aborted or "interrupted")
    root.end(_ns(run.finished_at))
    return ended


def _resource(report: Report) -> "Resource":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    found = Resource.create({"service.version": report.run.runner_version})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "podmedic"}))
    return found


def _of_run(report: Report) -> dict[str, Any]:
    run, summary = report.run, report.summary
    return {
        "podmedic.run.id": run.id,
        "k8s.cluster.name": _text(run.cluster),
        "podmedic.redacted": run.redacted,
        "podmedic.playbooks": [playbook.name for playbook in run.playbooks],
        "podmedic.pods": summary.pods,
        "podmedic.workloads.broken": summary.workloads_broken,
        "podmedic.workloads.suspicious": summary.workloads_suspicious,
        "podmedic.workloads.not_examined": summary.workloads_not_examined,
        "podmedic.workloads.healthy": summary.workloads_healthy,
        "podmedic.api_requests": run.api_requests,
        "podmedic.alerts": [alert.name for alert in run.trigger.alerts] if run.trigger else [],
    }


def _pod(tracer: "Tracer", within: "Context", pod: PodResult, run_ended: datetime) -> None:
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

    times = {step: found for step in pod.steps if (found := _times(step)) is not None}
    starts = [each.injected_at or each.started_at or run_ended for each in pod.injections[:1]]
    # Kubernetes tells the start of a container in whole seconds: it may seem to be the earlier one.
    begun = min((*starts, *(start for start, _ in times.values())))
    ends = [each.finished_at for each in pod.injections if each.finished_at is not None]
    ended = max((begun, *ends, *(end for _, end in times.values())))
    attributes = {
        "k8s.namespace.name": pod.namespace,
        "k8s.pod.name": pod.name,
        "k8s.pod.uid": pod.uid,
        "k8s.node.name": pod.node,
        "podmedic.workload": _workload(pod.workload),
        "podmedic.outcome": pod.outcome.value,
        "podmedic.reason": pod.reason,
        "podmedic.strategy": pod.strategy,
        "podmedic.container": pod.container,
    }
    if pod.workload.kind in _OWNERS:
        attributes[f"k8s.{pod.workload.kind.lower()}.name"] = pod.workload.name
    span = tracer.start_span("pod", context=within, start_time=_ns(begun), attributes=attributes)
    if pod.outcome in _NO_ANSWER:
        _failed(span, pod.message or pod.reason)
    inside = set_span_in_context(span, within)
    for step in pod.steps:
        if step.outcome is StepOutcome.NOT_EVALUATED:
            continue
        told = _of_step(step)
        if step not in times:
            span.add_event("step", {"podmedic.step": step.name, **told}, timestamp=_ns(ended))
            continue
        start, end = times[step]
        child = tracer.start_span(step.name, context=inside, start_time=_ns(start), attributes=told)
        if step.outcome in _STEP_NO_ANSWER:
            _failed(child, step.message or step.reason)
        child.end(_ns(end))
    span.end(_ns(ended))


def _times(step: StepResult) -> tuple[datetime, datetime] | None:
    """From the start of its first attempt to the end of its last; None where nobody knows."""
    known = [
        (each.started_at, each.started_at + timedelta(seconds=each.duration_seconds))
        for each in step.attempts
        if each.started_at is not None
    ]
    return (known[0][0], known[-1][1]) if known else None


def _of_step(step: StepResult) -> dict[str, Any]:
    return {
        "podmedic.playbook": step.playbook,
        "podmedic.outcome": step.outcome.value,
        "podmedic.attempts": len(step.attempts),
        **({} if step.exit_code is None else {"process.exit.code": step.exit_code}),
    }


def _failed(span: "Span", why: str) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    span.set_status(Status(StatusCode.ERROR, _text(why)))


def _workload(workload: Any) -> str:
    return f"{workload.namespace}/{workload.kind}/{workload.name}"


def _text(text: str) -> str:
    return cut(one_line(text), _MAX_TEXT)


def _ns(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1_000
