"""Regular expressions of documents: google-re2, linear in its input whatever it is."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

_PATTERN_OPTIONS = re2.Options()
_PATTERN_OPTIONS.log_errors = False
_PATTERN_OPTIONS.max_mem = 8 << 20
MAX_PATTERN = 2000


@lru_cache(maxsize=2048)
def compile_pattern(text: str) -> Any:
    """A google-re2 pattern: linear in its input whatever it is. Raises ValueError."""
    if len(text) > MAX_PATTERN:
        raise ValueError(f"longer than {MAX_PATTERN} characters")
    try:
        return re2.compile(text, _PATTERN_OPTIONS)
    except re2.error as error:
        first = error.args[0] if error.args else ""
        words = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        raise ValueError(f"not a re2 regular expression: {words}") from None
