"""How much of what a playbook collects for people arrived whole: one without rules gives no
verdict, and whoever relies on its evidence has to know what is not there."""

from collections import Counter
from collections.abc import Iterator, Sequence

from runner.model.report import Completeness, StepOutcome, StepResult
from runner.model.seen import Seen, SeenPod
from runner.playbook import Playbook
from runner.report import plural
from runner.select import is_healthy

_MAX_MISSING = 20


def completeness(seen: Seen, playbooks: Sequence[Playbook]) -> tuple[Completeness, ...]:
    """Of each playbook without rules that means a pod: its steps, and what it wants of the API."""
    return tuple(
        _of(seen, playbook, pods)
        for playbook in playbooks
        if not playbook.spec.findings
        and (pods := [pod for pod in seen.pods if playbook.name in pod.playbooks])
    )


def _of(seen: Seen, playbook: Playbook, pods: Sequence[SeenPod]) -> Completeness:
    items = [item for pod in pods for item in _items(seen, playbook, pod)]
    # What changed is asked of the workloads of ill pods alone.
    well = sum(is_healthy(pod.examination.conditions) for pod in pods)
    healthy = f"changes: not ill ({plural(well, 'pod')})"
    missing = Counter((what, why) for what, why in items if why)
    whole = len(items) - missing.total()
    return Completeness(
        playbook=playbook.name,
        asked=len(items),
        whole=whole,
        percent=100 * whole // len(items),
        missing=tuple(
            f"{what}: {why} ({plural(count, 'pod')})"
            for (what, why), count in missing.most_common(_MAX_MISSING)
        ),
        not_needed=(healthy,) if well and playbook.spec.evidence.changes else (),
    )


def _items(seen: Seen, playbook: Playbook, pod: SeenPod) -> Iterator[tuple[str, str]]:
    """What is asked for of a pod, and why it is not there whole; empty where it is."""
    unknown = pod.examination.unknown
    yield "events", seen.events_unknown or unknown.get("events", "")
    yield "logs", unknown.get("logs", "")
    if playbook.spec.evidence.changes and not is_healthy(pod.examination.conditions):
        yield "changes", seen.changes_unknown
    results = {step.name: step for step in pod.result.steps if step.playbook == playbook.name}
    for step in playbook.spec.steps:
        result = results.get(step.name)
        yield step.name, _why_missing(result) if result else pod.result.reason or "NotRun"


def _why_missing(step: StepResult) -> str:
    if step.outcome is not StepOutcome.PASSED:
        return step.reason or step.outcome.value
    last = step.attempts[-1] if step.attempts else None
    if last is not None and (last.stdout_info.truncated or last.stderr_info.truncated):
        return "OutputTruncated"
    return ""
