"""What is told: the verdict, causes as sentences, a link. Never an output, a log line or an
excerpt: the reader's phone is no place for them. Pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum

import msgspec

from runner.compare import Comparison
from runner.compare.runs import is_news
from runner.compare.text import headline as headline_of
from runner.compare.text import worse
from runner.model.report import Finding, Report, Severity
from runner.report.plain import cut, one_line
from runner.report.view import headline, notices, plural

MAX_FINDINGS = 10
_MAX_CAUSE = 300
_MAX_LINE = 400
# What chats take for a mention, a link or markup becomes something that looks like it.
_MARKUP = str.maketrans({"@": "＠", "<": "‹", ">": "›", "`": "'", "*": "∗", "_": "\u02cd"})
_LINK = re.compile("://")


class WhatFor(StrEnum):
    """When something is told."""

    NEW = "new"  # findings that the baseline does not have
    FINDINGS = "findings"  # any of severity warning and above
    ALWAYS = "always"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`level` is failure, warning or success."""

    level: str
    title: str
    body: str


def message_of(
    report: Report, comparison: Comparison | None, what_for: WhatFor, link: str
) -> Message | None:
    """None where there is nothing to tell. A run that was cut short is told whatever it found."""
    findings = _findings(report, comparison, what_for)
    news = list(worse(comparison)) if comparison and what_for is WhatFor.NEW else []
    cut_short = bool(report.run.aborted or report.run.interrupted)
    if not (findings or news or cut_short or what_for is WhatFor.ALWAYS):
        return None
    lines = [f"{harmless(notice)}." for notice in notices(report)]
    lines += _alerts(report)
    if comparison is not None:
        lines.append(f"{headline_of(comparison)}.")
    states = comparison.findings if comparison is not None else ()
    flapping = {each.finding.fingerprint for each in states if each.flapping}
    lines += [_line(each, flapping) for each in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        lines.append(f"… and {plural(len(findings) - MAX_FINDINGS, 'other finding')}")
    for each in news[:MAX_FINDINGS]:
        workload = each.workload
        name = f"{workload.kind}/{workload.name} ({workload.namespace})"
        lines.append(harmless(f"- {name} is {each.after}, was {each.before or 'not there'}"))
    if link:
        # The operator's own.
        lines.append(link.replace("{run}", report.run.id))
    where = f" on {report.run.cluster}" if report.run.cluster else ""
    critical = cut_short or any(each.severity is Severity.CRITICAL for each in findings)
    return Message(
        level="failure" if critical else "warning" if findings or news else "success",
        title=harmless(f"podmedic: {headline(report.summary)}{where}"),
        body="\n".join(lines) or "Nothing was found.",
    )


def _findings(
    report: Report, comparison: Comparison | None, what_for: WhatFor
) -> Sequence[Finding]:
    if what_for is WhatFor.NEW and comparison is not None:
        return [each.finding for each in comparison.findings if is_news(each)]
    return [each for each in report.findings if each.severity is not Severity.INFO]


def _alerts(report: Report) -> Iterator[str]:
    trigger = report.run.trigger
    if trigger is None:
        return
    names = dict.fromkeys(alert.name for alert in trigger.alerts)
    if names:
        yield harmless(f"Started by {', '.join(names)}.")


def _line(finding: Finding, flapping: Collection[str]) -> str:
    workload = finding.workload
    remarks = [plural(len(finding.pods), "pod")] if finding.pods else []
    remarks += ["comes and goes"] if finding.fingerprint in flapping else []
    after = f" ({', '.join(remarks)})" if remarks else ""
    cause = cut(one_line(finding.message or finding.title), _MAX_CAUSE)
    name = f"{workload.kind}/{workload.name} ({workload.namespace})"
    return harmless(f"- {finding.severity.value}: {name}: {cause}{after}")


def harmless(text: str) -> str:
    """One line that calls nobody, links to nothing and is no markup."""
    return cut(_LINK.sub(": //", one_line(text).translate(_MARKUP)), _MAX_LINE)
