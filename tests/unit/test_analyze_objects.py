"""Workloads, Services and pods that are being deleted: what the playbook triage says of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.analyze import failed_jobs, judge_objects
from runner.analyze.object_facts import Surroundings, object_facts
from runner.analyze.objects import examinations
from runner.model.objects import (
    Controller,
    ControllerSpec,
    ControllerStatus,
    EndpointSlice,
    Objects,
    Service,
    ServiceSpec,
    Template,
)
from runner.model.pod import (
    ContainerStatus,
    Event,
    ObjectMeta,
    ObjectReference,
    OwnerReference,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
)
from runner.model.report import Finding, NotEvaluated
from runner.model.subject import Workload
from runner.playbook import load, resolve, vocabulary
from tests.unit.examinations import exited

TRIAGE = resolve("triage")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
QUOTA = (
    'pods "web-5d9c7-x" is forbidden: exceeded quota: team, requested: requests.memory=128Mi,'
    "pods=1, used: requests.memory=0,pods=9, limited: requests.memory=64Mi,pods=9"
)
NO_ACCOUNT = (
    'pods "web-0" is forbidden: error looking up service account shop/robot: '
    'serviceaccount "robot" not found'
)


def meta(name: str = "web", **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="shop", uid=f"uid-{name}", **more)


def controller(
    kind: str = "Deployment",
    *conditions: PodCondition,
    name: str = "web",
    replicas: int | None = 1,
    there: int = 0,
    labels: dict[str, str] | None = None,
    owner: str = "",
    created: datetime | None = None,
    **status: Any,
) -> Controller:
    owners = (OwnerReference(kind="CronJob", name=owner, controller=True),) if owner else ()
    return Controller(
        kind=kind,
        metadata=meta(name, owner_references=owners, creation_timestamp=created),
        spec=ControllerSpec(
            replicas=replicas, template=Template(metadata=ObjectMeta(labels=labels or {}))
        ),
        status=ControllerStatus(conditions=conditions, replicas=there, **status),
    )


def refused(message: str) -> Controller:
    return controller(
        "Deployment",
        PodCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message),
    )


def event(kind: str, name: str, message: str, minutes_ago: int = 1) -> Event:
    return Event(
        metadata=ObjectMeta(name="e"),
        involved_object=ObjectReference(kind=kind, namespace="shop", name=name),
        type="Warning",
        reason="FailedCreate",
        message=message,
        count=4,
        last_timestamp=NOW - timedelta(minutes=minutes_ago),
    )


def gave_up(reason: str, message: str, **more: Any) -> Controller:
    condition = PodCondition(type="Failed", status="True", reason=reason, message=message)
    return controller("Job", condition, replicas=None, failed=1, **more)


def service(selector: dict[str, str], name: str = "front", **spec: Any) -> Service:
    return Service(metadata=meta(name), spec=ServiceSpec(selector=selector, **spec))


def slice_of(name: str, addresses: int) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": name}
    return EndpointSlice(
        metadata=meta(f"{name}-x", labels=labels),
        endpoints=tuple({"addresses": [f"10.0.0.{i}"]} for i in range(addresses)) or None,
    )


def pod(name: str = "web-0", **more: Any) -> Pod:
    return Pod(metadata=meta(name, **more), spec=PodSpec())


def deleted(seconds_ago: int, *finalizers: str) -> Pod:
    when = NOW - timedelta(seconds=seconds_ago)
    return pod(deletion_timestamp=when, finalizers=finalizers)


def said(
    objects: Objects, *pods: Pod, explained: frozenset[Workload] = frozenset(), selector: str = ""
) -> tuple[tuple[Finding, ...], tuple[NotEvaluated, ...]]:
    return judge_objects([TRIAGE], objects, pods, explained, NOW, selector)


WEB = {"app": "web"}
CASES: list[tuple[str, Objects, tuple[Pod, ...], str, str]] = [
    (
        "quota-exceeded",
        Objects(controllers=(refused(QUOTA),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because the quota team of namespace shop does not leave room for them: requested requests.memory=128Mi,pods=1, used requests.memory=0,pods=9, limited to requests.memory=64Mi,pods=9.",
    ),
    (
        "quota-exceeded",
        # its condition not there yet, the ReplicaSet's event is
        Objects(controllers=(controller(),), events=(event("ReplicaSet", "web-5d9c7", QUOTA),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because the quota team of namespace shop does not leave room for them: requested requests.memory=128Mi,pods=1, used requests.memory=0,pods=9, limited to requests.memory=64Mi,pods=9.",
    ),
    (
        "quota-wants-resources",
        Objects(controllers=(refused("failed quota: team: must specify limits.memory for: app"),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because the quota team lets only those in whose containers say limits.memory for: app.",
    ),
    (
        "service-account-missing",
        Objects(
            controllers=(controller("StatefulSet", replicas=3, there=1),),
            events=(event("StatefulSet", "web", NO_ACCOUNT),),
        ),
        (),
        "StatefulSet/web",
        "StatefulSet web misses 2 of its pods because the ServiceAccount robot does not exist in namespace shop.",
    ),
    (
        "pod-security-refused",
        Objects(controllers=(refused('pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "app" must not set it)'),)),
        (),
        "Deployment/web",
        'Deployment web misses 1 of its pods because its pod template violates the level baseline:latest that namespace shop enforces: privileged (container "app" must not set it).',
    ),
    (
        "limit-range-violated",
        Objects(
            controllers=(controller("DaemonSet", desired_number_scheduled=2),),
            events=(event("DaemonSet", "web", 'pods "x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi'),),
        ),
        (),
        "DaemonSet/web",
        "DaemonSet web misses 2 of its pods because a LimitRange of namespace shop refuses them: maximum memory usage per Container is 64Mi, but limit is 1Gi.",
    ),
    (
        "admission-webhook-unreachable",
        Objects(controllers=(refused('Internal error occurred: failed calling webhook "inject.mesh.io": failed to call webhook: Post "https://mesh.ops.svc:443/": service "mesh" not found'),)),
        (),
        "Deployment/web",
        'Deployment web misses 1 of its pods because the admission webhook inject.mesh.io cannot be asked: failed to call webhook: Post "https://mesh.ops.svc:443/": service "mesh" not found.',
    ),
    (
        "admission-refused",
        Objects(controllers=(refused('admission webhook "policy.example.com" denied the request: images must have a digest'),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because policy.example.com does not admit them: images must have a digest.",
    ),
    (
        "admission-refused",
        Objects(controllers=(refused("pods \"x\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'all' denied request: needs a label owner"),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because owners does not admit them: needs a label owner.",
    ),
    (
        "priority-class-missing",
        Objects(
            controllers=(controller("Job", replicas=None),),
            events=(event("Job", "web", 'pods "x" is forbidden: no PriorityClass with name urgent was found'),),
        ),
        (),
        "Job/web",
        "Job web misses 1 of its pods because there is no PriorityClass urgent.",
    ),
    (
        "pods-not-created",
        Objects(controllers=(refused("something new"),)),
        (),
        "Deployment/web",
        "Deployment web misses 1 of its pods because they cannot be created: something new",
    ),
    (
        "job-deadline-exceeded",
        Objects(controllers=(gave_up("DeadlineExceeded", "Job was active longer than specified deadline"),)),
        (),
        "Job/web",
        "Job web was given up because it took longer than its activeDeadlineSeconds; its pods were ended.",
    ),
    (
        "job-failed",
        Objects(controllers=(gave_up("BackoffLimitExceeded", "Job has reached the specified backoff limit"),)),
        (),
        "Job/web",
        "Job web was given up (BackoffLimitExceeded): Job has reached the specified backoff limit.",
    ),
    (
        "service-selects-another-label",
        Objects(
            services=(service({"app": "web-v2"}),),
            controllers=(controller(labels=WEB, there=1),),
            endpoint_slices=(slice_of("front", 0),),
        ),
        (),
        "Service/front",
        "Service front sends to nobody: it selects pods by app=web-v2, and those of Deployment web have app=web.",
    ),
    (
        "service-selects-another-label",
        Objects(
            services=(service({"app": "web", "tier": "front"}),),
            controllers=(controller(labels={**WEB, "tier": "back"}, there=1),),
        ),
        (),
        "Service/front",
        "Service front sends to nobody: it selects pods by app=web,tier=front, and those of Deployment web have tier=back.",
    ),
    (
        "service-selects-nothing",
        Objects(services=(service({"app": "db"}),), controllers=(controller(labels=WEB, there=1),)),
        (),
        "Service/front",
        "Service front sends to nobody: no pod and no workload of namespace shop has the labels app=db.",
    ),
    (
        "held-by-finalizer",
        Objects(),
        (deleted(20, "example.com/drain"),),
        "Pod/web-0",
        "The pod is being deleted, but its finalizer example.com/drain holds it.",
    ),
    (
        "does-not-terminate",
        Objects(),
        (deleted(61),),
        "Pod/web-0",
        "The pod is being deleted and its grace period is over, but it is still there: its node has not said that the containers ended.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "objects", "pods", "workload", "message"), CASES, ids=[case[0] for case in CASES]
)
def test_names_the_cause(
    rule: str, objects: Objects, pods: tuple[Pod, ...], workload: str, message: str
) -> None:
    findings, questions = said(objects, *pods)
    assert [(each.rule, each.message) for each in findings] == [(rule, message)]
    assert f"{findings[0].workload.kind}/{findings[0].workload.name}" == workload
    assert findings[0].evidence
    assert questions == ()


def test_every_rule_has_a_case() -> None:
    elsewhere = {"autoscaler-target-missing", "autoscaler-without-metrics"}
    elsewhere |= {"ignores-sigterm", "pre-stop-hook-runs"}  # in test_analyze_scaling.py
    assert {case[0] for case in CASES} | elsewhere == {rule.id for rule in TRIAGE.spec.workloads}


SILENT: dict[str, tuple[Objects, tuple[Pod, ...]]] = {
    "a Deployment that has its pods": (Objects(controllers=(controller(there=1),)), ()),
    "a Deployment that was refused an hour ago": (
        Objects(
            controllers=(controller(replicas=2, there=1),),
            events=(event("ReplicaSet", "web-5d9c7", QUOTA, minutes_ago=60),),
        ),
        (),
    ),
    "an event about a namesake": (
        Objects(controllers=(controller(),), events=(event("ReplicaSet", "web-front-1", QUOTA),)),
        (),
    ),
    "a Deployment that is scaled to zero, and its Service": (
        Objects(
            controllers=(controller(replicas=0, labels=WEB),), services=(service({"app": "web"}),)
        ),
        (),
    ),
    "a Service with endpoints": (
        Objects(services=(service({"app": "x"}),), endpoint_slices=(slice_of("front", 1),)),
        (),
    ),
    "a Service whose pod has no address yet": (
        Objects(services=(service({"app": "web"}),)),
        (pod(labels=WEB),),
    ),
    "a Service without a selector": (Objects(services=(service({}),)), ()),
    "a name for a host outside": (
        Objects(services=(service({"app": "x"}, type="ExternalName"),)),
        (),
    ),
    "a pod within its grace period": (Objects(), (deleted(-20, "example.com/drain"),)),
    "a pod whose finalizer has just begun": (Objects(), (deleted(2, "example.com/drain"),)),
    "a Job that failed once and waits": (
        Objects(controllers=(controller("Job", replicas=None, failed=1),)),
        (),
    ),
    "a failed Job of a CronJob with a later one": (
        Objects(
            controllers=(
                gave_up("BackoffLimitExceeded", "", name="a", owner="night", created=NOW),
                controller(
                    "Job",
                    PodCondition(type="Complete", status="True"),
                    replicas=None,
                    name="b",
                    owner="night",
                    created=NOW + timedelta(hours=1),
                ),
            )
        ),
        (),
    ),
}


@pytest.mark.parametrize(("objects", "pods"), SILENT.values(), ids=SILENT.keys())
def test_says_nothing_of(objects: Objects, pods: tuple[Pod, ...]) -> None:
    assert said(objects, *pods) == ((), ())


def failed_pod(job: str = "uid-web", code: int = 4) -> Pod:
    return Pod(
        metadata=meta("web-x", owner_references=(OwnerReference(kind="Job", uid=job),)),
        spec=PodSpec(),
        status=PodStatus(
            phase="Failed", container_statuses=(ContainerStatus(name="app", state=exited(code)),)
        ),
    )


def test_a_failed_job_tells_how_its_pod_ended() -> None:
    objects = Objects(controllers=(gave_up("BackoffLimitExceeded", "limit"),))
    (finding,), _ = said(objects, failed_pod())
    assert finding.message.endswith("Container app of its last pod exits with code 4.")
    assert [ref.name for ref in finding.pods] == ["web-x"]
    assert failed_jobs(objects) == {"uid-web"}
    # Not every runtime says OOMKilled each time.
    (finding,), _ = said(objects, failed_pod(code=137))
    assert finding.message.endswith(
        "exits with code 137 (SIGKILL: most often more memory than its limit)."
    )


def test_a_failed_job_whose_pod_says_why_is_told_once() -> None:
    objects = Objects(controllers=(gave_up("BackoffLimitExceeded", "limit"),))
    why = frozenset({Workload(kind="Job", namespace="shop", name="web")})
    assert said(objects, explained=why) == ((), ())


@pytest.mark.parametrize(
    ("selector", "count"), [("app=web", 1), ("app!=web", 0), ("app in (a,web)", 1), ("!app", 0)]
)
def test_a_selector_means_the_labels_of_its_pods(selector: str, count: int) -> None:
    failing = refused(QUOTA)
    template = Template(metadata=ObjectMeta(labels=WEB))
    objects = Objects(
        controllers=(
            Controller(
                kind="Deployment",
                metadata=failing.metadata,
                spec=ControllerSpec(replicas=1, template=template),
                status=failing.status,
            ),
        )
    )
    assert len(said(objects, selector=selector)[0]) == count


def test_what_may_not_be_listed_is_a_question_never_an_answer() -> None:
    objects = Objects(
        services=(service({"app": "x"}),),
        unknown={"workloads": "forbidden: list deployments.apps"},
    )
    findings, questions = said(objects)
    assert findings == ()
    assert {(q.subject, q.reason, q.message) for q in questions} == {
        ("fact workloads", "Forbidden", "forbidden: list deployments.apps"),
        ("rule service-selects-another-label", "FactMissing", "object.nearly: forbidden: list deployments.apps"),
        ("rule service-selects-nothing", "FactMissing", "object.selects: forbidden: list deployments.apps"),
    }  # fmt: skip


def test_what_stands_behind_a_service_may_be_all_that_is_not_known() -> None:
    why = "forbidden: list endpointslices.discovery.k8s.io"
    objects = Objects(services=(service({"app": "x"}),), unknown={"services": why})
    findings, questions = said(objects)
    assert findings == ()
    assert {(q.subject, q.message) for q in questions} == {
        ("fact services", why),
        ("rule service-selects-another-label", f"object.nearly: {why}"),
        ("rule service-selects-nothing", f"object.endpoints: {why}"),
    }


def test_facts_use_documented_names_only() -> None:
    objects = Objects(
        controllers=(gave_up("BackoffLimitExceeded", ""),), services=(service({"app": "x"}),)
    )
    pods = [failed_pod(), deleted(20, "a/b")]
    for one in examinations(objects, pods, NOW):
        known = object_facts(one, Surroundings(objects, pods), NOW)
        assert set(known.values) <= set(vocabulary.OF_OBJECTS)
        assert set(known.values["object"]) <= set(vocabulary.members("object"))


def test_rules_of_pods_and_of_objects_do_not_mix() -> None:
    text = """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: p}
spec:
  SECTION:
    - {id: a, when: "ROOT", severity: info, title: t, message: m, evidence: [REFERENCE]}
"""

    def problems(section: str, root: str, reference: str) -> str:
        filled = text.replace("SECTION", section).replace("ROOT", root)
        try:
            load(filled.replace("REFERENCE", reference), "p.yaml")
        except Exception as error:  # noqa: BLE001
            return str(error)
        return ""

    assert problems("workloads", "object.missing > 0", "object.status") == ""
    assert 'unknown name "object"' in problems("findings", "object.missing > 0", "logs.last")
    assert "findings know no object" in problems("findings", "true", "object.status")
    assert "workloads know no logs" in problems("workloads", "true", "logs.last")
