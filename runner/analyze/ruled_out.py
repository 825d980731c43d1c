"""What need not be checked again: causes that an ill workload was examined for and has not."""

from collections.abc import Iterator, Sequence

import msgspec

from runner.analyze.rules import Hit, Judge, Unanswered
from runner.model.examination import Examination
from runner.model.report import Refuted, RuledOut, Severity
from runner.model.subject import PodRef, Workload
from runner.select import is_healthy

_Key = tuple[Workload, str, str]


class _Doubt(msgspec.Struct):
    """What was asked of the ill pods of one workload, container and playbook."""

    not_so: set[str] = msgspec.field(default_factory=set)
    open: set[str] = msgspec.field(default_factory=set)
    checks: tuple[Refuted, ...] = ()


class Doubts:
    def __init__(self) -> None:
        self._known: dict[_Key, _Doubt] = {}

    def add(
        self,
        examination: Examination,
        playbook: str,
        asked: Judge,
        results: Sequence[Hit | Unanswered],
    ) -> None:
        """After all results were taken. Healthy pods leave nothing to rule out."""
        if is_healthy(examination.conditions) and not any(
            isinstance(each, Hit) and each.rule.severity is not Severity.INFO for each in results
        ):
            return
        key = (examination.workload, examination.target_container, playbook)
        doubt = self._known.setdefault(key, _Doubt())
        doubt.not_so |= asked.not_so
        doubt.open |= {each.rule.id if isinstance(each, Hit) else each.rule for each in results}
        if not doubt.checks:  # replicas mostly say the same
            meta = examination.pod.metadata
            pod = PodRef(namespace=meta.namespace, name=meta.name)
            doubt.checks = tuple(
                Refuted(rule=rule, message=message, pod=pod)
                for rule, message in asked.refutations()
            )

    def ruled_out(self) -> tuple[RuledOut, ...]:
        """A rule that holds for another pod of the workload, or was not answered for one, is not
        ruled out."""
        return tuple(sorted(self._told(), key=_order))

    def _told(self) -> Iterator[RuledOut]:
        for (workload, container, playbook), doubt in self._known.items():
            rules = doubt.not_so - doubt.open
            if rules:
                yield RuledOut(
                    workload=workload,
                    container=container,
                    playbook=playbook,
                    checks=tuple(each for each in doubt.checks if each.rule in rules),
                    rules=tuple(sorted(rules)),
                )


def _order(one: RuledOut) -> tuple[str, ...]:
    workload = one.workload
    return (workload.namespace, workload.kind, workload.name, one.container, one.playbook)
