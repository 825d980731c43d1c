"""One pod or object, one playbook: which of its rules hold."""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

import msgspec

from runner.analyze.excerpts import MAX_LINE, evidence_of, log_called, texts
from runner.model.examination import Examination
from runner.model.report import TEXT_NOT_RENDERED, Evidence
from runner.playbook.conditions import FALSE, Answer, Condition, Facts, Verdict, type_name
from runner.playbook.errors import UnknownFactError, WrongTypeError
from runner.playbook.patterns import compile_pattern
from runner.playbook.spec import FindingRule, Match
from runner.playbook.templates import MAX_OUTPUT, Text, TextError

MAX_ITEMS = 100
MAX_MATCHES = 10_000
_MAX_FRAMES = 200


class Hit(msgspec.Struct, frozen=True):
    """A rule that holds for a pod, in words."""

    rule: FindingRule
    playbook: str
    about: str
    title: str
    message: str
    remediation: str
    cause: str
    evidence: tuple[Evidence, ...]
    borrowed: bool = False
    """It rests on a log that was read from another pod, a replica of this one."""


class _Found(msgspec.Struct, frozen=True):
    """What a rule's `match` found, and the reference of the text it is in."""

    groups: Mapping[str, str]
    source: str


class Unanswered(msgspec.Struct, frozen=True):
    """A rule that could not be judged for a pod, or whose finding could not be put into words."""

    rule: str
    reason: str
    message: str


class Subject(Protocol):
    """What is judged, as far as rules and the proof of what they say must read it."""

    def texts(self, facts: Facts, reference: str) -> Sequence[str] | None:
        """The texts that a reference stands for; None when they could not be had."""

    def evidence(
        self, rule: FindingRule, decisive: Sequence[str], source: str
    ) -> tuple[Evidence, ...]: ...

    def borrowed(self, rule: FindingRule, source: str) -> bool:
        """Whether a rule that found its match in `source` rests on another pod's log."""

    def cause(self, message: str) -> str:
        """The message without what names this one pod: the same for every replica."""


class PodSubject:
    """A pod that was examined."""

    def __init__(self, examination: Examination, playbook: str) -> None:
        self._examination = examination
        self._playbook = playbook

    def texts(self, facts: Facts, reference: str) -> Sequence[str] | None:
        if reference == "logs.neighbours" and reference not in facts.unknown:
            one = self._examination
            return [log.text for log in one.logs if log.container != one.target_container]
        return texts(self._examination, facts, reference)

    def evidence(
        self, rule: FindingRule, decisive: Sequence[str], source: str
    ) -> tuple[Evidence, ...]:
        return evidence_of(rule, self._examination, self._playbook, decisive, source)

    def borrowed(self, rule: FindingRule, source: str) -> bool:
        if "logs." in rule.when:
            source = "logs.last"
        root, _, which = source.partition(".")
        log = log_called(which, self._examination) if root == "logs" else None
        return log is not None and log.read_from not in ("", self._examination.pod.metadata.name)

    def cause(self, message: str) -> str:
        pod = self._examination.pod
        for own in (pod.metadata.name, pod.metadata.uid, pod.status.pod_ip, pod.status.host_ip):
            if own:
                message = message.replace(own, "POD")
        return message


class Judge:
    """Judges rules in their order and remembers which were reported."""

    def __init__(
        self, playbook: str, rules: Sequence[FindingRule], subject: Subject, facts: Facts
    ) -> None:
        self._playbook = playbook
        self._rules = rules
        self._subject = subject
        self._facts = facts
        # Asked before there is any `item` or `match`: what is false without them stays so, and
        # then it does not matter that a list or a log could not be had. Many rules share theirs.
        self._without: dict[str, Verdict] = {}
        self._false_anyway = frozenset(
            rule.id for rule in rules if self._verdict_without(rule.when) == FALSE
        )
        self.not_so = set(self._false_anyway)
        """Ids of the rules that do not hold, complete when all results were taken."""

    def results(self) -> Iterator[Hit | Unanswered]:
        reported: set[str] = set()
        for fallback in (False, True):
            if fallback and reported:
                return
            for rule in self._rules:
                if rule.fallback is not fallback or rule.id in self._false_anyway:
                    continue
                if reported.isdisjoint(rule.unless):
                    self.not_so.add(rule.id)
                    for result in self._judge(rule):
                        self.not_so.discard(rule.id)
                        if isinstance(result, Hit):
                            reported.add(rule.id)
                        yield result

    def refutations(self) -> Iterator[tuple[str, str]]:
        """Of the rules that do not hold: id, and a sentence on what shows that it is not so."""
        for rule in self._rules:
            if rule.refuted is None or rule.id not in self.not_so:
                continue
            when = Condition.compile(rule.refuted.when)
            try:
                for facts in self._items(rule.refuted.each):
                    if when.evaluate(facts).answer is Answer.TRUE:
                        said = Text.compile(rule.refuted.message).render(facts.values)
                        yield rule.id, said
            except (UnknownFactError, TextError):
                continue

    def _judge(self, rule: FindingRule) -> Iterator[Hit | Unanswered]:
        """However many items a rule has, it is told once that one has no answer, and once that one
        cannot be put into words."""
        told: set[str] = set()
        try:
            for facts in self._items(rule.each):
                verdict, match = self._holds(rule, facts)
                if verdict.answer is Answer.TRUE:
                    hit, failed = self._hit(rule, facts, match)
                    yield hit
                    if failed and TEXT_NOT_RENDERED not in told:
                        told.add(TEXT_NOT_RENDERED)
                        yield Unanswered(rule.id, TEXT_NOT_RENDERED, failed)
                elif verdict.answer is Answer.NOT_EVALUATED and not told - {TEXT_NOT_RENDERED}:
                    told.add(verdict.code)
                    yield Unanswered(rule.id, verdict.code, verdict.reason)
        except UnknownFactError as error:
            yield Unanswered(rule.id, error.code, str(error))

    def _verdict_without(self, when: str) -> Verdict:
        """Of a condition, without any `item` or `match`."""
        known = self._without.get(when)
        if known is None:
            known = self._without[when] = Condition.compile(when).evaluate(self._facts)
        return known

    def _items(self, each: str | None) -> Iterator[Facts]:
        if each is None:
            yield self._facts
            return
        items = Condition.compile(each).value(self._facts)
        if not isinstance(items, list):
            raise WrongTypeError(f"each gives {type_name(items)}, not a list")
        for item in items[:MAX_ITEMS]:
            yield self._facts.with_values(item=item)

    def _holds(self, rule: FindingRule, facts: Facts) -> tuple[Verdict, _Found | None]:
        """With `match`, the first find for which `when` holds."""
        if rule.match is None and rule.each is None:
            return self._verdict_without(rule.when), None
        when = Condition.compile(rule.when)
        if rule.match is None:
            return when.evaluate(facts), None
        open_question: Verdict | None = None
        for reference in rule.match.sources:
            known = self._subject.texts(facts, reference)
            if known is None:
                missing = Verdict(Answer.NOT_EVALUATED, _why(facts, reference))
                open_question = open_question or missing
                continue
            for text in reversed(known):
                for groups in finds(rule.match, text):
                    verdict = when.evaluate(facts.with_values(match=groups))
                    if verdict.answer is Answer.TRUE:
                        return verdict, _Found(groups, reference)
                    if verdict.answer is Answer.NOT_EVALUATED:
                        open_question = open_question or verdict
        return open_question or FALSE, None

    def _hit(self, rule: FindingRule, facts: Facts, match: _Found | None) -> tuple[Hit, str]:
        """With what is wrong with its texts. A rule that holds is reported all the same: such a
        text as it is written."""
        values: dict[str, Any] = dict(facts.values)
        decisive = []
        if match is not None:
            values["match"] = match.groups
            decisive.extend(match.groups["line"].splitlines())
        item = values.get("item")
        if isinstance(item, Mapping) and isinstance(item.get("line"), str):
            decisive.append(item["line"])
        failed: list[str] = []

        def said(field: str, text: str, instead: str) -> str:
            try:
                return Text.compile(text).render(values)
            except TextError as error:
                failed.append(f"{field}: {error.message}")
                return instead.strip()[:MAX_OUTPUT]

        message = said("message", rule.message, rule.message)
        source = match.source if match is not None else ""
        hit = Hit(
            rule=rule,
            playbook=self._playbook,
            about=said("about", rule.about, ""),  # then it is about the pod's own workload
            title=said("title", rule.title, rule.title),
            message=message,
            remediation=said("remediation", rule.remediation, rule.remediation),
            cause=self._subject.cause(message),
            evidence=self._subject.evidence(rule, decisive, source),
            borrowed=self._subject.borrowed(rule, source),
        )
        if not failed:
            return hit, ""
        return hit, f"the finding is reported, but not all of its texts: {'; '.join(failed)}"


def finds(wanted: Match, text: str) -> Sequence[Mapping[str, str]]:
    """For each pattern, in their order, the named groups of its last match and the `line` it is
    in (several, if the match goes over several)."""
    if wanted.last_lines is not None:
        text = _last_lines(text, wanted.last_lines)
    return _finds(wanted.patterns, text)


@lru_cache(maxsize=256)
def _finds(patterns: tuple[str, ...], text: str) -> Sequence[Mapping[str, str]]:
    """Replicas share a log, and come one after the other."""
    return tuple(_each_find(patterns, text))


def _each_find(patterns: tuple[str, ...], text: str) -> Iterator[dict[str, str]]:
    for pattern in patterns:
        found = deque(islice(compile_pattern(pattern).finditer(text), MAX_MATCHES), maxlen=1)
        if found:
            last = found.pop()
            groups = {name: value or "" for name, value in last.groupdict().items()}
            groups = {**_no_groups(patterns), **groups}
            begin = text.rfind("\n", 0, last.start()) + 1
            end = text.find("\n", last.end())
            line = text[begin : end if end >= 0 else len(text)]
            # Of a trace the end says most.
            yield {
                **groups,
                "line": line.strip()[-MAX_LINE:] if "\n" in line else line.strip()[:MAX_LINE],
            }


@lru_cache(maxsize=512)
def _no_groups(patterns: tuple[str, ...]) -> Mapping[str, str]:
    """Every name that one of the patterns has, so that words may ask whether it is there."""
    return {name: "" for each in patterns for name in compile_pattern(each).groupindex}


@lru_cache(maxsize=64)
def _last_lines(text: str, count: int) -> str:
    """Replicas share a log, and many rules look at the same end of it. The frames of a stack trace
    do not count: they would push the error that they belong to out of sight."""
    from runner.last_words import FRAME  # noqa: PLC0415  takes long to compile

    lines = [line for line in text.splitlines() if line.strip()]
    begin, frames = len(lines), 0
    while begin > 0 and count > 0:
        begin -= 1
        if frames < _MAX_FRAMES and FRAME.match(lines[begin]):
            frames += 1
        else:
            count -= 1
    return "\n".join(lines[begin:])


def fingerprint(workload: tuple[str, str, str], container: str, rule: str, cause: str) -> str:
    """16 hexadecimal digits that name a cause, the same in every run that finds it again."""
    words = "\0".join((*workload, container, rule, cause))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]


def _why(facts: Facts, reference: str) -> str:
    parts = reference.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in facts.unknown:
            return f"{name}: {facts.unknown[name]}"
    return f"there is no {reference}"
