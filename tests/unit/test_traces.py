"""The trace of a run, as a collector receives it."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runner.model.report import PodOutcome, StepOutcome
from runner.traces import TracesError, missing, send, spans_of
from tests.unit.report_samples import (
    FINISHED,
    STARTED,
    large_report,
    pod,
    report_of,
    rich_report,
    step,
    workload,
)


@contextmanager
def collector(monkeypatch: pytest.MonkeyPatch, status: int = 200) -> Iterator[list[Any]]:
    """A real HTTP server that reads what OTLP sends."""
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def test_a_collector_gets_run_pods_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector(monkeypatch) as heard:
        send(rich_report())

    [request] = heard
    [resource] = request.resource_spans
    assert _attributes(resource.resource)["service.name"] == "podmedic"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    [root] = [span for span in spans if span.name == "podmedic run"]
    pods = [span for span in spans if span.name == "pod"]
    steps = [span for span in spans if span.name not in ("pod", "podmedic run")]
    injected = [one for one in rich_report().pods if one.injections]
    assert len(pods) == len(injected)
    assert len(steps) == sum(len(one.steps) for one in injected)
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.parent_span_id for span in pods} == {root.span_id}
    assert {span.parent_span_id for span in steps} <= {span.span_id for span in pods}
    assert root.start_time_unix_nano == int(STARTED.timestamp()) * 10**9
    assert root.end_time_unix_nano == int(FINISHED.timestamp()) * 10**9
    first = _attributes(pods[0])
    assert first["k8s.pod.name"] == "ledger-6d9f7c5b9-2xkq8"
    assert first["k8s.deployment.name"] == "ledger"
    assert first["podmedic.outcome"] == "failed"
    assert [_attributes(event)["podmedic.rule"] for event in root.events][:2] == [
        "crashloop/missing-env", "crashloop/db-unresolvable",
    ]  # fmt: skip
    assert "KeyError" not in str(request)  # no output of a pod


def _after_start(spans: Sequence[Any]) -> list[tuple[str, float, float]]:
    begun = STARTED.timestamp()
    return [
        (s.name, round(s.start_time / 1e9 - begun, 2), round(s.end_time / 1e9 - begun, 2))
        for s in spans
    ]


def test_a_step_is_where_it_was_in_time() -> None:
    """Its container started 3 s after the run; the step was tried at 4, 5 and 6 s."""
    made = pod("a-0", workload("a"), PodOutcome.PASSED, steps=(step("one", exit_code=1, tries=3),))
    *spans, _ = spans_of(report_of(made))
    assert _after_start(spans) == [
        ("one", 4, 6.36),
        ("pod", 2, 9),
    ]
    assert dict(spans[0].attributes or {}) == {
        "podmedic.playbook": "crashloop",
        "podmedic.outcome": "failed",
        "podmedic.attempts": 3,
        "process.exit.code": 1,
    }


def test_a_container_that_stays_is_older_than_the_look_into_it() -> None:
    made = pod("a-0", workload("a"), PodOutcome.PASSED, steps=(step("one"),))
    long_ago = STARTED - timedelta(days=3)
    [stays] = made.injections
    stays = msgspec.structs.replace(stays, started_at=long_ago, finished_at=None, transport="exec")
    made = msgspec.structs.replace(made, injections=(stays,))
    *spans, _ = spans_of(report_of(made))
    assert _after_start(spans) == [
        ("one", 4, 4.12),
        ("pod", 2, 4.12),
    ]


def test_a_step_of_which_no_time_is_known_is_an_event() -> None:
    lost = msgspec.structs.replace(step("one"), outcome=StepOutcome.ERROR, attempts=())
    whole, _ = spans_of(report_of(pod("a-0", workload("a"), PodOutcome.UNKNOWN, steps=(lost,))))
    [event] = whole.events
    assert (event.name, dict(event.attributes or {})["podmedic.step"]) == ("step", "one")


def test_what_got_no_answer_is_an_error_and_a_finding_is_none() -> None:
    lost = pod("a-0", workload("a"), PodOutcome.UNKNOWN, message="lost", steps=(step("s"),))
    ill = pod("a-1", workload("a"), PodOutcome.FAILED, steps=(step("s", exit_code=1),))
    said = {
        str((span.attributes or {}).get("k8s.pod.name")): span.status.status_code.name
        for span in spans_of(report_of(lost, ill))
        if span.name == "pod"
    }
    assert said == {"a-0": "ERROR", "a-1": "UNSET"}


def test_a_run_that_was_cut_short_is_an_error() -> None:
    report = report_of()
    run = msgspec.structs.replace(report.run, aborted="the breaker opened")
    [root] = spans_of(msgspec.structs.replace(report, run=run))
    assert (root.status.status_code.name, root.status.description) == (
        "ERROR", "the breaker opened",
    )  # fmt: skip


def test_the_standard_variables_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    [root] = spans_of(report_of())
    assert root.resource.attributes["service.name"] == "nightly"
    assert root.context is not None
    assert root.parent is not None
    assert (f"{root.context.trace_id:032x}", f"{root.parent.span_id:016x}") == ("ab" * 16, "cd" * 8)


def test_many_pods_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector(monkeypatch) as heard:
        send(large_report(1_000, output_bytes=10))
    spans = [s for r in heard for one in r.resource_spans for scope in one.scope_spans for s in scope.spans]  # fmt: skip
    assert len(spans) == 2_001


def test_a_collector_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector(monkeypatch, 400), pytest.raises(TracesError) as caught:
        send(report_of())
    assert "the collector refused them or could not be reached" in str(caught.value)


def test_a_collector_that_hangs_costs_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(TracesError, match=r"did not take them within 0\.3 s"):
            send(report_of(), seconds=0.3)
        assert time.monotonic() - began < 5
        # It would try again, in the time of other tests.
        server.settimeout(30)
        with server.accept()[0] as late:
            late.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            for thread in threading.enumerate():
                if thread.name == "traces":
                    thread.join(30)
                    assert not thread.is_alive()


def test_it_is_installed_here() -> None:
    assert missing() == ""
