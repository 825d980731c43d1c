"""Files are whole or as they were, whatever the disk says."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.report import OutputError, from_json, to_html, write, write_atomically
from tests.unit.report_samples import rich_report


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    report = rich_report()

    write(tmp_path / "new" / "directory", report)

    directory = tmp_path / "new" / "directory"
    assert sorted(path.name for path in directory.iterdir()) == ["report.html", "report.json"]
    assert from_json((directory / "report.json").read_bytes()) == report
    assert (directory / "report.html").read_text() == to_html(report)


def test_what_a_killed_runner_left_behind_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.tmp").write_text("half of a repor")

    write_atomically(tmp_path / "a", b"whole")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to(tmp_path / "precious")

    write_atomically(tmp_path / "a", b"whole")

    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "a").is_symlink()


def _fail(code: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_leaves_the_old_file(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.json").write_text("old")
    monkeypatch.setattr(os, call, _fail(code))

    with pytest.raises(OutputError) as caught:
        write(tmp_path, rich_report())

    monkeypatch.undo()
    assert str(caught.value) == f"cannot write {tmp_path}/report.json: {os.strerror(code)}"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


def test_a_directory_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError) as caught:
        write_atomically(tmp_path / "file" / "report.json", b"x")

    assert str(caught.value) == f"cannot make the directory {tmp_path}/file: File exists"
