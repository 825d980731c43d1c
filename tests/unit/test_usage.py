"""A command line that cannot be meant is refused in one line that says what could be."""

from pathlib import Path

import pytest

from runner.cli.main import main
from runner.playbook import UnknownPlaybookError, resolve


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["validate"], "Missing argument 'FILE...'; `podmedic validate --help` says what there is"),
        (["list", "x"], "Got unexpected extra argument (x); `podmedic list --help` says what there is"),
        (
            ["schema", "polcy"],
            ("Invalid value for '[playbook|policy|routes|report]': 'polcy' is not one of 'playbook', "
            "'policy', 'routes', 'report' (did you mean \"policy\"?)"),
        ),
        (
            ["plan", "-o", "jsn"],
            ("Invalid value for '-o' / '--output': 'jsn' is not one of 'json', 'yaml', 'name', 'wide' "
            '(did you mean "json"?)'),
        ),
        (["run", "--start-timeout", "2m"], "Invalid value for '--start-timeout': '2m' is not a number (did you mean 120?)"),
        (
            ["plan", "-n", "a,b"],
            "-n 'a,b' is no name of a namespace: lower case letters, digits and '-'; -n may be given several times",
        ),
        (["run", "-o", __file__], f"-o {__file__}: is a file; name a directory for the run, or a format"),
        (["keygen", "-o", ""], "-o '': a name is expected, such as ./podmedic"),
        (["policy", "nope"], "No such command 'nope'; `podmedic policy --help` says what there is"),
        (["rbac", "--name", "A"], "--name 'A': lower case letters, digits and '-' are expected"),
        (["run", "--cap", "x"], "Invalid value for '--cap': 'x' is not a valid integer."),
        (["valdate"], "no such command 'valdate' (did you mean 'validate'?); `podmedic --help` lists them"),
        (
            ["explain", "spec.step"],
            ("no field is called 'playbook.spec.step' (did you mean 'playbook.spec.steps'?); `podmedic "
            "explain facts` and `podmedic explain playbook` show those there are"),
        ),
    ],
)  # fmt: skip
def test_usage(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 4
    assert capsys.readouterr() == ("", f"podmedic: {line}\n")


def test_a_file_that_is_named_like_a_playbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "database.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownPlaybookError) as caught:
        resolve("database")
    assert str(caught.value) == (
        'no playbook is called "database"; `podmedic list` shows those there are; '
        'the file here is ./database.yaml: a path needs a "/"'
    )
