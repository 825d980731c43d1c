"""What `podmedic run` was asked to do."""

from dataclasses import dataclass
from pathlib import Path

from runner.cli import options
from runner.playbook import Playbook
from runner.sweep import Budget, Selection

DEFAULT_DIRECTORY = Path("podmedic-report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The command line, read and checked."""

    playbooks: tuple[Playbook, ...]
    selection: Selection
    connection: options.Connection
    budget: Budget
    directory: Path
    output: str | None
    dry_run: str | None
    metrics_textfile: Path | None
    pushgateway: str | None
    allow_empty: bool
    quiet: bool
