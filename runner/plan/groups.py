"""Playbooks whose debugger settings agree share one ephemeral container."""

import hashlib
from collections.abc import Sequence

import msgspec

from runner.playbook import Debugger, Playbook, Step
from runner.program import ProgramStep, build


class DebuggerGroup(msgspec.Struct, frozen=True, kw_only=True):
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
            key = msgspec.json.encode(playbook.spec.debugger).decode()
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


def program_step(playbook: Playbook, step: Step) -> ProgramStep:
    return ProgramStep(
        name=step.name,
        playbook=playbook.metadata.name,
        argv=step.run or (),
        script=step.script or "",
        timeout_seconds=step.timeout_seconds,
        attempts=step.retry.attempts,
        backoff_seconds=step.retry.backoff_seconds,
        output_limit_bytes=step.output_limit_bytes,
        tools=step.needs.tools,
    )


def program_problems(playbooks: Sequence[Playbook]) -> tuple[str, ...]:
    """What keeps the steps of these playbooks from being sent as one program: its size."""
    problems = []
    for group in group_playbooks(playbooks):
        steps = [program_step(p, step) for p in group.playbooks for step in p.spec.steps]
        try:
            # The longest name that a container may have.
            build(steps, nonce="n" * 63, deadline_seconds=3600)
        except ValueError as error:
            names = ", ".join(p.metadata.name for p in group.playbooks)
            problems.append(f"the steps of {names} cannot be sent: {error}")
    return tuple(problems)
