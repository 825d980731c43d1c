"""Notifications: what they say, and that a service that fails or hangs costs the message only."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from runner.cli.notify import Notify, notified, read_notify
from runner.compare import compare
from runner.model.report import Evidence, Severity
from runner.notify import NotifyError, WhatFor, message_of, read_services, send
from tests.unit.report_samples import HOSTILE, pod, report_of, rich_report, workload
from tests.unit.test_compare import E, F, P, finding, run, web


@dataclass
class Webhook:
    """A real HTTP server on loopback."""

    port: int = 0
    status: int = 200
    heard: list[dict[str, Any]] = field(default_factory=list)
    hang: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"json://user:s3cr3t-t0ken@127.0.0.1:{self.port}/hook"


@contextmanager
def webhook(status: int = 200, *, hangs: bool = False) -> Iterator[Webhook]:
    made = Webhook(status=status, hang=threading.Event() if hangs else None)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if made.hang is not None:
                # A byte now and then: no time-out of a socket ever passes.
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not made.hang.wait(0.2):
                    self.wfile.write(b"X-Wait: 1\r\n")
                return
            made.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        if made.hang is not None:
            made.hang.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_what_a_webhook_is_told() -> None:
    message = message_of(rich_report(), None, WhatFor.FINDINGS, "https://reports.example/{run}/")
    assert message is not None
    with webhook() as hook:
        assert list(send(read_services([hook.url]), message)) == []

    [heard] = hook.heard
    assert heard["type"] == "failure"
    assert heard["title"] == (
        "podmedic: 2 workloads broken, 2 suspicious, 4 healthy, 2 not examined on prod-eu-1"
    )
    lines = heard["message"].splitlines()
    assert lines[0] == (
        "- critical: Deployment/ledger (shop): app exits with code 1 because LEDGERˍURL is not "
        "set. (6 pods)"
    )
    assert lines[-1] == "https://reports.example/20261123-031240-k3f9/"


def test_no_output_and_no_excerpt_is_told() -> None:
    report = rich_report()
    secret = Evidence(source="log of container app, line 1", excerpt="the-excerpt")
    findings = tuple(msgspec.structs.replace(each, evidence=(secret,)) for each in report.findings)
    message = message_of(
        msgspec.structs.replace(report, findings=findings), None, WhatFor.FINDINGS, ""
    )
    assert message is not None
    outputs = {step.stdout.strip() for pod in report.pods for step in pod.steps if step.stdout}
    assert not [text for text in (*outputs, "the-excerpt") if text and text in message.body]
    assert "kubectl" not in message.body


@pytest.mark.parametrize("text", [*HOSTILE, "<!channel>", "@everyone", "[a](https://evil.example)"])
def test_nothing_from_a_pod_calls_anybody_or_links(text: str) -> None:
    report = run(0, [web(F)], [finding(message=text)])
    message = message_of(report, None, WhatFor.FINDINGS, "")
    assert message is not None
    assert not [mark for mark in ("@", "<", ">", "`", "://", "\x1b") if mark in message.body]
    assert "\n" not in message.body


def test_a_service_that_refuses_is_told_without_its_token() -> None:
    message = message_of(rich_report(), None, WhatFor.FINDINGS, "")
    assert message is not None
    with webhook(500) as bad, webhook() as good:
        said = list(send(read_services([bad.url, good.url]), message))

    assert said == [
        f"notification to json://user:****@127.0.0.1:{bad.port}/hook: it was not accepted"
    ]
    assert len(good.heard) == 1


def test_a_service_that_hangs_costs_its_time_and_no_more() -> None:
    message = message_of(rich_report(), None, WhatFor.FINDINGS, "")
    assert message is not None
    with webhook(hangs=True) as bad, webhook() as good:
        began = time.monotonic()
        said = list(send(read_services([bad.url, good.url]), message, seconds=1.5))
        took = time.monotonic() - began

    assert [line.partition("hook: ")[2] for line in said] == ["no answer within 1.5 s"]
    assert len(good.heard) == 1
    assert took < 5


OLD = run(0, [web(F)], [finding("stays")])
SAME = run(1, [web(F)], [finding("stays")])
NEWS = run(1, [web(F)], [finding("comes"), finding("stays")])


def test_with_a_baseline_only_what_is_new() -> None:
    assert message_of(SAME, compare([OLD], SAME), WhatFor.NEW, "") is None
    message = message_of(NEWS, compare([OLD], NEWS), WhatFor.NEW, "")
    assert message is not None
    assert message.body == (
        "1 new finding, 1 persisting.\n- critical: Deployment/web (shop): comes in web (1 pod)"
    )


def test_what_comes_and_goes_is_told_so() -> None:
    again = run(2, [web(F)], [finding()])
    earlier = [run(0, [web(F)], [finding()]), run(1, [web(P)])]
    message = message_of(again, compare(earlier, again), WhatFor.NEW, "")
    assert message is not None
    assert message.body.endswith(" (1 pod, comes and goes)")


def test_a_workload_that_is_worse_is_news() -> None:
    old, new = run(0, [web(P)]), run(1, [web(E)])
    message = message_of(new, compare([old], new), WhatFor.NEW, "")
    assert message is not None
    assert message.body.endswith("- Deployment/web (shop) is not examined, was healthy")
    assert message.level == "warning"


def test_what_only_informs_is_not_told() -> None:
    report = run(0, [web(P)], [finding(severity=Severity.INFO)])
    assert message_of(report, None, WhatFor.FINDINGS, "") is None
    always = message_of(report, None, WhatFor.ALWAYS, "")
    assert always is not None
    assert (always.level, always.body) == ("success", "Nothing was found.")


def test_a_run_that_was_cut_short_is_told() -> None:
    report = report_of(pod("web-0", workload("web"), P))
    aborted = msgspec.structs.replace(report.run, aborted="the breaker opened")
    message = message_of(msgspec.structs.replace(report, run=aborted), None, WhatFor.FINDINGS, "")
    assert message is not None
    assert message.level == "failure"
    assert message.body == "The sweep was aborted: the breaker opened."


def test_many_findings_are_counted() -> None:
    report = run(0, [web(F)], [finding(f"rule-{n}") for n in range(13)])
    message = message_of(report, None, WhatFor.FINDINGS, "")
    assert message is not None
    assert message.body.splitlines()[-1] == "… and 3 other findings"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense://token@x", "apprise knows no service nonsense://… of that form"),
        ("slack://token-only", "apprise knows no service slack://… of that form"),
        ("just words", "it is no URL"),
    ],
)
def test_what_is_no_service_is_refused_without_its_token(url: str, said: str) -> None:
    with pytest.raises(NotifyError) as caught:
        read_services([url])
    assert str(caught.value) == f"notification 1: {said}; docs/notify.md has examples"


def test_urls_from_a_file_and_from_options(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# the team\njson://a/\n\n  json://b/\n")
    found = read_notify(["json://c/ json://d/"], file, None, "", baseline=False)
    assert found is not None
    assert [each.name for each in found.services] == [f"json://{name}/" for name in "cdab"]
    assert read_notify([], None, None, "", baseline=False) is None


def test_mistakes_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="compared with what"):
        read_notify(["json://a/"], None, "new", "", baseline=False)
    with pytest.raises(click.UsageError, match="No such file or directory"):
        read_notify([], tmp_path / "none", None, "", baseline=False)
    with pytest.raises(click.UsageError, match="apprise knows no service"):
        read_notify(["nonsense://x"], None, None, "", baseline=False)


def test_what_failed_is_said_and_known(capsys: pytest.CaptureFixture[str]) -> None:
    with webhook(500) as bad:
        wanted = Notify(read_services([bad.url]), None, "")
        assert not notified(wanted, rich_report(), None)
        assert notified(wanted, report_of(pod("web-0", workload("web"), P)), None)  # no news
    assert "it was not accepted" in capsys.readouterr().err
    assert notified(None, rich_report(), None)
