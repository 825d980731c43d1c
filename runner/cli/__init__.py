"""The command line: arguments, wiring, exit codes, and the one boundary for errors."""

from runner.cli.main import main

__all__ = ["main"]
