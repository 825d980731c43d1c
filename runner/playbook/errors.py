"""What is wrong with a playbook, and where."""

from collections.abc import Iterable, Sequence

import msgspec


class PlaybookError(msgspec.Struct, frozen=True, order=True):
    """One mistake; `line` and `column` count from 1 and are 0 when the file could not be read,
    `field` is a path such as `spec.steps[0].run` and empty when the file as a whole is meant."""

    path: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        words = f"{self.field}: {self.message}" if self.field else self.message
        place = f":{self.line}:{self.column}" if self.line else ""
        return _one_line(f"{self.path}{place}: {words}")


def _one_line(text: str) -> str:
    """What a file holds may break lines or talk to the terminal; its echo may not."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class PlaybookErrors(Exception):  # noqa: N818
    """Everything that is wrong with one playbook, in the order of the file."""

    def __init__(self, errors: Iterable[PlaybookError]) -> None:
        self.errors: tuple[PlaybookError, ...] = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


class UnknownPlaybookError(Exception):
    """No built-in playbook has that name and no file that path; the message says what there is."""


class PlacedError(ValueError):
    """What is wrong at a place inside of a text; line and column count from 1 within it. `others`
    are wrong beside it."""

    def __init__(
        self, message: str, line: int = 1, column: int = 1, others: "Sequence[PlacedError]" = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.others = others


class ConditionError(PlacedError):
    """A condition that cannot be compiled."""


class UnknownFactError(Exception):
    """An expression asked for a fact that is not there; the message says which."""

    code = "FactMissing"


class WrongTypeError(UnknownFactError):
    """What it asked for is there, and is not what it can use: a mistake of the playbook."""

    code = "WrongType"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """` (did you mean "X"?)` when something known is close to the word, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  most words are right

    lowered = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), list(lowered), n=1, cutoff=0.6)
    return f' (did you mean "{lowered[close[0]]}"?)' if close else ""
