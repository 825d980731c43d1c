"""What the routes make of a group of alerts. Pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from runner.model.trigger import Aim, Alert, Trigger
from runner.triggers.body import RawAlert, Webhook
from runner.triggers.matchers import Matcher
from runner.triggers.spec import Route, Routes
from runner.triggers.targets import NoTargetError, aim_of

# What is kept of an alert for people; targets are read from the whole.
_MAX_LABEL = 256
_MAX_ANNOTATION = 1024
_MAX_PAIRS = 32
_MAX_URL = 2048
_ELLIPSIS = "…"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`passed` are the routes that were asked before, each with the matcher that did not hold;
    without `aim` nothing is started, `reason` says why in words that follow "the alert"."""

    route: Route | None
    passed: tuple[tuple[Route, Matcher], ...]
    aim: Aim | None
    reason: str = ""


def decide(routes: Routes, labels: Mapping[str, str]) -> Decision:
    passed: list[tuple[Route, Matcher]] = []
    for route in routes.spec.routes:
        matcher = route.why_not(labels)
        if matcher is not None:
            passed.append((route, matcher))
            continue
        try:
            aim, reason = aim_of(routes, route, labels), ""
        except NoTargetError as error:
            aim, reason = None, str(error)
        return Decision(route=route, passed=tuple(passed), aim=aim, reason=reason)
    return Decision(route=None, passed=tuple(passed), aim=None, reason="no route takes it")


def trigger_of(webhook: Webhook, routes: Routes, received_at: datetime) -> Trigger:
    """All alerts of the group, each with what it starts or why it starts nothing."""
    return Trigger(
        source=webhook.source,
        received_at=received_at,
        receiver=_cut(webhook.receiver, _MAX_LABEL),
        group_key=_cut(webhook.group_key, _MAX_ANNOTATION),
        external_url=_url(webhook.external_url),
        alerts=tuple(_alert(raw, routes) for raw in webhook.alerts),
        not_shown=max(webhook.truncated_alerts, 0),
    )


def _alert(raw: RawAlert, routes: Routes) -> Alert:
    decision = decide(routes, raw.labels)
    reason = decision.reason if raw.firing else "it is resolved"
    return Alert(
        name=_cut(raw.labels.get("alertname", ""), _MAX_LABEL),
        fingerprint=raw.id,
        firing=raw.firing,
        starts_at=raw.starts_at,
        ends_at=raw.ended_at,
        labels=_pairs(raw.labels, _MAX_LABEL),
        annotations=_pairs(raw.annotations, _MAX_ANNOTATION),
        generator_url=_url(raw.generator_url),
        route="" if decision.route is None else decision.route.name,
        aim=decision.aim if raw.firing else None,
        reason=reason,
    )


def _pairs(found: Mapping[str, str], most: int) -> dict[str, str]:
    kept = sorted(found.items())[:_MAX_PAIRS]
    return {_cut(key, _MAX_LABEL): _cut(value, most) for key, value in kept}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + _ELLIPSIS


def _url(text: str) -> str:
    """A link for people, or nothing: a part of one leads elsewhere."""
    fine = text.startswith(("http://", "https://")) and len(text) <= _MAX_URL
    return text if fine and text.isprintable() and " " not in text else ""
