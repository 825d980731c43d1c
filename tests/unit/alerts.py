"""Bodies of webhooks, as short as what they show."""

import json
from datetime import UTC, datetime
from typing import Any

SINCE = datetime(2026, 11, 23, 2, 58, tzinfo=UTC)
RECEIVED = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LABELS = {
    "alertname": "KubePodCrashLooping",
    "namespace": "shop",
    "pod": "web-0",
    "container": "app",
    "severity": "critical",
}


def alert(labels: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": LABELS if labels is None else labels,
        "annotations": {"summary": "Pod shop/web-0 is crash looping"},
        "startsAt": "2026-11-23T02:58:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": "c5d0e1a2b3f40516",
        **fields,
    }


def webhook(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What Alertmanager posts."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="KubePodCrashLooping"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "podmedic",
        "groupLabels": {"alertname": "KubePodCrashLooping"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts) or [alert()],
        **fields,
    }


def body(*alerts: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(webhook(*alerts, **fields)).encode()


def grafana(*alerts: dict[str, Any]) -> bytes:
    """What Grafana posts: more fields, and a version of its own."""
    more = {"values": {"A": 3.0}, "silenceURL": "", "dashboardURL": "", "panelURL": ""}
    return body(
        *({**each, **more} for each in alerts or (alert(),)),
        version="1", orgId=1, title="[FIRING:1]", state="alerting", message="…",
    )  # fmt: skip


# Each would widen a selection, or reach what it must not, if a label were ever read as anything
# but an exact word on the key that the route names. With what the default routes make of it.
_LONG = "a" * 300
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    name: ({**LABELS, **labels}, told)
    for name, labels, told in (
        ("star", {"pod": "*"}, '"pod" holds "*"'),
        ("set", {"pod": "a in (b)"}, '"pod" holds "a in (b)"'),
        ("comma", {"pod": "web-0,app!=x"}, '"pod" holds "web-0,app!=x"'),
        ("leading comma", {"pod": ",app!=x"}, '"pod" holds ",app!=x"'),
        ("newline", {"pod": "web-0\n"}, '"pod" holds "web-0 "'),
        ("newline inside", {"pod": "web\n-0"}, '"pod" holds'),
        ("nul", {"pod": "web\x00"}, '"pod" holds'),
        ("long", {"pod": _LONG}, '"pod" holds'),
        ("empty pod", {"pod": ""}, "no route takes it"),
        ("blank", {"pod": " "}, '"pod" holds'),
        ("blank before", {"pod": " web-0"}, '"pod" holds'),
        ("upper case", {"pod": "WEB-0"}, '"pod" holds'),
        ("slash", {"pod": "../web-0"}, '"pod" holds'),
        ("path", {"pod": "web-0/log"}, '"pod" holds'),
        ("query", {"pod": "web-0?watch=1"}, '"pod" holds'),
        ("escape", {"pod": "web%2d0"}, '"pod" holds'),
        ("regular expression", {"pod": ".*"}, '"pod" holds'),
        ("template", {"pod": "{{ .Labels }}"}, '"pod" holds'),
        ("shell", {"pod": "$(id)"}, '"pod" holds'),
        ("field selector", {"pod": "web-0,spec.nodeName=n"}, '"pod" holds'),
        ("full width", {"pod": "ｗｅｂ-0"}, '"pod" holds'),
        ("bidi", {"pod": "web\u202e-0"}, '"pod" holds'),
        ("digits of another script", {"pod": "web-٣"}, '"pod" holds'),
        ("star namespace", {"namespace": "*"}, '"namespace" holds'),
        ("all namespaces", {"namespace": ""}, 'no label "namespace"'),
        ("namespace of two", {"namespace": "shop,kube-system"}, '"namespace" holds'),
        ("dots in a namespace", {"namespace": ".."}, '"namespace" holds'),
        ("long namespace", {"namespace": "n" * 64}, '"namespace" holds'),
        ("negation", {"namespace": "!shop"}, '"namespace" holds'),
        ("namespace path", {"namespace": "shop/pods/web-0"}, '"namespace" holds'),
        ("deployment star", {"deployment": "*"}, '"deployment" holds'),
        ("deployment glob", {"deployment": "web-?"}, '"deployment" holds'),
        ("deployment brackets", {"deployment": "[a-z]eb"}, '"deployment" holds'),
        ("deployment or", {"deployment": "web|api"}, '"deployment" holds'),
        ("job slash", {"job_name": "Deployment/web"}, '"job_name" holds'),
        ("statefulset newline", {"statefulset": "db\ndb2"}, '"statefulset" holds'),
    )
} | {
    "no pod": ({"alertname": "A", "namespace": "shop"}, "no route takes it"),
    "no namespace": ({"alertname": "A", "pod": "web-0"}, 'no label "namespace"'),
    "no labels": ({}, "no route takes it"),
    "other keys": ({"exported_pod": "web-0", "exported_namespace": "shop"}, "no route takes it"),
}
