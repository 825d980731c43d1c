"""From what the API shows of workloads, Services and pods that are being deleted to findings:
what nobody sees who looks at pods that run. Pure."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

import msgspec

from runner.analyze.excerpts import MAX_BYTES
from runner.analyze.judge import ranked
from runner.analyze.object_facts import (
    Surroundings,
    failure,
    holds,
    missing_pods,
    object_facts,
    workload_of_controller,
)
from runner.analyze.rules import Hit, Judge, fingerprint
from runner.model.objects import Controller, ObjectExamination, Objects
from runner.model.pod import Event, ObjectMeta, Pod
from runner.model.report import Evidence, Finding, NotEvaluated
from runner.model.subject import PodRef, Workload
from runner.model.trigger import Aim
from runner.playbook.conditions import Facts
from runner.playbook.selectors import selects
from runner.playbook.spec import FindingRule, Playbook
from runner.select import owner_matches_workload, workload_aimed_at, workload_of

# A controller that cannot create a pod tries again after at most 1000 s.
EVENT_MEMORY = timedelta(minutes=20)
_NOT_ASKED = "NotAsked"
_MAX_EVENTS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judge_objects(
    playbooks: Sequence[Playbook],
    objects: Objects,
    pods: Sequence[Pod],
    explained: AbstractSet[Workload],
    now: datetime,
    label_selector: str = "",
    aims: Sequence[Aim] = (),
) -> tuple[tuple[Finding, ...], tuple[NotEvaluated, ...]]:
    """`pods` are those that were listed, `explained` the workloads with a critical finding."""
    found: dict[str, Finding] = {}
    questions: set[tuple[str, str, str, str]] = set()
    subjects = [
        msgspec.structs.replace(each, explained=each.workload in explained)
        for each in examinations(objects, pods, now)
    ]
    around = Surroundings(objects, pods)
    for playbook in playbooks:
        if not playbook.spec.workloads:
            continue
        name = playbook.metadata.name
        for kind, why in _not_asked(playbook, objects):
            questions.add((f"kind {kind}", name, _NOT_ASKED, f"the run did not ask for it: {why}"))
        for fact, why in objects.unknown.items():
            if fact == "policies":
                continue  # a question about pods, and told with them
            reason = "Forbidden" if why.startswith("forbidden") else "Unavailable"
            questions.add((f"fact {fact}", name, reason, why))
        for one in subjects:
            if not _meant(playbook, one, label_selector, aims):
                continue
            subject, known = _Subject(one, around), object_facts(one, around, now)
            rules = [rule for rule in playbook.spec.workloads if rule.is_about(one.kind)]
            for result in Judge(name, rules, subject, known).results():
                if isinstance(result, Hit):
                    finding = _finding(one, result)
                    found.setdefault(finding.fingerprint, finding)
                else:
                    rule = f"rule {result.rule}"
                    questions.add((rule, name, result.reason, result.message))
    unanswered = tuple(
        NotEvaluated(subject=subject, playbook=name, reason=reason, message=message, pods=())
        for subject, name, reason, message in sorted(questions)
    )
    return ranked(found.values()), unanswered


def _not_asked(playbook: Playbook, objects: Objects) -> Iterator[tuple[str, str]]:
    """What was not needed when the run looked, by other playbooks than this one, and its rules
    judge."""
    for kind, why in objects.not_needed.items():
        judged = "Service" if kind == "EndpointSlice" else kind
        # Policies are a question about pods, and told with them.
        if kind != "NetworkPolicy" and any(
            rule.sign is None and rule.is_about(judged) for rule in playbook.spec.workloads
        ):
            yield kind, why


def examinations(
    objects: Objects, pods: Sequence[Pod], now: datetime
) -> Iterator[ObjectExamination]:
    """What there is to judge. Of the Jobs of a CronJob only the latest: those before it are
    history."""
    by_owner: dict[str, list[Pod]] = {}
    for pod in pods:
        for owner in pod.metadata.owner_references:
            by_owner.setdefault(owner.uid, []).append(pod)
    for controller in _current(objects.controllers):
        meta = controller.metadata
        yield ObjectExamination(
            kind=controller.kind,
            metadata=meta,
            workload=workload_of_controller(controller),
            controller=controller,
            pods=tuple(by_owner.get(meta.uid, ())),
            events=tuple(_events(objects.events, controller.kind, meta, now)),
        )
    for service in objects.services:
        meta = service.metadata
        if service.spec.selector and service.spec.type != "ExternalName":
            workload = Workload(kind="Service", namespace=meta.namespace, name=meta.name)
            yield ObjectExamination(
                kind="Service", metadata=meta, workload=workload, service=service
            )
    for pod in pods:
        if pod.metadata.deletion_timestamp is not None:
            yield ObjectExamination(
                kind="Pod", metadata=pod.metadata, workload=workload_of(pod), pods=(pod,)
            )


def _current(controllers: Sequence[Controller]) -> Iterator[Controller]:
    latest: dict[Workload, Controller] = {}
    for each in controllers:
        workload = workload_of_controller(each)
        if workload.kind != "CronJob":
            yield each
        elif workload not in latest or _created(latest[workload]) < _created(each):
            latest[workload] = each
    yield from latest.values()


def _created(controller: Controller) -> datetime:
    return controller.metadata.creation_timestamp or _EPOCH


def failed_jobs(objects: Objects) -> frozenset[str]:
    """Uids of the Jobs that were given up and are not history."""
    return frozenset(
        each.metadata.uid
        for each in _current(objects.controllers)
        if each.kind == "Job" and holds(each, "Failed")
    )


def _events(events: Sequence[Event], kind: str, meta: ObjectMeta, now: datetime) -> Iterator[Event]:
    """About the object, or about a ReplicaSet of the Deployment."""
    for event in events:
        about = event.involved_object
        if about.namespace != meta.namespace or now - _event_time(event) > EVENT_MEMORY:
            continue
        of_deployment = kind == "Deployment" and about.kind == "ReplicaSet"
        if (about.kind, about.name) == (kind, meta.name) or (
            of_deployment and about.name.rpartition("-")[0] == meta.name
        ):
            yield event


def _event_time(event: Event) -> datetime:
    return event.last_timestamp or event.event_time or event.first_timestamp or _EPOCH


def _meant(
    playbook: Playbook, one: ObjectExamination, label_selector: str, aims: Sequence[Aim]
) -> bool:
    """Labels are those that its pods would have, else its own."""
    targets = playbook.spec.targets
    template = one.controller.spec.template.metadata.labels if one.controller else None
    labels = template or one.metadata.labels
    return (
        not targets.field_selector
        and (not targets.namespaces or one.metadata.namespace in targets.namespaces)
        and (not targets.owners or owner_matches_workload(targets.owners, one.workload))
        and all(selects(each, labels) for each in (label_selector, targets.selector))
        and workload_aimed_at(aims, playbook.name, one.workload, labels)
    )


class _Subject:
    """An object to be judged, with its proof."""

    def __init__(self, one: ObjectExamination, around: Surroundings) -> None:
        self._one = one
        self._around = around

    def texts(self, facts: Facts, reference: str) -> Sequence[str] | None:
        root, _, rest = reference.partition(".")
        if root == "events":
            if "events" in facts.unknown:
                return None
            return [e.message for e in self._one.events if rest in ("", e.reason)]
        text = str(facts.values["object"][rest]) if rest == "message" else ""
        return [text] if text else []

    def evidence(
        self, rule: FindingRule, decisive: Sequence[str], source: str
    ) -> tuple[Evidence, ...]:
        del decisive
        references = dict.fromkeys((source, *rule.evidence) if source else rule.evidence)
        found: list[Evidence] = []
        for reference in references:
            for each in self._evidence(reference):
                if each.excerpt and not any(each.excerpt in e.excerpt for e in found):
                    found.append(each)
        return tuple(found)

    def _evidence(self, reference: str) -> Iterator[Evidence]:
        one = self._one
        name = f"{one.kind} {one.metadata.name}"
        root, _, rest = reference.partition(".")
        if root == "events":
            for event in [e for e in one.events if rest in ("", e.reason)][-_MAX_EVENTS:]:
                times = f" x{event.count}" if event.count and event.count > 1 else ""
                yield _shown(f"event {event.reason}{times} of {name}", event.message)
        elif rest == "message" and one.controller is not None:
            yield _shown(f"status of {name}", failure(one.controller.status.conditions))
        elif rest == "status":
            yield _shown(f"status of {name}", "; ".join(_status(one, self._around)))

    def borrowed(self, rule: FindingRule, source: str) -> bool:
        del rule, source
        return False

    def cause(self, message: str) -> str:
        """Names of pods that were never created change with each try."""
        for pod in self._one.pods if self._one.kind == "Pod" else ():
            message = message.replace(pod.metadata.name, "POD")
        return message


def _shown(source: str, text: str) -> Evidence:
    raw = text.encode("utf-8", "replace")
    cut = text if len(raw) <= MAX_BYTES else raw[: MAX_BYTES - 4].decode("utf-8", "ignore") + "…"
    return Evidence(source=source, excerpt=cut.strip())


def _status(one: ObjectExamination, around: Surroundings) -> Iterator[str]:
    meta = one.metadata
    if meta.deletion_timestamp is not None:
        yield f"deletionTimestamp: {meta.deletion_timestamp:%Y-%m-%dT%H:%M:%SZ}"
    if meta.finalizers:
        yield f"finalizers: {', '.join(meta.finalizers)}"
    if one.service is not None:
        yield "selector: " + ",".join(f"{k}={v}" for k, v in one.service.spec.selector.items())
        yield f"endpoints: {around.endpoints[meta.namespace, meta.name]}"
    if one.controller is not None:
        for each in one.controller.status.conditions:
            words = ": ".join(word for word in (each.reason, each.message) if word)
            yield f"{each.type}={each.status}" + (f" ({words})" if words else "")
        status = one.controller.status
        if one.kind == "Job":
            yield f"{status.succeeded} succeeded, {status.failed} failed, {status.active} active"
        else:
            yield f"pods missing: {missing_pods(one.controller)}"


def _finding(one: ObjectExamination, hit: Hit) -> Finding:
    workload, rule = one.workload, hit.rule
    words = (workload.kind, workload.namespace, workload.name)
    refs = {(pod.metadata.namespace, pod.metadata.name) for pod in one.pods}
    return Finding(
        rule=rule.id,
        playbook=hit.playbook,
        severity=rule.severity,
        confidence=rule.confidence,
        title=hit.title,
        message=hit.message,
        remediation=hit.remediation,
        workload=workload,
        container="",
        pods=tuple(PodRef(namespace=n, name=name) for n, name in sorted(refs)),
        evidence=hit.evidence,
        fingerprint=fingerprint(words, "", rule.id, hit.cause),
    )
