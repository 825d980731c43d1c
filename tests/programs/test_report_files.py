"""A report that the kernel cuts short while it is written."""

import subprocess
import sys
from pathlib import Path


def test_a_write_that_the_kernel_cuts_short_leaves_the_old_file(tmp_path: Path) -> None:
    """Nothing patched: the process may not write more than 1000 bytes to a file."""
    (tmp_path / "report.json").write_text("old")
    program = (
        "import resource, sys, pathlib\n"
        "from runner.report import OutputError, write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_atomically(pathlib.Path(sys.argv[1]), b'x' * 5000)\n"
        "except OutputError as error:\n    print(error)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "report.json")],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert said.stdout == f"cannot write {tmp_path}/report.json: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"
