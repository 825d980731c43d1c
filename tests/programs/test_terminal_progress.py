"""What is imported for progress."""

import subprocess
import sys


def test_rich_is_imported_for_terminals_only() -> None:
    program = (
        "import sys, io, runner.progress as p\n"
        "p.progress(io.StringIO(), clock=lambda: 0.0, environ={'TERM': 'xterm'}).start(3)\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'rich'])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )

    assert said.stdout == "[]\n"
