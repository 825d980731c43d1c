"""How programs of many languages say the same failure: `lab/wordings.yaml` as data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

# A hyphen is none: words with one are to be found again.
_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
_TABLE = Path(__file__).parent / "wordings.yaml"


@dataclass(frozen=True, slots=True)
class Wording:
    """What a program prints before it exits with that code."""

    language: str
    log: str
    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to fail: `says` is what whoever reads the report must be told of it."""

    says: Sequence[str]
    wordings: Sequence[Wording]


@cache
def failures() -> Mapping[str, Failure]:
    """By the name of the class; texts and patterns have names in braces."""
    return {
        name: Failure(
            says=tuple(known["says"]),
            wordings=tuple(
                Wording(each["language"], each["log"], each.get("exitCode", 1))
                for each in known["wordings"]
            ),
        )
        for name, known in yaml.load(_TABLE.read_bytes(), yaml.CSafeLoader).items()
    }


def filled(text: str, names: Mapping[str, str]) -> str:
    """The log with these names put in."""
    return _put(text, names)


def filled_pattern(pattern: str, names: Mapping[str, str]) -> str:
    """The pattern with these names put in, as they stand."""
    return _put(pattern, {name: _SPECIAL.sub(r"\\\g<0>", word) for name, word in names.items()})


def _put(text: str, names: Mapping[str, str]) -> str:
    for name, word in names.items():
        text = text.replace("{" + name + "}", word)
    return text
