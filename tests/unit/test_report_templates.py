"""Compiled templates are kept beside their sources."""

import sys
from pathlib import Path

import pytest

from runner import resources
from runner.report.templates import page_environment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resources, "directory", lambda _: tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "page.j2").write_text("<b>{{ name }}</b>")
    return tmp_path


def rendered() -> str:
    return page_environment().get_template("page.j2").render(name="<web>")


def test_a_changed_template_is_compiled_anew(folder: Path) -> None:
    assert [rendered(), rendered()] == ["<b>&lt;web&gt;</b>"] * 2
    [kept] = (folder / "__pycache__").iterdir()
    before = kept.read_bytes()
    (folder / "page.j2").write_text("<i>{{ name }}</i>")

    assert rendered() == "<i>&lt;web&gt;</i>"
    assert [each.read_bytes() == before for each in (folder / "__pycache__").iterdir()] == [False]


def test_where_nothing_can_be_kept_pages_are_made_all_the_same(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file")

    assert rendered() == "<b>&lt;web&gt;</b>"


def test_nothing_is_kept_where_python_keeps_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    assert rendered() == "<b>&lt;web&gt;</b>"
    assert [each.name for each in folder.iterdir()] == ["page.j2"]
