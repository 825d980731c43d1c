"""The report as SARIF 2.1.0, for code scanning and editors: one result for each finding, at the
line of the playbook whose rule says it.

A finding is about a workload, which is no file. Consumers want one, at a stable path: so a result
points at the rule, names the workload as its logical location, and is recognised again by our
fingerprint.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from runner.model.report import Finding, PodOutcome, Report, Severity
from runner.report.plain import cut, one_line, plain
from runner.report.view import notices, plural, unanswered

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# GitHub takes no file with more results than that, and shows the first 5 000 of them.
MAX_RESULTS = 25_000
_MAX_PODS = 100
_LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_RANKS = {"certain": 90.0, "likely": 60.0, "possible": 30.0}

Json = dict[str, Any]


def to_sarif(report: Report) -> str:
    findings = report.findings[:MAX_RESULTS]
    rules: dict[str, tuple[int, Json]] = {}
    results = []
    for finding in findings:
        rule = f"{finding.playbook}/{finding.rule}"
        index, _ = rules.setdefault(rule, (len(rules), _rule(rule, finding)))
        results.append(_result(rule, index, finding))
    run = report.run
    sarif: Json = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "podmedic",
                        "semanticVersion": run.runner_version,
                        "rules": [each for _, each in rules.values()],
                    }
                },
                "automationDetails": {"id": f"podmedic/{run.id}"},
                "invocations": [_invocation(report, len(report.findings) - len(findings))],
                "results": results,
                "properties": {
                    "cluster": one_line(run.cluster),
                    "namespaces": list(run.namespaces),
                    "playbooks": {each.name: each.sha256 for each in run.playbooks},
                },
            }
        ],
    }
    return json.dumps(sarif, indent=2) + "\n"


def _rule(name: str, finding: Finding) -> Json:
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in finding.rule.split("-")),
        "shortDescription": {"text": one_line(finding.title) or name},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": {"tags": [finding.playbook], "precision": _precision(finding)},
    }


def _precision(finding: Finding) -> str:
    return {"certain": "very-high", "likely": "high"}.get(finding.confidence.value, "medium")


def _result(rule: str, index: int, finding: Finding) -> Json:
    workload = finding.workload
    parts = [workload.namespace, workload.kind, workload.name, finding.container]
    location: Json = {
        "logicalLocations": [
            {
                "name": one_line(workload.name),
                "fullyQualifiedName": one_line("/".join(filter(None, parts))),
                "kind": "resource",
            }
        ]
    }
    if place := _place(finding.rule_place):
        location["physicalLocation"] = place
    message = one_line(finding.message) or one_line(finding.title)
    if finding.remediation:
        message += f"\n\nWhat to do: {plain(finding.remediation)}"
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "rank": _RANKS[finding.confidence.value],
        "message": {"text": f"{one_line('/'.join(parts[:3]))}: {message}"},
        "locations": [location],
        "partialFingerprints": {"podmedicCause/v1": finding.fingerprint},
        "properties": {
            "confidence": finding.confidence.value,
            "podCount": len(finding.pods),
            "pods": [f"{pod.namespace}/{pod.name}" for pod in finding.pods[:_MAX_PODS]],
            "evidence": [
                {"source": one_line(each.source), "excerpt": plain(each.excerpt)}
                for each in finding.evidence
            ],
        },
    }


def _place(place: str) -> Json | None:
    file, _, line = place.rpartition(":")
    if not file or not line.isdigit():
        return None
    path = PurePath(file)
    uri = f"file://{quote(file)}" if path.is_absolute() else quote(path.as_posix())
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": max(int(line), 1)}}


def _invocation(report: Report, left_out: int) -> Json:
    run = report.run
    return {
        "executionSuccessful": not (run.aborted or run.interrupted),
        "startTimeUtc": _time(run.started_at),
        "endTimeUtc": _time(run.finished_at),
        # What a result cannot say: that something was not seen. It is no sign of health.
        "toolExecutionNotifications": list(_notifications(report, left_out)),
    }


def _notifications(report: Report, left_out: int) -> Iterator[Json]:
    for notice in notices(report):
        yield _notification("error", notice)
    if left_out:
        yield _notification(
            "warning", f"{left_out} findings of lower rank are left out; report.json has them"
        )
    skipped = {"pod was skipped"} if _some_examined(report.pods) else set()
    for item in unanswered(report):
        level = "note" if item.what in skipped else "warning"
        yield _notification(level, f"{item.what}: {item.why} ({plural(item.pods, 'pod')})")


def _some_examined(pods: Sequence[Any]) -> bool:
    return any(pod.outcome is not PodOutcome.SKIPPED for pod in pods)


def _notification(level: str, text: str) -> Json:
    return {"level": level, "message": {"text": cut(one_line(text), 1_000)}}


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
