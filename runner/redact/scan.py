"""Where secrets are: every rule over all of the text, in time linear in its length.

Many rules are searched at once as one automaton, because what costs is the number of passes; only
where it finds something, the rules themselves are asked. What an automaton does not bound:

- How far it looks ahead before it can tell that nothing begins here, for each place it finds. So
  it sees a segment at a time.
- The number of places, each of which costs some microseconds of Python. So there is a budget of
  them; beyond it whole stretches of lines are taken for secrets.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from runner.redact.budget import Budget
from runner.redact.marker import MARKER, MARKER_START, marker_at
from runner.redact.matcher import LINE_BYTES, TOO_MANY, Matcher, Span, uncaptured
from runner.redact.regex import Regex, RegexSet, compile_bytes, compile_set, escape
from runner.redact.rules import COMMON, Rule

_SEGMENT_BYTES = 8192
_GATE_BYTES = 65536
_OVERLAP_BYTES = 512  # of the next lines are seen, for a name and a value on two lines
_CUT_OVERLAP_BYTES = 2048  # the same where a line is longer than a segment
_BEFORE_KEYWORD_BYTES = 1024  # a match holds its first keyword within these
_HEAD_BYTES = 4096  # of a match is looked at to learn which rule it is
_LONG_BYTES = 1024  # of a match that is none count as one more place
_BEFORE_VALUE = b"=:\"' \t\0@/,"


class _Group:
    """Some rules as one automaton, and as a set that tells which of them match at a place."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self.matchers = matchers
        self.is_common = matchers[0].rule.together == COMMON

    @cached_property
    def union(self) -> Regex:
        return compile_bytes(b"|".join(self._patterns()))

    @cached_property
    def set(self) -> RegexSet:
        return compile_set(self._patterns())

    def _patterns(self) -> list[bytes]:
        return [uncaptured(matcher.rule, matcher.rule.regex) for matcher in self.matchers]

    def resolve(self, data: bytes, start: int, budget: Budget) -> Span | None:
        """The first rule of the group that takes what is at the place for a secret."""
        for index in sorted(self.set.Match(data[start : start + _HEAD_BYTES]) or ()):
            span = self.matchers[index].at(data, start, budget)
            if span is not None:
                return span
        return None


def _gate(rules: Sequence[Rule]) -> Regex:
    """Finds something in every text in which one of the rules does, faster than they."""
    gates = dict.fromkeys(uncaptured(rule, _gate_of(rule)) for rule in rules)
    return compile_bytes(b"|".join(gates) or b"[^\\x00-\\xff]")


def _gate_of(rule: Rule) -> str:
    words = "|".join(escape(keyword.encode()).decode() for keyword in rule.keywords)
    return rule.gate or words or rule.regex


class Scanner:
    """A rule pack, each part of which is compiled when a text may hold what it looks for. It may be
    shared."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        matchers = [Matcher(rule, rank) for rank, rule in enumerate(rules)]
        self._groups = tuple(
            _Group([matcher for matcher in matchers if matcher.rule.together == name])
            for name in dict.fromkeys(rule.together for rule in rules)
        )
        self._gate = _gate(rules)
        self._rare = [rule for rule in rules if rule.together != COMMON]

    @cached_property
    def _rare_gate(self) -> Regex:
        return _gate(self._rare)

    def find(self, data: bytes, budget: Budget) -> Iterator[Span]:
        """Secrets in no order; they may overlap."""
        has_markers = MARKER_START in data
        positions = [0] * len(self._groups)
        start, keyword = 0, -1
        while start < len(data):
            before = max(0, start - LINE_BYTES)
            if keyword < before:
                keyword = self._next_keyword(data, before)
                if keyword < 0:
                    return
                start = max(start, keyword - _BEFORE_KEYWORD_BYTES)
            end, seen = _segment(data, start)
            if keyword < end:
                has_rare = self._rare_gate.search(data, before, seen) is not None
                for number, group in enumerate(self._groups):
                    if has_rare or group.is_common:
                        search = _Search(group, data, seen, budget, has_markers=has_markers)
                        yield from search.run(max(start, positions[number]), end)
                        positions[number] = search.at
            budget.fill(end - start)
            start = end

    def _next_keyword(self, data: bytes, at: int) -> int:
        while at < len(data):
            match = self._gate.search(data, at, min(len(data), at + _GATE_BYTES))
            if match is not None:
                return match.start()
            at += _GATE_BYTES - LINE_BYTES
        return -1


def _segment(data: bytes, start: int) -> tuple[int, int]:
    """Where the segment ends, and up to where it is seen."""
    limit = start + _SEGMENT_BYTES
    if limit >= len(data):
        return len(data), len(data)
    end = data.rfind(b"\n", start, limit) + 1
    if end > start:
        return end, min(len(data), end + _OVERLAP_BYTES)
    return limit, min(len(data), limit + _CUT_OVERLAP_BYTES)


class _Search:
    """One group over one segment. `at` is where the next segment goes on."""

    def __init__(
        self, group: _Group, data: bytes, seen: int, budget: Budget, *, has_markers: bool
    ) -> None:
        self._group = group
        self._data = data
        self._seen = seen
        self._budget = budget
        self._has_markers = has_markers
        self.at = 0

    def run(self, at: int, end: int) -> Iterator[Span]:
        data, group, budget = self._data, self._group, self._budget
        search = group.union.search
        while at < end and (match := search(data, at, self._seen)):
            start, match_end = match.span()
            if start >= end:
                break
            if self._has_markers and _is_marked(data, start, match_end):
                at = start + 1
                continue
            if not budget.take():
                yield Span(start, _word_end(data, end), -1, TOO_MANY)
                at = end
                break
            span = group.resolve(data, start, budget)
            if span is not None and self._has_markers:
                span = _settle(data, start, span)
            if span is None:
                budget.take((match_end - start) // _LONG_BYTES)
                at = start + 1
            else:
                yield span
                at = max(span.end, start + 1)
        self.at = at


def _word_end(data: bytes, at: int) -> int:
    """A rest of a word behind a marker would be taken for a secret together with it."""
    blank = data.find(b" ", at, at + _LONG_BYTES)
    newline = data.find(b"\n", at, blank if blank >= 0 else at + _LONG_BYTES)
    return newline if newline >= 0 else max(at, blank)


def _is_marked(data: bytes, start: int, end: int) -> bool:
    """Whether the value of a match is plainly one of our markers: the usual case when a text is
    searched again, so it is told apart before any rule is asked, and costs no budget."""
    opened = data.find(MARKER_START, start + 1, end)
    if opened < 0 or data[opened - 1] not in _BEFORE_VALUE:
        return False
    marker = MARKER.match(data, opened)
    return marker is not None and marker.end() >= end - 1


def _settle(data: bytes, start: int, span: Span) -> Span | None:
    """What of the span is left to redact in a text that holds markers of ours: nothing if the
    match begins inside one or the value is one, and never a part of one."""
    first = marker_at(data, span.start)
    if first is not None and first[1] >= span.end:
        return None
    around = marker_at(data, start)
    if around is not None and around[0] < start:
        return None
    last = marker_at(data, span.end - 1)
    begin = first[0] if first else span.start
    end = last[1] if last else span.end
    return Span(begin, end, span.rank, span.rule)
