"""`-o`, and `podmedic report` as a user calls it."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from runner.cli.exit_codes import ExitCode
from runner.cli.main import podmedic
from runner.cli.outputs import Outputs, read_outputs
from runner.record import RecordError
from runner.report import to_html, write
from runner.report.output import FILES
from tests.unit.report_samples import rich_report


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ([], Outputs()),
        (["json"], Outputs(printed="json")),
        (["sweep"], Outputs(directory=Path("sweep"))),
        (["sweep", "wide"], Outputs(directory=Path("sweep"), printed="wide")),
        (["junit,sarif"], Outputs(files=("junit", "sarif"))),
        (["json", "junit,sarif", "d"],
         Outputs(directory=Path("d"), printed="json", files=("junit", "sarif"))),
        (["a,b"], Outputs(directory=Path("a,b"))),
        (["./jsn"], Outputs(directory=Path("jsn"))),
    ],
)  # fmt: skip
def test_directories_and_formats(values: list[str], meant: Outputs) -> None:
    assert read_outputs(values) == meant


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", "b"], "-o takes one directory, not a and b"),
        (
            ["json", "csv"],
            "-o: only one format can be printed; -o json,csv writes a file for each",
        ),
        (["json,wide"], "-o json,wide: wide is for the terminal and has no file"),
        (
            ["junit,sarfi"],
            "-o junit,sarfi: no format is called 'sarfi' (did you mean sarif?): "
            + ", ".join(FILES),
        ),
        ([""], "-o is empty: name a directory (. for this one) or a format"),
        (["jsn"], "-o jsn: did you mean json? A new directory of that name is ./jsn"),
    ],
)  # fmt: skip
def test_what_is_no_output(
    values: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError) as caught:
        read_outputs(values)
    assert caught.value.message == said


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    write(tmp_path / "run", rich_report())
    return tmp_path / "run"


def _report(*arguments: str | Path) -> Result:
    words = ["report", *map(str, arguments)]
    return CliRunner().invoke(podmedic, words, standalone_mode=False)


def test_one_format_is_printed(run_directory: Path) -> None:
    done = _report(run_directory, "-o", "json")
    assert done.stdout.encode() == (run_directory / "report.json").read_bytes()
    assert done.return_value == ExitCode.OK


def test_a_file_is_a_report_as_well(run_directory: Path) -> None:
    done = _report(run_directory / "report.json", "-o", "html")
    assert done.stdout == to_html(rich_report())


def test_several_formats_are_files(run_directory: Path, tmp_path: Path) -> None:
    done = _report(run_directory, "-o", ",".join(FILES), "-o", tmp_path / "out")

    assert done.return_value == ExitCode.OK
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES.values())
    assert (tmp_path / "out/report.json").read_bytes() == (
        run_directory / "report.json"
    ).read_bytes()
    assert json.loads((tmp_path / "out/report.sarif").read_bytes())["version"] == "2.1.0"
    assert done.stdout.splitlines() == [
        f"Written: {tmp_path / 'out' / name}" for name in FILES.values()
    ]


def test_without_a_directory_they_lie_here_and_not_in_the_sealed_run(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(run_directory.iterdir())
    _report(run_directory, "-o", "junit,csv")
    assert (tmp_path / "junit.xml").is_file()
    assert (tmp_path / "findings.csv").is_file()
    assert sorted(run_directory.iterdir()) == before


def test_without_a_format_it_says_what_the_run_said(run_directory: Path) -> None:
    assert _report(run_directory).stdout.startswith("2 workloads broken, 2 suspicious")


def test_a_template_prints(run_directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("{{ headline }}")
    done = _report(run_directory, "--template", file)
    assert done.stdout == "2 workloads broken, 2 suspicious, 4 healthy, 2 not examined"


def test_a_file_that_cannot_be_written_costs_no_other(run_directory: Path) -> None:
    (run_directory / "junit.xml").mkdir()

    done = _report(run_directory, "-o", "junit,csv", "-o", run_directory)

    assert done.return_value == ExitCode.NOT_STORED
    assert f"cannot write {run_directory / 'junit.xml'}" in done.stderr
    assert (run_directory / "findings.csv").is_file()


def test_a_directory_without_a_report(tmp_path: Path) -> None:
    done = _report(tmp_path)
    assert isinstance(done.exception, RecordError)
    assert "it is not the directory of a run" in str(done.exception)
