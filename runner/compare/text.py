"""A comparison for the terminal and as Markdown: the same sentences."""

from collections.abc import Iterator, Sequence

from runner.compare.model import Comparison, FindingState, StateOfFinding, WorkloadChange
from runner.compare.runs import is_news
from runner.report.markdown import escaped
from runner.report.plain import cut, one_line, wrapped
from runner.report.view import plural

TITLES = {
    FindingState.NEW: "New",
    FindingState.NOT_COMPARED: "Not comparable: one of the runs did not look",
    FindingState.RULES: "Because the rules changed",
    FindingState.PERSISTING: "Persisting",
    FindingState.RESOLVED: "Resolved",
    FindingState.GONE: "Gone with their workload",
}
_MARKS = {
    FindingState.NEW: "+", FindingState.NOT_COMPARED: "?", FindingState.RULES: "~",
    FindingState.PERSISTING: "=", FindingState.RESOLVED: "-", FindingState.GONE: "x",
}  # fmt: skip
_MAX_EACH = 20
_MAX_CAUSE = 400
MAX_MARKDOWN = 3_900


def headline(found: Comparison) -> str:
    """`2 new findings, 1 resolved, 3 persisting, 1 not comparable`."""
    counts = [
        (found.summary[state.value], word)
        for state, word in (
            (FindingState.NEW, "new"),
            (FindingState.RESOLVED, "resolved"),
            (FindingState.GONE, "gone with their workload"),
            (FindingState.RULES, "by other rules"),
            (FindingState.PERSISTING, "persisting"),
            (FindingState.NOT_COMPARED, "not comparable"),
        )
    ]
    said = [(count, word) for count, word in counts if count]
    if not said:
        return "No finding in either run"
    (first, word), *rest = said
    noun = "finding" if first == 1 else "findings"
    before = f"{first} {word} {noun}" if " " not in word else f"{first} {noun} {word}"
    return ", ".join([before, *(f"{count} {word}" for count, word in rest)])


def sentence(each: StateOfFinding) -> str:
    """Who, and what of it."""
    finding = each.finding
    workload = finding.workload
    where = f"{workload.kind}/{workload.name} ({workload.namespace})"
    return f"{where}: {finding.message or finding.title}"


def remarks(each: StateOfFinding) -> tuple[str, ...]:
    """What else is to be said of it, each a few words."""
    said = [f"{each.finding.severity.value}, {each.finding.confidence.value}"]
    if each.flapping:
        said.append(f"flapping: {' '.join(each.history)}")
    elif each.state is FindingState.PERSISTING and each.since is not None:
        said.append(f"since {each.since:%Y-%m-%d %H:%M} UTC")
    if each.state is FindingState.NOT_COMPARED:
        said.append("found in the new run" if each.found else "found in the old run")
    if each.why:
        said.append(each.why)
    return tuple(said)


def worse(found: Comparison) -> tuple[WorkloadChange, ...]:
    """Workloads that are worse off without a new finding that says so."""
    told = {each.finding.workload for each in found.findings if is_news(each)}
    return tuple(each for each in found.workloads if each.worse and each.workload not in told)


def change_sentence(each: WorkloadChange) -> str:
    workload = each.workload
    was = each.before or "not in the old run"
    now = each.after or "not in the new run"
    return f"{workload.kind}/{workload.name} ({workload.namespace}): {was} -> {now}"


def pods_sentence(found: Comparison) -> str:
    come, gone = len(found.pods_come), len(found.pods_gone)
    return f"{plural(come, 'pod')} came, {gone} went" if come or gone else "The pods are the same"


def runs_sentence(found: Comparison) -> str:
    if found.old is None:
        return f"Run {found.new.id}; there is no earlier one to compare it with"
    between = len(found.runs) - 2
    more = f", and {plural(between, 'run')} before" if between else ""
    return (
        f"Run {found.new.id} ({found.new.started_at:%Y-%m-%d %H:%M} UTC) compared with "
        f"{found.old.id} ({found.old.started_at:%Y-%m-%d %H:%M} UTC){more}"
    )


def to_text(found: Comparison, *, width: int) -> str:
    """For a terminal: at most some lines of each kind."""
    lines = [
        line for said in found.notices for line in wrapped(f"{one_line(said)}.", width, most=3)
    ]
    lines += [headline(found), *wrapped(one_line(runs_sentence(found)), width, most=3)]
    for state, some, more in _by_state(found.findings):
        lines.append(f"{TITLES[state]}:")
        for each in some:
            said = wrapped(one_line(sentence(each)), width - 6, most=3)
            lines += [f"  {_MARKS[state]} {said[0]}", *(f"    {line}" for line in said[1:])]
            said = wrapped(one_line("; ".join(remarks(each))), width - 6, most=2)
            lines += [f"      {line}" for line in said]
        if more:
            lines.append(f"  … and {more} more")
    changed = worse(found)
    if changed:
        lines.append("Worse than before, without a new finding:")
        for one in changed[:_MAX_EACH]:
            lines.append("  " + cut(one_line(change_sentence(one)), width - 2))
    lines.append(f"{pods_sentence(found)}.")
    return "\n".join(lines) + "\n"


def to_markdown(found: Comparison, limit: int = MAX_MARKDOWN) -> str:
    """At most `limit` characters; what does not fit is counted."""
    head = [f"### {escaped(headline(found))}", ""]
    head += [f"**{escaped(one_line(notice))}.**" for notice in found.notices]
    head += [escaped(one_line(f"{runs_sentence(found)}. {pods_sentence(found)}.")), ""]
    room = limit - sum(map(len, head)) - 100
    lines: list[str] = []
    left = 0
    for line in _markdown(found):
        room -= len(line) + 1
        if room < 0:
            left += line.startswith("- ")
        else:
            lines.append(line)
    if left:
        lines.append(f"- … and {left} more")
    return "\n".join([*head, *lines]) + "\n"


def _markdown(found: Comparison) -> Iterator[str]:
    for state, some, more in _by_state(found.findings):
        yield f"**{TITLES[state]}**"
        yield ""
        for each in some:
            said = escaped(cut(one_line(sentence(each)), _MAX_CAUSE))
            yield f"- {said} ({escaped(cut(one_line('; '.join(remarks(each))), _MAX_CAUSE))})"
        if more:
            yield f"- … and {more} more"
        yield ""
    changed = worse(found)
    if changed:
        yield "**Worse than before, without a new finding**"
        yield ""
        for one in changed[:_MAX_EACH]:
            yield f"- {escaped(one_line(change_sentence(one)))}"


def _by_state(
    findings: Sequence[StateOfFinding],
) -> Iterator[tuple[FindingState, Sequence[StateOfFinding], int]]:
    for state in FindingState:
        those = [each for each in findings if each.state is state]
        if those:
            yield state, those[:_MAX_EACH], len(those) - min(len(those), _MAX_EACH)
