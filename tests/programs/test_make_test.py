"""`make test`: what failed beside the others is tried once more, alone."""

import os
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_ONCE = """
from pathlib import Path

def test_busy():
    mark = Path("mark")
    there = mark.exists()
    mark.touch()
    assert there

def test_good():
    pass
"""


BAD = "def test_bad():\n    assert False\n"
MANY = "".join(f"def test_{n}():\n    assert False\n" for n in range(6))
AGAIN = "2 failed beside the others; once more, with nothing else running:"


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        (BAD, ["2 failed, 1 passed", AGAIN, "1 failed, 1 passed"]),
        (MANY, ["7 failed, 1 passed"]),
    ],
    ids=["few", "many"],
)
def test_a_second_time(tmp_path: Path, more: str, lines: list[str]) -> None:
    (tmp_path / ".venv").symlink_to(_ROOT / ".venv")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(_ONCE + more)
    done = subprocess.run(
        [_ROOT / "scripts" / "test.sh", "2", "artifacts"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = [
        line
        for line in done.stdout.splitlines()
        if (" in " in line and "==" in line) or "once more" in line
    ]
    assert [line.strip("= ").partition(" in ")[0] for line in told] == lines, done.stdout
    assert done.returncode == 1
