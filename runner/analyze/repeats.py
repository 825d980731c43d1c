"""Errors that a log says again and again: a program that runs, and whose work fails.

A line counts when it is of a kind that a program cannot mend by itself (a connection that is
refused, a name that does not resolve, credentials that are rejected …), and lines count as the
same when they differ in numbers only. An answer that a client gets is none, nor is an error that
was followed by better news.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec

from runner.last_words import FRAME
from runner.late import late
from runner.playbook.patterns import compile_pattern

MAX_LINES = 400
MAX_FOUND = 5
_LEAST, _LEAST_TIMED = 3, 4
_CLOSE = 4  # lines from the end within which it must stand, when the log tells no time
_MAX_LINE = 1000
_MAX_WORDS = 300
_MAX_BELOW = 10
_PATIENCE = timedelta(seconds=60)


def _any(*patterns: str) -> Any:
    return compile_pattern("(?i)" + "|".join(patterns))


_KINDS: Mapping[str, Any] = {
    "refused": _any(
        r"connection (?:was )?refused", r"ECONNREFUSED", r"actively refused", r"connect\w* refused"
    ),
    "unresolved": _any(
        r"no such host", r"name or service not known", r"name resolution", r"ENOTFOUND",
        r"EAI_AGAIN", r"getaddrinfo\W+(?:failed|error|ENOTFOUND|EAI|for)", r"gaierror",
        r"UnknownHost", r"could(?: no|n')t resolve",
        r"NXDOMAIN", r"bad address",
    ),
    "untrusted": _any(
        r"x509:", r"certificate (?:verify failed|has expired|is not trusted|signed by unknown)",
        r"CERTIFICATE_VERIFY_FAILED", r"PKIX path", r"self[- ]signed certificate",
        r"unable to get local issuer", r"handshake fail",
        r"tls: (?:failed|bad|unknown|handshake|first record|certificate|protocol|internal)",
    ),
    "denied": _any(
        r"permission denied", r"\bEACCES\b", r"is forbidden: User", r"operation not permitted",
        r"EPERM\b", r"AccessDeniedException", r"read-only file system", r"EROFS",
    ),
    "rejected": _any(
        r"authentication (?:failed|error|required)", r"password authentication", r"access denied",
        r"login failed", r"invalid (?:credentials|password|token|api key|username)", r"WRONGPASS",
        r"NOAUTH", r"ACCESS_REFUSED", r"unauthori[sz]ed", r"unauthenticated",
        r"\b(?:status|http|error|code)\W{0,3}(?:code\W{0,3})?401\b",
        r"AccessDenied", r"ExpiredToken", r"InvalidAccessKeyId",
        r"SignatureDoesNotMatch", r"SaslAuthentication", r"token (?:has )?expired",
        r"authenticat\w+ fail", r"not authori[sz]ed",
        r"\b(?:error|failed|failure|failing|unable|could not|cannot)(?: to| while| when)?"
        r" (?:authenticat|log(?:ging)? ?in\b)",
    ),
    "silent": _any(
        r"i/o timeout", r"ETIMEDOUT", r"connect(?:ion)? timed out", r"timeout expired",
        r"deadline exceeded", r"no route to host", r"network is unreachable", r"EHOSTUNREACH",
        r"ServerSelectionTimeout", r"(?:connect|connection|request|read)\w* time(?:d )?-?out",
    ),
    "full": _any(r"no space left on device", r"ENOSPC", r"disk quota exceeded", r"disk is full"),
    "limit": _any(
        r"too many open files", r"EMFILE", r"can't start new thread",
        r"unable to create native thread",
    ),
    "schema": _any(
        r"(?:relation|table|column|database) \S+ does not exist", r"no such table",
        r"unknown (?:database|column)", r"Table '[^']*' doesn't exist", r"UndefinedTable",
        r"invalid object name",
    ),
    "absent": _any(
        r"UNKNOWN_TOPIC_OR_PARTITION", r"UnknownTopicOrPartition", r"NoSuchBucket",
        r"\b(?:topic|queue|exchange|vhost|virtual host|bucket|stream|keyspace|index|collection)"
        r"[ :=]{1,2}[\"'`\[]?[\w.:/-]+[\"'`\]]? (?:is |was )?"
        r"(?:not found|does not exist|doesn't exist|not present in metadata|unknown)",
        r"\bno such (?:topic|queue|exchange|vhost|bucket|stream|keyspace|index)\b",
    ),
    # Who stands by for a leader is refused its lock all day long.
    "locked": _any(
        r"waiting for (?:the )?(?:change ?log|migration|schema|database|advisory|table) lock",
        r"(?:could not|cannot|can't|unable to|failed to) (?:acquire|obtain|get) (?:the |a |an )?"
        r"(?:\w+ )?(?:change ?log|migrations?|schema|database|advisory|table) lock\b",
        r"database is locked",
    ),
    "starting": _any(
        r"system is (?:starting up|shutting down|in recovery mode|not yet accepting connections)",
        r"LOADING Redis is loading", r"not yet accepting connections",
        r"no (?:leader|master|primary) (?:is |was |has been )?(?:elected|available|found)",
    ),
    "exhausted": _any(
        r"too many (?:clients|connections)", r"connection slots are reserved",
        r"OOM command not allowed", r"flood[- ]stage", r"read-only-allow-delete", r"MISCONF ",
    ),
    # Whoever limits others says much the same.
    "limited": _any(
        r"(?:->|=>|returned|answered|responded|got|received)[ :]{1,3}(?:with |an? )?429\b",
        r"429 client error", r"ThrottlingException", r"RequestLimitExceeded",
    ),
    "slow": _any(
        r"worker timeout", r"\bstatement timeout", r"lock wait timeout",
        r"query (?:timed out|timeout)",
        r"request (?:processing )?timed out", r"watchdog[^\n]{0,40}(?:timeout|timed out|stuck)",
    ),
    "broken": _any(
        r"\b(?:broker|leader|coordinator|master|primary|upstream|backend)s? (?:is |are )?"
        r"(?:not available|unavailable|down|not reachable|transport failure)",
        r"connection (?:to \S+ )?(?:was )?lost", r"service unavailable",
        r"upstream connect error", r"no healthy upstream",
        r"could not be established", r"\b(?:may|might) not be available",
        r"\b50[234]\b (?:bad gateway|service|gateway)",
        r"status(?: code)?:? 50[0234]\b", r"circuit ?breaker (?:is )?open",
    ),
}  # fmt: skip
"""What a program complains of and cannot mend, the most telling first."""

# Of a program that is known to be ill: whatever it complains of, or waits for.
_ANY_KIND: Mapping[str, Any] = {
    "any": _any(
        r"\b(?:error|fatal|warn(?:ing)?|fail(?:ed|ure|ing)?|exception|cannot|unable|denied|refused)\b",
        r"\b(?:timed? ?out|unavailable|blocked|missing|retrying|waiting|not (?:ready|available))\b",
        r"\b(?:not (?:found|yet)|sleeping|still|wants?|expect(?:s|ed)|polling|try(?:ing)? again)\b",
        r"[a-z](?:Error|Exception)\b",
    )
}

_ACCESS_LOG = late(r"\bHTTP/[0-9.]+\"? \d{3}\b|\"(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) ")
# What a server says of those who come to it: the other side has the trouble.
_VISITORS = late(
    r"TLS handshake error from|\[\d+\](?: \S+){0,3} FATAL:  |\[MY-\d+\]|<0\.\d+\.0>"
    r"|\"c\": ?\"ACCESS\"|(?i:\bclient:"
    r"|\b(?:from|by|peer|remote|client|(?:remote|client)[_-]?(?:ip|addr))[\"']?[ =:]+"
    r"(?:user \S+ )?[\"']?(?:\d{1,3}\.){3}\d)|sshd|(?i:reset by peer)"
)
_IDLE_TALK = late(
    r"(?i)^(?:(?=\S*\d)\S++ ++|\[[^\]]*+\] *+|\S++ ++[-|] ++){0,4}[\[<(|]*(?:debug|trace)\b"
    r"|\blevel\\?\"?[=:] ?\\?\"?(?:debug|trace|10\b)|^\S+ (?:DEBUG|TRACE)\b"
    r"|\b(?:errors?|failed|failures|timeouts?|refused)=\d"
    # nobody has work for it
    r"|\bno (?:new |more )?(?:jobs?|work|tasks?|messages?|items?|records?|events?)"
    r" (?:is |are |was |were )?(?:available|found|received|waiting|left|to (?:do|process))"
    r"|\bqueue (?:is )?empty\b|\bnothing to (?:do|process)\b"
)
_BETTER = late(
    r"(?i)\b(?:connected|reconnected|connection (?:established|restored|successful)|recovered"
    r"|succeeded|success(?:ful(?:ly)?)?|established|ready|resumed|online|healthy|ok|200)\b"
)
_NOT_BETTER = late(
    r"(?i)\b(?:not|never|no longer|cannot|isn't)[ -](?:yet )?(?:be )?(?:\w+ )?"
    r"(?:connected|established|ready|healthy|ok)\b"
)
# Of what comes from many sides some fails and most goes through.
_WORKS = late(
    r"(?i)\b(?:delivered|processed|sent|published|handled|forwarded|synced|imported) [1-9]\d*\b"
)
_LATER = late(r"(?i)\b(?:requeue|retr(?:y|ies)|postpone|deferr?|back(?:ing)? ?off|queued)")
_MAY_PASS = ("broken", "silent", "slow", "limited")
# Where programs that write JSON put what belongs to their message.
_INNER_KEYS = ("error", "err", "exception", "attr", "fields", "context", "data", "extra", "details")
# A line that tells of the end of the trouble, too.
_OVER = late(r"(?i)\b(?:recovered|reconnected|succeeded)\b")
_DONE = late(
    r"(?i)^(?!.*\b(?:giv(?:e|es|ing) up|fail|abort))"
    r".*(?:\b(?:delivered|completed|sent|stored|saved|processed|done|succeeded)\b[^\n]{0,40}"
    r"\b(?:second|third|next|\d+(?:nd|rd|th)|\d+) (?:attempt|try|retry|retries|attempts|tries)\b"
    r"|\b(?:retry|attempt|try) \S{0,6} ?(?:succeeded|was successful|ok)\b)"
)
_TIMES: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"), "%Y/%m/%d %H:%M:%S"),
    (re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d"), "%d %b %Y %H:%M:%S"),
    (re.compile(r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d"), "%d/%b/%Y:%H:%M:%S"),
    (re.compile(r"(?<=^[IWEF])\d{4} \d\d:\d\d:\d\d"), "%m%d %H:%M:%S"),
    (re.compile(r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d"), "%b %d %H:%M:%S"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "%H:%M:%S"),
)  # fmt: skip
_EPOCH = late(r"\"(?:ts|time|timestamp)\": ?(\d{10})(?:\.\d+|\d{3})?\b")
_STAMP = late(
    r"^(?:\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d{1,2} \w{3} \d{4})[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?"
    r"(?:Z| ?UTC|[+-]\d\d:?\d\d)?\]?|\d\d:\d\d:\d\d(?:[.,]\d+)?)[ :]*"
)
_VARIES = late(r"\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b|0x[0-9a-f]+|\d+")
_ADDRESS = late(
    r"[\s\"'(/@=\[](?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9])"
    # as Java writes an address that was looked up
    r"(?:/(?:\d{1,3}\.){3}\d{1,3})?:(?P<port>\d{2,5})\b"
    r"|^(?P<h2>[a-z][\w.-]*):(?P<p2>\d{2,5})\b"
)


class _Same(msgspec.Struct):
    kind: str
    line: str
    count: int = 0
    at: list[int] = msgspec.field(default_factory=list)
    times: list[datetime] = msgspec.field(default_factory=list)
    stamps: list[str] = msgspec.field(default_factory=list)


def complaint(log: str) -> str:
    """What a program that is ill says most often, of whatever kind; empty when it says nothing."""
    found = _repeats(log, _ANY_KIND)
    # Of equals the longer one: the other is mostly its head line.
    return (
        str(max(found, key=lambda each: (each["count"], len(each["words"])))["words"])
        if found
        else ""
    )


def repeats(log: str) -> list[dict[str, Any]]:
    """The most frequent first: what is still going on at the end of the log."""
    return _repeats(log, _KINDS)


def _repeats(log: str, known: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinds = {kind: pattern for kind, pattern in known.items() if pattern.search(log)}
    if not kinds:
        return []
    lines = [
        line[:_MAX_LINE] for line in log.splitlines() if line.strip() and not FRAME.match(line)
    ][-MAX_LINES:]
    found: dict[str, _Same] = {}
    end: datetime | None = None
    for index, line in enumerate(lines):
        when = _time_of(line)
        end = when[0] if when else end
        kind = _kind(line, kinds)
        if not kind:
            continue
        one = found.setdefault(
            f"{kind} {_VARIES.sub('#', _STAMP.sub('', line))}", _Same(kind, line)
        )
        one.count, one.line = one.count + 1, line
        one.at.append(index)
        if when:
            one.times.append(when[0])
            one.stamps.append(when[1])
    going_on = [one for one in found.values() if _goes_on(one, lines, end)]
    going_on.sort(key=lambda one: (-one.count, one.at[-1]))
    return [_told(one, lines, log) for one in going_on[:MAX_FOUND]]


def _kind(line: str, kinds: Mapping[str, Any]) -> str:
    kind = next((kind for kind, pattern in kinds.items() if pattern.search(line)), "")
    if not kind or _IDLE_TALK.search(line) or _OVER.search(line):
        return ""
    if "upstream" not in line and (_ACCESS_LOG.search(line) or _VISITORS.search(line)):
        return ""
    if kind == "limited" and _LATER.search(line):
        return ""
    if line.startswith("{") and not kinds[kind].search(_own_words(line)):
        return ""
    return kind


def _own_words(line: str) -> str:
    """Of a line of JSON what its program says itself: it may carry what others said, as a forwarder
    of logs does."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, Mapping):
        return line
    own = [str(value) for value in told.values() if not isinstance(value, Mapping)]
    inner = [str(told[key]) for key in _INNER_KEYS if key in told]
    return "\n".join([*own, *inner])


def _goes_on(one: _Same, lines: Sequence[str], end: datetime | None) -> bool:
    if all(any(map(_DONE.search, lines[a:b])) for a, b in pairwise(one.at[-4:])):
        return False  # each time it was done after all
    if one.kind in _MAY_PASS and all(
        any(map(_WORKS.search, lines[a:b])) for a, b in pairwise(one.at[-4:])
    ):
        return False
    after = lines[one.at[-1] + 1 :]
    if any(_BETTER.search(line) and not _NOT_BETTER.search(line) for line in after):
        return False
    if len(one.times) >= _LEAST_TIMED and len(one.times) == one.count and end is not None:
        span = one.times[-1] - one.times[0]
        gap = span / (one.count - 1)
        if span >= timedelta(seconds=2) and end - one.times[-1] <= max(3 * gap, _PATIENCE):
            return True
    near = [index for index in one.at if index >= len(lines) - 4 * _CLOSE]
    return len(near) >= _LEAST and len(after) < _CLOSE


def _told(one: _Same, lines: Sequence[str], log: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": one.kind,
        "line": one.line.strip(),
        "words": " ".join([_words(one, lines), *_below(one, lines, log)])[:_MAX_WORDS],
        "count": one.count,
        "lines": len(lines),
        "first": one.stamps[0] if one.stamps else "",
        "last": one.stamps[-1] if one.stamps else "",
        "target": _target(one.line),
    }
    if len(one.times) >= 2 and one.times[-1] > one.times[0]:
        minutes = (one.times[-1] - one.times[0]).total_seconds() / 60
        told["perMinute"] = round((len(one.times) - 1) / minutes, 1)
    return told


def _words(one: _Same, lines: Sequence[str]) -> str:
    """The line without its time, and with … for what differs from one time to the next."""
    said = [_STAMP.sub("", lines[index]).split() for index in one.at[-8:]]
    same = [each for each in said if len(each) == len(said[-1])]
    return " ".join(_common(words) for words in zip(*same, strict=True))[:_MAX_WORDS]


def _below(one: _Same, lines: Sequence[str], log: str) -> Sequence[str]:
    """Of a line that ends in the middle of a sentence the indented ones that go on with it, as far
    as they are the same each time: what is told must not change from run to run."""
    if not one.line.rstrip().endswith(":"):
        return ()
    before, _, last = log.rpartition(one.line)
    _, _, earlier = before.rpartition(lines[one.at[-2]])
    said = set(_indented(earlier))
    return [each for each in _indented(last) if each in said]


def _indented(rest: str) -> Iterator[str]:
    for each in rest.splitlines()[1 : 1 + _MAX_BELOW]:
        if not each[:1].isspace():
            return
        if said := each.strip(" \t|*-"):
            yield said


def _common(words: Sequence[str]) -> str:
    """What they begin and end with."""
    if all(word == words[0] for word in words):
        return words[0]
    begin = _beginning(words)
    end = _beginning([word[len(begin) :][::-1] for word in words])[::-1]
    return f"{begin}…{end}"


def _beginning(words: Sequence[str]) -> str:
    shortest = min(words, key=len)
    same = (i for i, c in enumerate(shortest) if any(word[i] != c for word in words))
    return shortest[: next(same, len(shortest))]


def _target(line: str) -> str:
    for match in _addresses(_STAMP.sub(" ", line)):
        return match
    return ""


def _addresses(text: str) -> Iterator[str]:
    for match in _ADDRESS.finditer(text):
        host, port = match["host"] or match["h2"], match["port"] or match["p2"]
        if not host.isdigit() and not host.endswith((".go", ".py", ".java", ".rb", ".js", ".cs")):
            yield f"{host}:{port}"


def _time_of(line: str) -> tuple[datetime, str] | None:
    head = line[:120]
    if epoch := _EPOCH.search(line):
        when = datetime.fromtimestamp(int(epoch[1]), UTC)
        return when, f"{when:%Y-%m-%dT%H:%M:%SZ}"
    for pattern, layout in _TIMES:
        if match := pattern.search(head):
            try:
                return _parsed(match[0].replace("T", " ", 1), layout), match[0]
            except ValueError:
                continue
    return None


def _parsed(text: str, layout: str) -> datetime:
    # A leap year, for those that tell none: only differences count.
    prefix, form = ("", layout) if "%Y" in layout else ("2000 ", "%Y " + layout)
    return datetime.strptime(prefix + " ".join(text.split()), form).replace(tzinfo=UTC)
