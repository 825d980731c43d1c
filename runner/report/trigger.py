"""Why a run was started, in the words of every page."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from runner.model.report import Report
from runner.model.trigger import Aim, Alert
from runner.report.plain import cut, one_line, plain

MAX_SHOWN = 20
_MAX_SUMMARY = 300
# What people write into annotations for the one line that a pager shows.
_SUMMARIES = ("summary", "description", "message")


def trigger_lines(report: Report, most: int = 3) -> tuple[str, ...]:
    """One line for each alert that started the run, at most `most`, and one for the rest."""
    trigger = report.run.trigger
    if trigger is None:
        return ()
    if trigger.asked is not None:
        why = f": {one_line(trigger.asked.reason)}" if trigger.asked.reason else ""
        return (f"Started by a request for {aim_text(trigger.asked.aim)}{why}",)
    started = [alert for alert in trigger.alerts if alert.aim is not None]
    lines = [_line(alert) for alert in started[:most]]
    more = len(started) - most
    return (*lines, f"… and {more} other alert{'s' if more > 1 else ''}") if more > 0 else (*lines,)


def aim_text(aim: Aim) -> str:
    """`pod web-0 in shop`."""
    target = aim.target
    told = [f"pod {target.pod}"] if target.pod else []
    told += [target.workload] if target.workload else []
    told += [f"pods with {target.selector}"] if target.selector else []
    return one_line(f"{' and '.join(told) or 'all pods'} in {target.namespace}")


def _line(alert: Alert) -> str:
    severity = alert.labels.get("severity", "")
    name = one_line(alert.name or "without a name")
    level = f" ({one_line(severity)})" if severity else ""
    about = f", {aim_text(alert.aim)}" if alert.aim is not None else ""
    text = cut(one_line(_summary(alert)), _MAX_SUMMARY)
    said = f": {text}" if text else ""
    ended = f", resolved at {_time(alert.resolved_at)}" if alert.resolved_at else ""
    since = f"firing since {_time(alert.starts_at)}{ended}"
    return f"Started by alert {name}{level}, {since}{about}{said}"


def _summary(alert: Alert) -> str:
    return next((alert.annotations[key] for key in _SUMMARIES if alert.annotations.get(key)), "")


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def alerts_shown(report: Report) -> tuple[dict[str, Any], ...]:
    """For the page: every alert of the group as values, harmless to show."""
    trigger = report.run.trigger
    if trigger is None:
        return ()
    return tuple(_shown(alert) for alert in trigger.alerts[:MAX_SHOWN])


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "name": one_line(alert.name or "without a name"),
        "since": alert.starts_at,
        "until": alert.resolved_at or alert.ends_at,
        "about": aim_text(alert.aim) if alert.aim is not None else "",
        "reason": one_line(alert.reason),
        "route": one_line(alert.route),
        "url": link(alert.generator_url),
        "pairs": tuple(_pairs(alert)),
    }


def _pairs(alert: Alert) -> Iterator[tuple[str, str]]:
    for key, value in alert.annotations.items():
        yield one_line(key), plain(value)
    for key, value in alert.labels.items():
        yield one_line(key), one_line(value)


def link(url: str) -> str:
    """The address if a click on it can only open a page; else nothing."""
    return url if url.startswith(("http://", "https://")) and url == one_line(url) else ""
