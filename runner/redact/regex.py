"""RE2 over bytes: the only regular expressions that may see what came from a pod, because Python's
own can be made to run for ever by the text they read."""

import functools
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import re2  # type: ignore[import-untyped]

# RE2 builds its automaton lazily and starts over when it is larger than this.
_MAX_MEMORY_BYTES = 32 << 20


class Match(Protocol):
    def start(self, group: int = 0) -> int: ...

    def end(self, group: int = 0) -> int: ...

    def span(self, group: int = 0) -> tuple[int, int]: ...


class Regex(Protocol):
    """Offsets are in bytes; a search from `pos` on still sees what stands before it."""

    @property
    def groupindex(self) -> dict[bytes, int]: ...

    def finditer(
        self, text: bytes, pos: int | None = None, endpos: int | None = None
    ) -> Iterator[Match]: ...

    def search(
        self, text: bytes, pos: int | None = None, endpos: int | None = None
    ) -> Match | None: ...

    def match(
        self, text: bytes, pos: int | None = None, endpos: int | None = None
    ) -> Match | None: ...

    def fullmatch(self, text: bytes) -> Match | None: ...


class RegexSet(Protocol):
    """Many patterns at once."""

    def Match(self, text: bytes) -> list[int] | None:  # noqa: N802
        """Which patterns match at the start of the text, in no order; None for none."""


class RegexError(ValueError):
    """RE2 refuses the pattern: bad syntax, look-around, a backreference, or it is too large."""


def _options(*, ignore_case: bool) -> object:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # any bytes are text then
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    return options


# A rule is compiled when it is checked and when it is used, and many have the same parts; the
# library keeps 128, fewer than the rules that ship with podmedic have.
@functools.lru_cache(maxsize=1024)
def compile_bytes(pattern: bytes, *, ignore_case: bool = False) -> Regex:
    """Raises RegexError."""
    try:
        return cast(Regex, re2.compile(pattern, _options(ignore_case=ignore_case)))
    except re2.error as error:
        reason = error.args[0] if error.args else "refused"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise RegexError(text) from error


def compile_set(patterns: Sequence[bytes]) -> RegexSet:
    """For patterns that compile one by one."""
    patterns_set = re2.Set.MatchSet(_options(ignore_case=False))
    for pattern in patterns:
        patterns_set.Add(pattern)
    patterns_set.Compile()
    return cast(RegexSet, patterns_set)


def escape(literal: bytes) -> bytes:
    return cast(bytes, re2.escape(literal))
