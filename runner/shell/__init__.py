"""One ephemeral container that waits, for what a sweep cannot know beforehand: a command now."""

from runner.shell.command import Command, run_command
from runner.shell.document import document
from runner.shell.reach import Asked, NotReachedError, Reached, reach

__all__ = [
    "Asked",
    "Command",
    "NotReachedError",
    "Reached",
    "document",
    "reach",
    "run_command",
]
