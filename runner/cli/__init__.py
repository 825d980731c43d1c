"""The command line: arguments, wiring, exit codes, and the one boundary for errors."""

import gc

# A start makes modules, and a sweep keeps what it makes until the report is written: both leave few
# cycles behind. To look for them after every 700 objects, as is the default, takes a fifth of the
# CPU.
gc.set_threshold(50_000, 50, 100)

from runner.cli.main import console, main  # noqa: E402

__all__ = ["console", "main"]
