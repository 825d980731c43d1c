"""docs/library.md, written from the built-in playbooks themselves.

`python -m runner.playbook.catalogue` prints it; a test compares it with the page.
"""

import re
from collections.abc import Iterator

from runner.playbook.load import builtin, load_file
from runner.playbook.spec import FindingRule, Needs, Playbook

_HEAD = (
    "# Built-in playbooks\n\n"
    "`podmedic list` names them, `podmedic run NAME...` runs them; without a name `triage` "
    "runs, with what it includes. Each is a file in `playbooks/` to read, copy and change "
    "([how](playbooks.md)). "
    "Playbooks whose debugger settings agree share one ephemeral container."
)


def catalogue() -> str:
    """Markdown: a section for each playbook."""
    playbooks = [load_file(path) for path in builtin()]
    return "\n".join([_HEAD, *(line for each in playbooks for line in _section(each))])


def _section(playbook: Playbook) -> Iterator[str]:
    spec = playbook.spec
    yield from ("", f"## {playbook.metadata.name}", "", playbook.metadata.description)
    conditions = ", ".join(spec.targets.conditions)
    which = f"pods that are {conditions}" if conditions else "all pods"
    yield from ("", f"Looks at {which}. {_cost(playbook)}")
    if spec.includes:
        yield from ("", f"Runs with it: {', '.join(f'`{name}`' for name in spec.includes)}.")
    if spec.steps:
        yield from ("", "| step | finds out | needs |", "|---|---|---|")
        for step in spec.steps:
            yield f"| `{step.name}` | {step.description} | {_needs(step.needs)} |"
    if spec.findings or spec.workloads:
        yield from ("", "| finding | severity | confidence | |", "|---|---|---|---|")
        for rule in (*spec.findings, *spec.workloads):
            yield f"| `{rule.id}` | {rule.severity} | {rule.confidence} | {_title(rule)} |"


def _cost(playbook: Playbook) -> str:
    debugger = playbook.spec.debugger
    if not playbook.spec.steps:
        return "Injects nothing."
    return (
        f"One ephemeral container, profile `{debugger.profile}`, "
        f"{playbook.spec.deadline_seconds} s at most."
    )


def _needs(needs: Needs) -> str:
    parts = [f"`{tool}`" for tool in needs.tools]
    parts += ["the target's processes"] if needs.target else []
    parts += ["the target's image"] if needs.image else []
    return ", ".join([*parts, *needs.capabilities])


def _title(rule: FindingRule) -> str:
    """What a pod fills in is left open."""
    return re.sub(r"\{[{%].*?[%}]\}", "…", rule.title).replace("|", "\\|")


if __name__ == "__main__":
    print(catalogue())
