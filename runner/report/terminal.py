"""The report on one screen of a terminal, with the words of the page. Everything from a pod is
`plain`: it can neither move the cursor nor colour anything, and there is no markup to interpret."""

from collections.abc import Iterable, Sequence

from runner.model.report import Report
from runner.report.completeness import evidence_lines
from runner.report.plain import cells, cut, one_line, squeezed, wrapped
from runner.report.story import advice
from runner.report.summary import Verdict
from runner.report.trigger import trigger_lines
from runner.report.view import (
    Row,
    Tone,
    Unanswered,
    change_sentences,
    headline,
    notices,
    plural,
    rows,
    tone,
    unanswered,
)

MAX_LINES = 21  # of workloads: seven with all their lines, or one line each
_NARROWEST = 40
_REASON_LINES = 3
_FOLLOWS = "FactMissing: "
_COLORS = {
    Verdict.BROKEN: "31",
    Verdict.SUSPICIOUS: "33",
    Verdict.NOT_EXAMINED: "35",
    Verdict.HEALTHY: "32",
}
_TONES = {Tone.BAD: "1;31", Tone.WARN: "1;33", Tone.UNSURE: "1;35", Tone.GOOD: "1;32"}
_MARGIN = " " * 14  # where causes begin: the longest verdict is `not examined`


def summary_text(report: Report, *, width: int, color: bool, max_lines: int = MAX_LINES) -> str:
    """The rows of the report, worst first, at most `max_lines` (about one screen) of `width`
    columns; ends with a newline. Where the files are is for the caller to add."""
    width = max(width, _NARROWEST)
    paint = _paint if color else _leave
    lines = [paint(cut(one_line(notice), width), "1") for notice in notices(report)]
    for line in trigger_lines(report):
        lines += wrapped(one_line(line), width, most=2)
    lines.append(paint(cut(headline(report.summary), width), _TONES[tone(report)]))
    # Here only what is missing is news.
    for line in evidence_lines(e for e in report.summary.evidence if e.percent < 100):
        lines += wrapped(one_line(line), width, most=3)
    made = rows(report)
    lines += _not_healthy(made, width, max_lines, color=color)
    lines += _healthy(made, width, color=color)
    lines += _unanswered(report, width)
    return "\n".join(lines) + "\n"


def _not_healthy(made: Sequence[Row], width: int, max_lines: int, *, color: bool) -> list[str]:
    """As much of every row as fits on the screen: with what to do, else with the evidence, else
    with the cause below the name, else on one line each; at last the worst ones only."""
    shown = [row for row in made if row.verdict is not Verdict.HEALTHY]
    if len(shown) * 2 <= max_lines:
        for lines_of in (_with_advice, _with_evidence, _with_cause):
            lines = [line for row in shown for line in lines_of(row, width, color=color)]
            if len(lines) <= max_lines:
                return lines
    kept = shown if len(shown) <= max_lines else shown[: max_lines - 1]
    lines = [_in_one_line(row, width, color=color) for row in kept]
    return lines if kept == shown else [*lines, f"… and {len(shown) - len(kept)} more"]


def _with_advice(row: Row, width: int, *, color: bool) -> list[str]:
    lines = _with_evidence(row, width, color=color)
    if said := advice(row.findings):
        told = wrapped(f"What to do: {said}", width - len(_MARGIN), most=3)
        lines += [_MARGIN + line for line in told]
    return lines


def _with_evidence(row: Row, width: int, *, color: bool) -> list[str]:
    paint = _paint if color else _leave
    room = width - len(_MARGIN)
    lines = [_head(row, _facts(row), width, color=color)]
    lines += [_MARGIN + line for line in wrapped(one_line(row.cause), room, most=3)]
    if row.decisive:
        lines.append(_MARGIN + paint(squeezed(f"| {one_line(row.decisive)}", room), "2"))
    for said in change_sentences(row):
        broken = wrapped(f"~ {one_line(said)}", room, most=2)
        lines += [_MARGIN + paint(line, "2") for line in broken]
    return lines


def _with_cause(row: Row, width: int, *, color: bool) -> list[str]:
    cause = cut(one_line(row.cause), width - len(_MARGIN))
    return [_head(row, _facts(row), width, color=color), _MARGIN + cause]


def _in_one_line(row: Row, width: int, *, color: bool) -> str:
    where = f" ({one_line(row.workload.namespace)}, {row.pods}): "
    return _head(row, where + one_line(row.cause), width, color=color)


def _facts(row: Row) -> str:
    facts = [one_line(row.workload.namespace), row.pods]
    # The last is the first to be cut.
    if row.confidence:
        facts.append(row.confidence.value)
    if row.restarts:
        facts.append(plural(row.restarts, "restart"))
    return f"  ({', '.join(facts)})"


def _head(row: Row, rest: str, width: int, *, color: bool) -> str:
    """The line that begins with the verdict and the workload's name."""
    paint = _paint if color else _leave
    name = one_line(f"{row.workload.kind}/{row.workload.name}")
    head = cut(name + rest, width - len(_MARGIN))
    # Bold is for the name alone, and only where the cut left all of it.
    head = paint(name, "1") + head[len(name) :] if head.startswith(name) else head
    return paint(row.verdict.value.ljust(len(_MARGIN)), _COLORS[row.verdict]) + head


def _healthy(made: Iterable[Row], width: int, *, color: bool) -> list[str]:
    names = [
        one_line(f"{row.workload.kind}/{row.workload.name}")
        for row in made
        if row.verdict is Verdict.HEALTHY
    ]
    if not names:
        return []
    label = "healthy".ljust(len(_MARGIN))
    words = cut(f"{plural(len(names), 'workload')}: {', '.join(names[:100])}", width - len(label))
    return [(_paint if color else _leave)(label, _COLORS[Verdict.HEALTHY]) + words]


def _unanswered(report: Report, width: int) -> list[str]:
    made = _without_repeats(unanswered(report))
    if not made:
        return []
    lines = ["Not examined or not evaluated:"]
    for item in made[:5]:
        pods = f" ({plural(item.pods, 'pod')})" if item.pods else ""
        words, room = one_line(f"{item.what}: {item.why}"), width - 4
        told = wrapped(words + pods, room, most=_REASON_LINES + 1)
        if len(told) > _REASON_LINES:
            told = wrapped(words, room, most=_REASON_LINES)
            told[-1] = cut(told[-1], room - cells(pods)) + pods
        lines += [f"{'    ' if number else '  '}{line}" for number, line in enumerate(told)]
    if len(made) > 5:
        lines.append(f"  … and {plural(len(made) - 5, 'other reason')}")
    return lines


def _without_repeats(every: Sequence[Unanswered]) -> list[Unanswered]:
    """Without what only repeats why whole pods were not examined, or why something is not known
    that a rule needs."""
    whole: dict[str, int] = {}
    told: set[str] = set()
    for each in every:
        if _of_pods(each):
            whole[each.why] = max(each.pods, whole.get(each.why, 0))
        if not each.why.startswith(_FOLLOWS):
            # As it stands, and without the reason before it: as a rule has it from its fact.
            told |= {each.why, each.why.partition(": ")[2]} - {""}

    def repeats(each: Unanswered) -> bool:
        why = each.why.removeprefix(_FOLLOWS)
        said = why != each.why and why.partition(": ")[2] in told
        return not _of_pods(each) and (said or whole.get(each.why, -1) >= each.pods)

    return [each for each in every if not repeats(each)]


def _of_pods(item: Unanswered) -> bool:
    return item.what.startswith("pod ") and not item.what.startswith("pod of ")


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def _leave(text: str, code: str) -> str:  # noqa: ARG001  the same shape as _paint
    return text
