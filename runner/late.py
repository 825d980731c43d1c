"""Regular expressions that are compiled when they are first used: a command uses few of them, and
at each start all of them would take as long as ten pods."""

import re
from typing import Any, cast


class Late:
    """Stands for `re.compile(pattern, flags)`."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._given = pattern, flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._given), name)  # re keeps those of late
        setattr(self, name, found)
        return found


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Raises re.error, but not before it is used."""
    return cast("re.Pattern[str]", Late(pattern, flags))
