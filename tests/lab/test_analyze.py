"""`podmedic analyze`: what a run saw, judged again without its cluster."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.unit.test_notify import webhook
from tests.unit.test_traces import collector

RULE: dict[str, Any] = {
    "id": "ends", "when": "container.exitCode == 3", "severity": "warning", "confidence": "likely",
    "title": "It ends", "message": "{{ container.name }} ends with {{ container.exitCode }}.",
}  # fmt: skip
STEP = {"name": "look", "run": ["echo", "here"]}
PASSWORD = "k3nn-W0rt-4711"
CRASH = "echo cannot go on; exit 3"


@pytest.fixture(scope="module")
def directory(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run over a Deployment, and over a pod whose manifest says a secret."""
    lab.images("busybox")
    desk = tmp_path_factory.mktemp("desk")
    secret = {"name": "PASSWORD", "value": PASSWORD}
    header = [{"name": "Authorization", "value": f"Bearer {PASSWORD}"}]
    probe = {"httpGet": {"path": "/", "port": 80, "httpHeaders": header}, "periodSeconds": 600}
    bare = pm.deployment("bare", "sleep 600", container={"env": [secret], "livenessProbe": probe})
    with lab.namespace("analyze") as namespace:
        pm.apply(
            lab, namespace, pm.deployment("web", CRASH, replicas=2),
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"},
             "spec": bare["spec"]["template"]["spec"]},
        )  # fmt: skip
        pm.wait_pod(lab, namespace, "bare")
        lab.kubectl(
            "wait", "pods", "-l", "app=web", "-n", namespace, "--timeout=180s",
            "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=3",
        )  # fmt: skip
        outcome = pm.run(
            lab, namespace, playbook(desk, [RULE]), "-o", "ndjson", "-o", "junit,sarif",
            "--log-format", "json", "--bundle",
            directory=desk / "run",
        )  # fmt: skip
        shutil.copytree(desk / "run", desk / "again")
        with (
            pytest.MonkeyPatch.context() as patch, collector(patch) as traced,
            webhook() as heard, webhook(500) as broken,
        ):  # fmt: skip
            (desk / "urls").write_text(f"{heard.url}\n{broken.url}\n")
            notify = ("--notify-file", desk / "urls", "--link", "https://reports.example/{run}")
            again = pm.run(
                lab, namespace, playbook(desk, [RULE]), "--baseline", "again", "--fail-on", "new",
                "--notify-on", "findings", *notify,
                "--metrics-textfile", desk / "podmedic.prom", "--otel",
                directory=desk / "again",
            )  # fmt: skip
    (desk / "heard.json").write_text(json.dumps(heard.heard))
    [trace] = traced
    (desk / "trace").write_bytes(trace.SerializeToString())
    assert outcome.code == 1, outcome.stderr
    (desk / "again.txt").write_text(f"{again.code}\n{again.stdout}{again.stderr}")
    (desk / "log").write_text(outcome.stderr)
    (desk / "stream").write_text(outcome.stdout)
    return desk / "run"


def playbook(folder: Path, findings: Sequence[dict[str, Any]]) -> Path:
    return pm.playbook(folder, [STEP], findings=list(findings))


def analyze(directory: Path, *arguments: str | Path) -> pm.Outcome:
    """Without any cluster."""
    return pm.podmedic(None, "analyze", directory, *arguments, directory=directory)


def test_the_same_rules_say_the_same_byte_for_byte(directory: Path) -> None:
    printed = analyze(directory, "-o", "json", "-q")
    assert printed.stdout == (directory / "report.json").read_text()
    assert printed.code == 1


def test_the_run_said_each_pod_as_it_finished_and_then_the_rest(directory: Path) -> None:
    lines = [json.loads(line) for line in (directory.parent / "stream").read_text().splitlines()]
    report = pm.Outcome(0, "", "", directory).report
    said: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        said.setdefault(line["kind"], []).append(line)

    assert list(said)[:4] == ["Pod", "PodVerdict", "Finding", "NotEvaluated"]
    assert lines[-1]["kind"] == "Run"
    assert {line["pod"]["uid"] for line in said["Pod"]} == {pod["uid"] for pod in report["pods"]}
    assert {(line["name"], line["outcome"]) for line in said["PodVerdict"]} == {
        (pod["name"], pod["outcome"]) for pod in report["pods"] if pod["outcome"] != "passed"
    }
    assert [line["finding"] for line in said["Finding"]] == report["findings"]
    assert [line["notEvaluated"] for line in said["NotEvaluated"]] == report["notEvaluated"]
    assert [(line["run"], line["summary"]) for line in said["Run"]] == [
        (report["run"], report["summary"])
    ]


def test_the_log_was_json_with_the_ids_of_run_and_pods(directory: Path) -> None:
    lines = [json.loads(line) for line in (directory.parent / "log").read_text().splitlines()]
    report = pm.Outcome(0, "", "", directory).report

    assert {line["run"] for line in lines} == {report["run"]["id"]}
    examined = [line for line in lines if line["message"] == "pod examined"]
    assert {(line["pod"], line["podUid"]) for line in examined} == {
        (pod["name"], pod["uid"]) for pod in report["pods"]
    }
    found = [line["finding"] for line in lines if "finding" in line]
    assert found == [finding["fingerprint"] for finding in report["findings"]]
    assert (lines[-1]["exitCode"], lines[-1]["level"]) == (1, "info")
    assert lines[-1]["report"] == str(directory / "report.html")
    assert [line["level"] for line in lines if line["message"].startswith("Bundle: ")] == ["info"]
    assert not any(PASSWORD in json.dumps(line) for line in lines)


def test_each_step_says_when_it_ran(directory: Path) -> None:
    report = pm.Outcome(0, "", "", directory).report
    for pod in report["pods"]:
        [injection], [step] = pod["injections"], pod["steps"]
        [attempt] = step["attempts"]
        began = [datetime.fromisoformat(each["startedAt"]) for each in (injection, attempt)]
        assert 0 <= (began[1] - began[0]).total_seconds() < 10
        # The end of a container is told in whole seconds, too.
        assert began[1] <= datetime.fromisoformat(injection["finishedAt"]) + timedelta(seconds=1)


def test_the_collector_got_the_run_as_it_was_in_time(directory: Path) -> None:
    """Steps within their pods, pods within the run."""
    desk = directory.parent
    report = pm.Outcome(0, "", "", desk / "again").report
    sent = ExportTraceServiceRequest.FromString((desk / "trace").read_bytes())
    spans = {
        span.span_id: span
        for resource in sent.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    names = Counter(span.name for span in spans.values())
    assert names == {"podmedic run": 1, "pod": len(report["pods"]), "look": len(report["pods"])}
    for span in spans.values():
        if span.parent_span_id:
            around = spans[span.parent_span_id]
            # The kubelet tells whole seconds.
            assert around.start_time_unix_nano - 10**9 <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= around.end_time_unix_nano


def test_what_the_baseline_has_is_no_failure(directory: Path) -> None:
    """The next run wrote to the directory that it was compared with."""
    code, *said = (directory.parent / "again.txt").read_text().splitlines()
    found = json.loads((directory.parent / "again" / "diff.json").read_bytes())

    first, second = (
        pm.Outcome(0, "", "", directory.parent / name).report for name in ("run", "again")
    )
    assert [found["old"]["id"], found["new"]["id"]] == [first["run"]["id"], second["run"]["id"]]
    assert [each["state"] for each in found["findings"]] == ["persisting"]
    assert code == "0"
    assert any(
        "1 persisting finding: " in line and line.endswith("again/diff.html") for line in said
    ), said
    printed = pm.podmedic(
        None, "diff", directory, directory.parent / "again", "-o", "json", directory=directory
    )
    assert printed.code == 0
    assert json.loads(printed.stdout) == found


def test_the_webhook_that_answers_is_told_and_the_one_that_fails_is_said(directory: Path) -> None:
    desk = directory.parent
    [heard] = json.loads((desk / "heard.json").read_text())
    report = pm.Outcome(0, "", "", desk / "again").report

    assert heard["title"].startswith("podmedic: 1 workload suspicious, 1 healthy on ")
    *_, cause, link = heard["message"].splitlines()
    namespace = report["run"]["namespaces"][0]
    assert cause == f"- warning: Deployment/web ({namespace}): app ends with 3. (2 pods)"
    assert link == f"https://reports.example/{report['run']['id']}"
    assert "cannot go on" not in heard["message"]
    code, *said = (desk / "again.txt").read_text().splitlines()
    assert code == "0"
    assert any(line.endswith("/hook: it was not accepted") for line in said), said
    assert not any("s3cr3t" in line for line in said)
    metrics = (desk / "podmedic.prom").read_text()
    assert 'podmedic_sink_failures{sink="notify"} 1.0' in metrics
    assert not any("s3cr3t" in path.read_text("latin-1") for path in (desk / "again").glob("*.*"))


def test_formats_asked_for_lie_beside_the_report(directory: Path) -> None:
    for name, format_ in (("junit.xml", "junit"), ("report.sarif", "sarif")):
        printed = pm.podmedic(None, "report", directory, "-o", format_, directory=directory)
        assert (printed.code, printed.stdout) == (0, (directory / name).read_text())


def test_nothing_changed_is_said(directory: Path) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    said = analyze(directory)
    assert said.stdout.endswith("The rules are those of the run; no verdict changed.\n")
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_rules_that_changed_change_verdicts(directory: Path, tmp_path: Path) -> None:
    """Given for this once; what each verdict was and is stands on one line, and the new report in
    a directory of its own."""
    other = {**RULE, "id": "ends-badly", "severity": "critical", "title": "It ends badly"}
    file = playbook(tmp_path, [{**RULE, "confidence": "certain"}, other])
    said = analyze(directory, file, "-o", tmp_path / "new")
    lines = said.stdout.splitlines()
    at = lines.index("Verdicts that changed:")
    namespace = pm.Outcome(0, "", "", directory).report["run"]["namespaces"][0]
    where = f"Deployment/web ({namespace})"
    names = sorted(p["name"] for p in new_report(tmp_path)["pods"] if p["name"] != "bare")
    assert lines[at - 3].startswith("Playbook probe changed: sha256 ")
    assert lines[at - 2 : at] == ["  Rules changed: ends", "  Rules new: ends-badly"]
    assert lines[at + 1 : -1] == [
        f"  new     {where}: ends-badly: app ends with 3. (critical, likely)",
        f"  changed {where}: ends: confidence likely -> certain",
        *(f"  changed pod {namespace}/{name}: warned -> failed" for name in names),
    ]
    assert lines[-1] == f"Report: {tmp_path / 'new' / 'report.html'}"
    rules = [finding["rule"] for finding in new_report(tmp_path)["findings"]]
    assert rules[:2] == ["ends-badly", "ends"]
    assert (tmp_path / "new" / "report.html").exists()


def new_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "new" / "report.json").read_bytes())
    return report


def test_a_rule_that_went_is_said(directory: Path, tmp_path: Path) -> None:
    said = analyze(directory, playbook(tmp_path, []))
    assert "\n  Rules gone: ends\n" in said.stdout
    assert "  gone    Deployment/web (" in said.stdout


def test_what_authors_wrote_into_a_manifest_is_not_kept(directory: Path) -> None:
    """Neither values of variables, nor headers of probes, nor kubectl's copy of all that."""
    kept = gzip.decompress((directory / "evidence.json.gz").read_bytes())
    assert b'"name":"bare"' in kept
    assert PASSWORD.encode() not in kept
    assert all(PASSWORD.encode() not in path.read_bytes() for path in directory.iterdir())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["crashloop"], "the run did not ask playbook crashloop: it asked probe"),
        (["-o", "{run}"], "-o {run}: that is the run itself; name another directory"),
        (["nosuch"], 'no playbook is called "nosuch"'),
    ],
)
def test_what_it_refuses(directory: Path, arguments: list[str], complaint: str) -> None:
    said = analyze(directory, *(word.format(run=directory) for word in arguments))
    assert said.code == 4
    assert complaint.format(run=directory) in said.stderr
    assert said.stdout == ""


def test_a_directory_without_evidence(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((directory / "run.json").read_bytes())
    said = analyze(tmp_path)
    assert said.code == 4
    assert said.stderr.startswith(f"podmedic: {tmp_path} has no evidence.json.gz: ")
    (tmp_path / "evidence.json.gz").write_bytes(b"\x1f\x8bnonsense")
    said = analyze(tmp_path)
    assert said.code == 4
    assert said.stderr.startswith(f"podmedic: {tmp_path}/evidence.json.gz: cannot be read: ")
    assert said.stderr.count("\n") == 1
