"""The report as Markdown, short enough for a chat: the rows of the page with the same sentences.
Everything from a pod is escaped: it can neither make markup nor call anybody by `@`."""

import re
from collections.abc import Iterator
from datetime import UTC

from runner.model.report import Report
from runner.report.completeness import evidence_lines
from runner.report.plain import cut, one_line, squeezed
from runner.report.story import advice
from runner.report.summary import Verdict
from runner.report.trigger import trigger_lines
from runner.report.view import (
    Row,
    change_sentences,
    headline,
    notices,
    plural,
    refutations,
    rows,
    unanswered,
)

MAX_CHARACTERS = 3_900  # chats take 4000, job summaries far more
_MAX_CAUSE = 400
_MAX_LINE = 160
_MAX_OPEN = 5
_TO_DO, _RULED_OUT = "  - What to do:", "  - Ruled out:"
# A list or heading begins at the start of a line only, where no text of a pod stands.
_MARKUP = re.compile(r"://|[\\`*_{}\[\]()#!|~&<>@]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "://": "&#58;//"}


def to_markdown(report: Report, limit: int = MAX_CHARACTERS) -> str:
    """At most `limit` characters, the worst first: with what was ruled out and what to do where all
    rows fit so, else without; what does not fit at last is counted."""
    lines = list(_head(report))
    shown = [row for row in rows(report) if row.verdict is not Verdict.HEALTHY]
    tail = list(_open_questions(report))
    room = limit - sum(map(_size, (*lines, *tail))) - 100
    told = [list(_row(row)) for row in shown]
    for words in (_RULED_OUT, _TO_DO):
        if sum(_size(line) for made in told for line in made) > room:
            told = [[line for line in made if not line.startswith(words)] for made in told]
    for number, made in enumerate(told):
        room -= sum(map(_size, made))
        if room < 0:
            lines.append(f"- … and {plural(len(shown) - number, 'other workload')}")
            break
        lines += made
    return "\n".join([*lines, *tail]) + "\n"


def _size(line: str) -> int:
    return len(line) + 1


def _head(report: Report) -> Iterator[str]:
    run = report.run
    yield f"### {escaped(headline(report.summary))}"
    yield ""
    for notice in notices(report):
        yield f"**{escaped(cut(one_line(notice), _MAX_CAUSE))}.**"
        yield ""
    for line in trigger_lines(report):
        yield escaped(cut(one_line(line), _MAX_CAUSE))
        yield ""
    for line in evidence_lines(report.summary.evidence):
        yield escaped(cut(one_line(line), _MAX_CAUSE))
        yield ""
    where = ", ".join(run.namespaces[:5]) + (" …" if len(run.namespaces) > 5 else "")
    time = run.started_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    playbooks = ", ".join(playbook.name for playbook in run.playbooks)
    told = [plural(report.summary.pods, "pod"), where, time, playbooks]
    yield " · ".join(escaped(cut(one_line(word), _MAX_LINE)) for word in told if word)
    yield ""


def _row(row: Row) -> Iterator[str]:
    workload = row.workload
    facts = [row.pods]
    if row.restarts:
        facts.append(plural(row.restarts, "restart"))
    if row.confidence:
        facts.append(row.confidence.value)
    name = escaped(one_line(f"{workload.kind}/{workload.name}"))
    where = escaped(one_line(workload.namespace))
    cause = escaped(cut(one_line(row.cause), _MAX_CAUSE))
    yield f"- **{row.verdict.value}** **{name}** in {where} ({', '.join(facts)}): {cause}"
    if row.decisive:
        yield f"  - {_code(squeezed(one_line(row.decisive), _MAX_LINE))}"
    if todo := advice(row.findings):
        yield f"{_TO_DO} {escaped(cut(todo, _MAX_CAUSE))}"
    for said in change_sentences(row):
        yield f"  - {escaped(cut(one_line(said), _MAX_CAUSE))}"
    # For a chat only what is said shortly.
    said = " ".join(map(one_line, refutations(row)))
    if said and len(said) <= _MAX_CAUSE:
        yield f"{_RULED_OUT} {escaped(said)}"


def _open_questions(report: Report) -> Iterator[str]:
    made = unanswered(report)
    if not made:
        return
    yield ""
    yield "Not examined or not evaluated:"
    yield ""
    for item in made[:_MAX_OPEN]:
        pods = f" ({plural(item.pods, 'pod')})" if item.pods else ""
        yield f"- {escaped(cut(one_line(f'{item.what}: {item.why}'), _MAX_LINE))}{pods}"
    if len(made) > _MAX_OPEN:
        yield f"- … and {plural(len(made) - _MAX_OPEN, 'other reason')}"


def escaped(text: str) -> str:
    """Reads as the text, whatever is in it."""
    return _MARKUP.sub(_harmless, text)


def _harmless(match: re.Match[str]) -> str:
    found = match.group()
    return _ENTITIES.get(found) or "\\" + found


def _code(text: str) -> str:
    """A span of code that nothing in it can end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}"
