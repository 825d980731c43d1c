"""No line of a log keeps the rules from coming to an end, whoever wrote it."""

import pytest

from runner.analyze.repeats import repeats
from runner.last_words import fatal_line

DATE = "2024-01-01 00:00:00 "
WORDS = " ".join(["1" * 30] * 3)
HOSTILE = {
    "digits": ("1" * 4000 + "\n") * 400,
    "a date and digits": (f"{DATE}{'1' * 3950}\n") * 64,
    "words of digits": (f"{WORDS} {'1' * 300}\n") * 50,
    "words of digits that end well": (f"{WORDS} {'1' * 500} connection refused\n") * 40,
    "brackets": (f"{DATE}{'[' * 3950}\n") * 64,
    "blanks": (f"{DATE}{' ' * 3950}x\n") * 64,
    "dashes": ("- " * 1900 + "\n") * 200,
    "a name without end": ("a." * 1900 + "Error\n") * 200,
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_it_comes_to_an_end(text: str) -> None:
    """Patterns that try every way of cutting words took minutes to hours."""
    assert isinstance(fatal_line(text), str)
    assert repeats(text) is not None
