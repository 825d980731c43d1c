"""Playbooks: read from YAML into immutable models, or refused with every mistake named."""

from runner.playbook.debugger import Debugger
from runner.playbook.errors import PlaybookError, PlaybookErrors, UnknownPlaybookError
from runner.playbook.load import builtin, load, load_file, resolve
from runner.playbook.spec import FindingRule, ObjectKind, Playbook, Step, Targets

__all__ = [
    "Debugger",
    "FindingRule",
    "ObjectKind",
    "Playbook",
    "PlaybookError",
    "PlaybookErrors",
    "Step",
    "Targets",
    "UnknownPlaybookError",
    "builtin",
    "load",
    "load_file",
    "resolve",
]
