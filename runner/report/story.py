"""What is told of a workload besides its findings: what to do, what changed, the lives of pods."""

from collections.abc import Sequence
from typing import Any

from runner.model.changes import ConfigurationChange, Revision, RevisionChange
from runner.model.report import Finding, Moment
from runner.report.plain import one_line

Json = dict[str, Any]


def advice(findings: Sequence[Finding]) -> str:
    """What mends the first of them, on one line; empty where nobody says."""
    return one_line(findings[0].remediation) if findings else ""


def change(found: RevisionChange | None) -> Json | None:
    if found is None:
        return None
    return {
        "before": _revision(found.before),
        "after": _revision(found.after),
        "more": found.more,
        "differences": [
            {
                "path": one_line(each.path),
                "before": None if each.before is None else one_line(each.before),
                "after": None if each.after is None else one_line(each.after),
            }
            for each in found.differences
        ],
    }


def configuration(found: Sequence[ConfigurationChange]) -> list[Json]:
    return [
        {
            "name": one_line(each.name),
            "container": one_line(each.container),
            "at": each.changed_at.isoformat(),
            "usedAs": list(each.used_as),
            "stale": each.stale,
            "pods": [one_line(pod.name) for pod in each.pods],
        }
        for each in found
    ]


def _revision(one: Revision) -> Json:
    return {
        "number": one.number,
        "name": one_line(one.name),
        "ready": one.ready,
        "time": one.created_at.isoformat() if one.created_at else "",
    }


def timeline(moments: Sequence[Moment]) -> list[Json]:
    return [
        {
            "at": each.at.isoformat(),
            "until": each.until.isoformat() if each.until else "",
            "what": each.what,
            "container": one_line(each.container),
            "text": one_line(each.text),
            "count": each.count,
            "bad": each.bad,
        }
        for each in moments
    ]
