"""Playbooks whose debugger settings agree share one ephemeral container."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from runner.playbook import Debugger, Playbook


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggerGroup:
    """`sha256` goes into the container's name: other settings or steps, another container."""

    debugger: Debugger
    playbooks: tuple[Playbook, ...]
    sha256: str


def group_playbooks(playbooks: Sequence[Playbook]) -> tuple[DebuggerGroup, ...]:
    """In the order in which the settings first occur; playbooks without steps need no
    container."""
    groups: dict[str, tuple[Debugger, list[Playbook]]] = {}
    for playbook in playbooks:
        if playbook.spec.steps:
            key = playbook.spec.debugger.model_dump_json()
            groups.setdefault(key, (playbook.spec.debugger, []))[1].append(playbook)
    return tuple(
        DebuggerGroup(
            debugger=debugger,
            playbooks=tuple(members),
            sha256=hashlib.sha256(
                "\0".join([key, *(playbook.sha256 for playbook in members)]).encode()
            ).hexdigest(),
        )
        for key, (debugger, members) in groups.items()
    )
