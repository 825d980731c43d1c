"""`report.html`: one file that opens from disk and speaks to nobody.

The verdict and the first rows are plain HTML, so that the page says the essential before and
without its script. Everything else travels compressed, and is inflated when somebody looks.
"""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from runner import resources
from runner.model.report import Report
from runner.report import details, view
from runner.report.completeness import evidence_lines
from runner.report.summary import Verdict
from runner.report.trigger import alerts_shown, trigger_lines

if TYPE_CHECKING:  # Jinja is imported when a page is made: most commands make none.
    from jinja2 import Environment

STATIC_ROWS = 50
_CHUNK_BYTES = 512 * 1024
_COMPRESSION = 6
_SCRIPTS = ("parts.js", "report.js")  # in this order: the second one uses the first


def to_html(report: Report) -> str:
    """The page as one string; all text in it that came from a pod is escaped and harmless."""
    from markupsafe import Markup  # noqa: PLC0415

    templates = _templates()
    rows = view.rows(report)
    style, scripts = _asset("report.css"), [_asset(name) for name in _SCRIPTS]
    index, chunks = _data(report, rows)
    return templates.get_template("report.html.j2").render(
        report=report,
        run=report.run,
        title=view.headline(report.summary),
        tone=view.tone(report).value,
        notices=view.notices(report),
        unanswered=view.unanswered(report),
        trigger=report.run.trigger,
        started_by=trigger_lines(report),
        evidence=[*evidence_lines(report.summary.evidence)],
        alerts=alerts_shown(report),
        rows=[_static(row) for row in _shown(rows)[:STATIC_ROWS]],
        hidden_rows=max(len(_shown(rows)) - STATIC_ROWS, 0),
        healthy=[row.workload for row in rows if row.verdict is Verdict.HEALTHY],
        style=Markup(style),  # noqa: S704  our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704  our own files
        policy=_policy(style, scripts),
        index=index,
        chunks=chunks,
    )


def load_templates() -> None:
    """Import and compile what `to_html` needs, which may be done while there is time."""
    _templates().get_template("report.html.j2")


@cache
def _templates() -> "Environment":
    from runner.report.templates import page_environment  # noqa: PLC0415

    environment = page_environment()
    environment.filters.update(utc=_utc, iso=datetime.isoformat, seconds=_duration)
    environment.globals["plural"] = view.plural
    return environment


@cache
def _asset(name: str) -> str:
    return (resources.directory("reports") / name).read_text(encoding="utf-8")


def _policy(style: str, scripts: Sequence[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(repr(_hash(script)) for script in scripts)}",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(rows: Sequence[view.Row]) -> list[view.Row]:
    return [row for row in rows if row.verdict is not Verdict.HEALTHY]


def _static(row: view.Row) -> dict[str, Any]:
    entry = details.index_entry(row)
    top = row.findings[0] if row.findings else None
    return {**entry, "fix": details.fix_parts(top.remediation) if top else []}


def _data(report: Report, rows: Sequence[view.Row]) -> tuple[str, list[str]]:
    """The list of workloads, and all their details in chunks; both compressed, in base64."""
    limit = details.output_limit(report.pods)
    index: list[dict[str, Any]] = []
    chunks: list[str] = []
    waiting: list[bytes] = []
    size = 0
    for row in rows:
        encoded = msgspec.json.encode(details.detail(row, limit))
        if waiting and size + len(encoded) > _CHUNK_BYTES:
            chunks.append(_packed(waiting))
            waiting, size = [], 0
        index.append({**details.index_entry(row), "chunk": len(chunks), "at": len(waiting)})
        waiting.append(encoded)
        size += len(encoded)
    chunks.append(_packed(waiting))
    return _deflated(msgspec.json.encode(index)), chunks


def _packed(values: Sequence[bytes]) -> str:
    return _deflated(b"[" + b",".join(values) + b"]")


def _deflated(raw: bytes) -> str:
    return b64encode(zlib.compress(raw, _COMPRESSION)).decode()


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 4 min`: how long something took, for people."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
