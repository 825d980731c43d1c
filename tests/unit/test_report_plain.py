"""Text of pods cannot move a cursor, set a colour or turn the reading direction."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from runner.report.plain import cells, cut, is_terminal_safe, one_line, plain, squeezed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred\x1b[0m", "^[[31mred^[[0m"),
        ("\x1b]52;c;cm0gLXJm\x07", "^[]52;c;cm0gLXJm^G"),
        ("progress 10%\rdone", "progress 10%^Mdone"),
        ("\x00\x08\x7f", "^@^H^?"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\U000e0041", "\\ue0041"),
        ("\ud83d", "\ufffd"),
        ("[bold]x[/bold] {{7*7}} <b>", "[bold]x[/bold] {{7*7}} <b>"),
        ("Größe 大きさ 👩‍🚀", "Größe 大きさ 👩‍🚀"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters()))
def test_nothing_that_controls_survives(text: str) -> None:
    shown = plain(text)

    assert is_terminal_safe(shown)
    assert plain(shown) == shown
    for character in shown:
        assert character in "\n\t\u200c\u200d" or unicodedata.category(character) not in {
            "Cc",
            "Cs",
        }
        assert unicodedata.bidirectional(character) not in {
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)


@given(st.text(), st.integers(1, 40))
def test_squeezed_fits(text: str, width: int) -> None:
    line = one_line(text)
    assert cells(squeezed(line, width)) <= width
    assert squeezed(line, cells(line)) == line


def test_squeezed_keeps_who_and_why() -> None:
    line = 'Failed to pull image "registry.example.com/shop/mailer:v3.1.0": not found'
    assert squeezed(line, 40) == 'Failed to pull image…:v3.1.0": not found'


@given(st.text(), st.integers(1, 40))
def test_cut_fits(text: str, width: int) -> None:
    line = one_line(text)

    shown = cut(line, width)

    assert cells(shown) <= width
    assert shown == line or shown.endswith("…")


@pytest.mark.parametrize("text", ["abc", "Größe", "大きさ", "e\u0301", "…"])
def test_cells_agrees_with_what_terminals_do(text: str) -> None:
    assert cells(text) == cell_len(text)
