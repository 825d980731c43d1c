"""One rule at one place of a text."""

import math
from collections import Counter
from functools import cached_property

import msgspec

from runner.redact.budget import Budget
from runner.redact.noise import is_accident
from runner.redact.regex import Match, Regex, compile_bytes
from runner.redact.rules import Rule, compile_field

TOO_MANY = "too-many"  # the name of what is redacted because there is no time to look at it
LINE_BYTES = 256  # before the match are searched for `after`
_NAME_BYTES = 32  # before the match may belong to the name
_ALLOW_BYTES = 256  # a longer value is never an ordinary word
_SHORT_BYTES = 256  # of a match are looked at for its groups
_LONG_BYTES = 8192  # are looked at for its end; a longer value is taken up to the end of its line
# An unquoted value goes on over these, as passwords do, unless what follows is plainly not of it.
_NEXT_SETTING = compile_bytes(
    rb"[,;&]+(?:[\w.\-]+[=:]|[\s\"'`\\\x00]|\z)|;[\w.\-]+(?: [\w.\-]+){1,2}="
)
_OPENING = {ord(")"): b"(", ord("]"): b"[", ord("}"): b"{"}
_NAMED_GROUP = compile_bytes(rb"\(\?P<secret[a-z0-9_]*>")


class Span(msgspec.Struct, frozen=True):
    """A secret, from byte `start` up to `end`. `rank` is the place of the rule in the pack."""

    start: int
    end: int
    rank: int
    rule: str


class Matcher:
    """One rule, compiled when a text may hold what it looks for: few do in a run."""

    def __init__(self, rule: Rule, rank: int) -> None:
        self.rule = rule
        self._rank = rank

    @cached_property
    def _regex(self) -> Regex:
        return compile_field(self.rule, "regex")

    @cached_property
    def _groups(self) -> list[int]:
        groups = self._regex.groupindex
        return sorted(number for name, number in groups.items() if name.startswith(b"secret"))

    @cached_property
    def _cut(self) -> set[int]:
        groups = self._regex.groupindex
        return {number for name, number in groups.items() if name.endswith(b"_cut")}

    @cached_property
    def _allow(self) -> Regex | None:
        return compile_field(self.rule, "allow") if self.rule.allow else None

    @cached_property
    def _unless(self) -> Regex | None:
        return compile_field(self.rule, "unless") if self.rule.unless else None

    @cached_property
    def _after(self) -> Regex | None:
        return compile_field(self.rule, "after") if self.rule.after else None

    @cached_property
    def _bare(self) -> Regex:
        """For long matches."""
        return compile_bytes(uncaptured(self.rule, self.rule.regex))

    def at(self, data: bytes, start: int, budget: Budget) -> Span | None:
        """The secret, if the rule matches here and nothing speaks against it."""
        begin, end = self._value(data, start, budget)
        if begin < 0 or end - begin < self.rule.min_length:
            return None
        if self._is_ordinary(data, start, begin, end) or is_accident(data, begin):
            return None
        if self.rule.entropy and _entropy(data[begin : begin + _ALLOW_BYTES]) <= self.rule.entropy:
            return None
        if end == start + _LONG_BYTES:  # and more of it than was looked at
            end = data.find(b"\n", end)
            end = len(data) if end < 0 else end
        return Span(begin, end, self._rank, self.rule.id)

    def _value(self, data: bytes, start: int, budget: Budget) -> tuple[int, int]:
        """Of a long match the groups are asked near its beginning only, as that costs a hundred
        times as much by length as to find the end."""
        limit = start + _SHORT_BYTES
        if limit >= len(data) or data.find(b"\n", start, limit) >= 0:
            return self._groups_of(data, self._regex.match(data, start), -1)
        whole = self._bare.match(data, start, start + _LONG_BYTES)
        if whole is None:
            return -1, -1
        if whole.end() < limit:
            return self._groups_of(data, self._regex.match(data, start), -1)
        budget.take(2)
        match = self._regex.match(data, start, limit)
        if match is None:  # it needs to see what comes after the value
            match = self._regex.match(data, start, start + _LONG_BYTES)
            return self._groups_of(data, match, -1)
        return self._groups_of(data, match, whole.end())

    def _groups_of(self, data: bytes, match: Match | None, end: int) -> tuple[int, int]:
        """Start and end of the value; `end` is where the value ends if that is known, or -1."""
        if match is not None:
            for group in self._groups:
                begin, seen_end = match.span(group)
                if begin >= 0:
                    end = max(end, seen_end)
                    return begin, _cut(data, begin, end) if group in self._cut else end
        return -1, -1

    def _is_ordinary(self, data: bytes, start: int, begin: int, end: int) -> bool:
        value, name = data[begin:end], data[max(0, start - _NAME_BYTES) : begin]
        if self._allow is not None and len(value) <= _ALLOW_BYTES and self._allow.fullmatch(value):
            return True
        if self._unless is not None and self._unless.search(name):
            return True
        if self._after is None:
            return False
        before = data[max(0, start - LINE_BYTES) : start]
        return not self._after.search(before[before.rfind(b"\n") + 1 :])


def _entropy(value: bytes) -> float:
    """Shannon's, in bits per byte: how little a value looks like a word."""
    counts = Counter(value).values()
    return sum(-n / len(value) * math.log2(n / len(value)) for n in counts)


def _cut(data: bytes, begin: int, end: int) -> int:
    """Where a value without quotes ends: before the next setting, and before a bracket that was
    opened before it."""
    if any(data.find(mark, begin, end) >= 0 for mark in (b",", b";", b"&")):
        setting = _NEXT_SETTING.search(data, begin, min(len(data), end + _NAME_BYTES))
        end = min(end, setting.start()) if setting else end
    for _ in range(4):
        opening = _OPENING.get(data[end - 1]) if end - 1 > begin else None
        if opening is None or data.find(opening, begin, end) >= 0:
            break
        end -= 1
    return end


def uncaptured(rule: Rule, pattern: str) -> bytes:
    """The pattern of the rule as a part of a larger one: its groups have no names."""
    flags = b"i" if rule.ignore_case else b""
    parts: list[bytes] = []
    regex, kept = pattern.encode(), 0
    for match in _NAMED_GROUP.finditer(regex):
        parts += (regex[kept : match.start()], b"(?:")
        kept = match.end()
    return b"(?" + flags + b":" + b"".join(parts) + regex[kept:] + b")"
