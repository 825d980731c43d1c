"""The line of a log that says most about why the program ended.

Programs do not agree on where that is: a trace in Python ends with it, one in Java names the
cause last, a server says it and then tells that it shuts down, and what is written to stdout and
stderr at the same moment may change places. So lines are weighed by what they look like.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.late import late

MAX_LINES = 400
MAX_WORDS = 600
_MAX_FIELD = 400
_CLOSE, _NEAR = 4, 15  # lines from the end within which mere words, and errors, are believed
_FAR = 60
_MAX_LINE = 4000
_MAX_BEFORE = 160
_MERE_ERROR, _FATAL_ERROR = 3, 4

FRAME = late(
    r"\s|at |from |goroutine \d+ \[|created by |stack backtrace:|note: run with |Node\.js v"
    r"|Traceback \(most recent|[})\]]+;?$|[^\s()]+\([^()]*\)$"
)
"""A line of a stack trace in the languages that we meet, but for the error itself."""

_QUIET = late(
    r"^(?:(?=\S*\d)\S++ ++|\[[^\]]*+\] *+|\S++ ++[-|] ++){0,4}[\[<(|]*"
    r"(?i:warn(?:ing)?|info|debug|notice|trace|hint|detail)\b"
    r"|^(?:\S+ +){0,3}(?:WARN|WARNING|INFO|NOTICE|TRACE|DEBUG)[\]:]? |^[WID]\d{4} "
    r"|\b(?i:level|lvl|severity)\\?\"?[=:] ?\\?\"?(?i:warn|info|debug|notice|trace|[1-4]0\b)"
    r"|(?i:\b(?:ignor(?:ed|ing)|skipp(?:ed|ing)|continuing|will retry|retrying"
    r"|fall(?:s|ing)? back|for more (?:details|information))\b)"
)
_FATAL = late(
    r"\b(?:FATAL|PANIC|EMERG(?:ENCY)?|ALERT|CRITICAL)\b|^(?i:fatal|panic|critical)\b"
    r"|\[(?:emerg|alert|crit)\]"
    r"|(?i:\blevel\\?\"?[=:] ?\\?\"?(?:fatal|panic|critical|emerg))"
    r"|(?i:^(?:php )?fatal error\b|\bfatal error[:,]|^uncaught\b)"
    r"|(?i:unhandled (?:exception|rejection|promise))|^[\w./-]+: fatal: "
    r"|^You must install or update \.NET\b"
    r"|^thread '[^']*' .*panicked at |^\*\* \(|^F\d{4} |\\?\"level\\?\": ?60\b"
)
_THROWN = late(
    r"^(?:Caused by: |Exception in thread \"[^\"]*\" |Uncaught |[\w./-]+:\d+:in [`'][^']*': )?"
    r"(?:[A-Za-z_$][\w$]*(?:\.|::))*"
    r"[A-Z]\w*(?:Error|Exception|Exit|Fault|Failure|Violation|Panic)\b(?:[: (\[]|$)"
    r"|^(?:[a-z_]\w*\.)+(?:[A-Z]\w+|\w*error): \S"
    r"|^[\w./-]+:\d+:in [`'].*\((?:\w+::)*[A-Z]\w+\)$|^Process terminated\. \S"
)
_ERROR = late(
    r"\b(?:ERROR|ERR|SEVERE)\b|^(?i:error)\b|(?i:[:\s\[]error[:\]])|^E\d{4} "
    r"|(?i:\b(?:level|lvl|severity)\\?\"?[=:] ?\\?\"?(?:err|error|50)\b)"
    r"|^(?:fail|crit): \S+\[\d+\]|^npm (?:ERR!|error)|^mysqld?: |^%3\|"
)
_HINT = late(
    r"(?i)\b(?:failed|failure|error(?![=_\w])|did not|no \w+ named|cannot|can't|could ?n[o']t"
    r"|no valid|no [\w -]{1,30}\b(?:defined|configured|specified|given|provided|available)"
    r"|could not|unable to|no such|denied|refused|forbidden|unauthori[sz]ed|invalid|illegal"
    r"|not (?:found|set|exist|allowed|permitted|supported|valid|a valid|writable|readable|empty)"
    r"|missing|required|must (?:be|have|not|specify)|unknown|unexpected|unrecogni[sz]ed"
    r"|unsupported|expired|timed out|mismatch|corrupt\w*|already (?:exists|in use|running)"
    r"|exceeded|out of|does not|doesn't|is not|wrong|bad|abort\w*|killed|usage:|incompatible"
    r"|conflict\w*|rejected|unclosed|unterminated|incomplete|incorrect|expect(?:ed|ing|s)"
    r"|at line \d+|too (?:many|large|long|small|old|new)|not enough|needs?|requires?|lacks?"
    r"|please|uninitiali[sz]ed|insufficient|unavailable|unreachable|no route|lost)\b"
)
_LEAVING = late(
    r"(?i)^.{0,60}\b(?:shutting down|shut down|exiting|exited|exit(?:ed)? (?:with )?(?:code|status)"
    r"|terminat(?:ed|ing)|stopp(?:ed|ing)|aborting|giving up|bye|quitting"
    r"|see above|a complete log of this run|for more information|run with)\b.{0,40}$"
)
_POINTS_ELSEWHERE = late(
    r"(?i)\b(?:check|see|consult|look (?:at|in)) (?:the |your )?(?:\S+ )?logs?\b"
    r"|\bdid not exit normally\b|\bunexplained error\b|\bchild failed with exit code\b"
    r"|\bCould not read from remote repository\b|^Please make sure you have the correct access"
    r"|\bstopped processing because of an error: \(SystemExit\)|^Run [`']"
    r"|^\s*\* You (?:intended|misspelled)\b|^Possible reasons\b|^To install missing\b"
    r"|\bnot create the Java Virtual Machine\b|\bA fatal exception has occurred\. Program will exit"
    r"|^npm (?:ERR!|error) *(?:$|To see a list of|npm run|/|A complete log)"
    r"|: Unable to open logs$|^no listening sockets available"
    r"|\berrors?(?:\(s\))? found in (?:the )?config"
    # Spring: the cause stands elsewhere, or behind a colon
    r"|\bError creating bean with name '[^']*'[^:]*$|\bApplication run failed$"
)
"""It only tells that something else failed."""
_MORE = late(
    r"[:\[{,]$|panicked at [^\n]*:\d+:$|validation errors? for \S+$"
    r"|^(?:fail|crit): \S+\[\d+\]$|^You must install or update \.NET|^\*{3} .*\*{3}$"
)
_DETAIL = late(r"(?i)\bdetail:\s+(\S.*)")
"""What Postgres, and whoever repeats its words, says beside an error."""
_MESSAGE_KEYS = ("message", "msg", "errmsg", "log", "short_message", "text", "event")
_INNER_KEYS = ("attr", "fields", "context", "data")
_ERROR_KEYS = ("error.message", "error", "err", "exception", "cause", "reason", "detail", "stack")


FATAL_PATTERN = f"(?m){_FATAL.pattern}|{_THROWN.pattern}"
"""Where in a long text such a line may be, for re2, which does without looking around."""


def is_fatal(line: str) -> bool:
    """Whether it is a reason to end wherever it stands: an exception, a fatal error."""
    return _weight(line[:_MAX_LINE], _FAR) == _FATAL_ERROR


def fatal_line(text: str) -> str:
    """The line as the log has it, empty when none looks like a reason to end."""
    lines = [line[:_MAX_LINE] for line in text.splitlines() if line.strip()][-MAX_LINES:]
    best, chosen = 0, -1
    distance = 0
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        caused = line.lstrip().startswith("Caused by: ")
        if FRAME.match(line) and not caused and index != len(lines) - 1:
            continue
        distance += 1
        if distance > _FAR:
            break
        weight = _weight(line, distance)
        if line[:1].isspace() and index:
            weight = min(weight, 1)  # it goes on with what stands before it
        if weight > best:
            best, chosen = weight, index
    return lines[chosen].strip() if chosen >= 0 else ""


def _weight(line: str, distance: int) -> int:
    if _QUIET.search(line):
        return 0
    if _POINTS_ELSEWHERE.search(line):
        return 1
    if _LEAVING.match(line) and not _THROWN.match(line):
        return 1 if distance == 1 and _ERROR.search(line) else 0
    if _FATAL.search(line) or _THROWN.match(line.strip()):
        return _FATAL_ERROR
    if distance > _NEAR:
        return 0
    if _ERROR.search(line):
        return _MERE_ERROR
    return 2 if distance <= _CLOSE and _HINT.search(line) else 0


def words_of(line: str, text: str) -> str:
    """What the line says, for people: of a JSON document its message and error, of one that ends
    in the middle of a sentence also what follows. Before an error among errors stand the ones
    right before it: the last one often tells no more than that it ends now."""
    before = _errors_before(line, text)
    return " ".join([*before, *_said(line, text)])[:MAX_WORDS]


def _errors_before(line: str, text: str) -> Sequence[str]:
    if not line or _weight(line, 1) != _MERE_ERROR or line.endswith("}"):
        return ()
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    at = next((i for i in range(len(lines) - 1, -1, -1) if lines[i] == line), 0)
    found: list[str] = []
    for each in reversed(lines[max(at - 2, 0) : at]):
        if _weight(each, 1) != _MERE_ERROR or len(each) > _MAX_BEFORE:
            break
        found.insert(0, each)
    return found


def _said(line: str, text: str) -> Iterator[str]:
    begin = line.find("{")
    if begin >= 0 and line.endswith("}"):
        try:
            told = json.loads(line[begin:])
        except ValueError:
            told = None
        if isinstance(told, Mapping) and (words := list(_fields(told))):
            yield ": ".join(words)
            return
    yield line
    following = list(_following(line, text.splitlines()))
    if _MORE.search(line):
        yield from following
    elif following and (detail := _DETAIL.search(following[0])):
        yield detail[1]


def _following(line: str, lines: Sequence[str]) -> Iterator[str]:
    at = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip() == line), None)
    if at is not None:
        yield from (each.strip() for each in lines[at + 1 : at + 9] if each.strip(" \t^~{}[]()"))


def _fields(told: Mapping[str, Any]) -> Iterator[str]:
    # MongoDB and others keep what belongs to the message in a map of its own.
    inner: Mapping[str, Any] = next(
        (told[k] for k in _INNER_KEYS if isinstance(told.get(k), Mapping)), {}
    )
    for keys, places in ((_MESSAGE_KEYS, (told,)), (_ERROR_KEYS, (told, inner))):
        value = next((v for place in places for key in keys if (v := _words_in(place, key))), "")
        if value:
            yield value


def _words_in(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if isinstance(value, Mapping):
        value = next((value[k] for k in _MESSAGE_KEYS if value.get(k)), None)
    return " ".join(value.split())[:_MAX_FIELD] if isinstance(value, str) else ""
