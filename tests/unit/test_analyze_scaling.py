"""Autoscalers that do not scale, pods that do not end, and what NetworkPolicies keep a pod from."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from runner.analyze import judge, judge_objects, with_policies
from runner.model.objects import (
    Controller,
    ControllerSpec,
    ControllerStatus,
    EgressRule,
    NetworkPolicy,
    NetworkPolicySpec,
    Objects,
    PolicyPort,
    ScaleTarget,
    Service,
    ServicePort,
    ServiceSpec,
)
from runner.model.pod import (
    Container,
    ContainerState,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
)
from runner.playbook import resolve
from tests.unit.examinations import crashloop_steps, examination, exited, findings_of, running

TRIAGE = resolve("triage")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NO_METRICS = (
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get "
    "metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could "
    "not find the requested resource (get pods.metrics.k8s.io)"
)
NO_TARGET = (
    "the HPA controller was unable to get the target's current scale: deployments.apps "
    '"web" not found'
)


def scaler(type_: str, reason: str, message: str, age: int = 300) -> Controller:
    return Controller(
        kind="HorizontalPodAutoscaler",
        metadata=ObjectMeta(
            name="web", namespace="shop", creation_timestamp=NOW - timedelta(seconds=age)
        ),
        spec=ControllerSpec(scale_target_ref=ScaleTarget(kind="Deployment", name="web")),
        status=ControllerStatus(
            conditions=(PodCondition(type=type_, status="False", reason=reason, message=message),)
        ),
    )


def leaving(*command: str, asked: int = 40, grace: int = 600, state: ContainerState) -> Pod:
    """A pod that was deleted so many seconds ago."""
    return Pod(
        metadata=ObjectMeta(
            name="web-0", namespace="shop", uid="u",
            deletion_timestamp=NOW + timedelta(seconds=grace - asked),
            deletion_grace_period_seconds=grace,
        ),
        spec=PodSpec(containers=(Container(name="app", command=command),)),
        status=PodStatus(container_statuses=(ContainerStatus(name="app", state=state),)),
    )  # fmt: skip


def said(objects: Objects, *pods: Pod) -> list[tuple[str, str, str]]:
    findings, _ = judge_objects([TRIAGE], objects, pods, frozenset(), NOW)
    return [(each.rule, each.message, each.evidence[0].excerpt) for each in findings]


def test_an_autoscaler_without_metrics() -> None:
    scalers = (scaler("ScalingActive", "FailedGetResourceMetric", NO_METRICS),)
    assert said(Objects(controllers=scalers)) == [
        (
            "autoscaler-without-metrics",
            (
                "HorizontalPodAutoscaler web does not scale Deployment/web, because it cannot read the "
                f"metrics that it goes by: {NO_METRICS}"
            ),
            NO_METRICS,
        )
    ]


def test_an_autoscaler_of_nothing() -> None:
    scalers = (scaler("AbleToScale", "FailedGetScale", NO_TARGET, age=5),)
    assert said(Objects(controllers=scalers)) == [
        (
            "autoscaler-target-missing",
            (
                "HorizontalPodAutoscaler web scales nothing: its scaleTargetRef names Deployment/web, "
                "which does not exist in namespace shop."
            ),
            NO_TARGET,
        )
    ]


@pytest.mark.parametrize(
    "one",
    [
        scaler("ScalingActive", "FailedGetResourceMetric", NO_METRICS, age=59),
        scaler("ScalingActive", "ScalingDisabled", "scaling is disabled since the replica count is zero"),
        scaler("ScalingLimited", "DesiredWithinRange", "the desired count is within the range"),
    ],
    ids=["pods that were just started", "scaled to zero", "within its range"],
)  # fmt: skip
def test_an_autoscaler_of_which_nothing_is_said(one: Controller) -> None:
    assert said(Objects(controllers=(one,))) == []


def test_a_shell_that_ignores_sigterm() -> None:
    pod = leaving("sh", "-c", "while true; do sleep 5; done", state=running())
    ((rule, message, _),) = said(Objects(), pod)
    assert rule == "ignores-sigterm"
    assert message == (
        "The pod is being deleted, and container app runs on: its first process is a shell that "
        "neither hands SIGTERM on nor handles it, so that only the end of the grace period of 600 s "
        "ends it, by SIGKILL."
    )


@pytest.mark.parametrize(
    "pod",
    [
        leaving("sh", "-c", "while true; do sleep 5; done", asked=29, state=running()),
        leaving("/bin/bash", "-ec", "trap stop TERM; work", state=running()),
        leaving("sh", "-c", "exec work", state=running()),
        leaving("/app", "-c", "work", state=running()),
        leaving("sh", "-c", "work", state=exited(0)),
    ],
    ids=["just deleted", "handles it", "hands it on", "no shell", "ended"],
)
def test_what_ends_in_its_own_time(pod: Pod) -> None:
    assert said(Objects(), pod) == []


DENY = NetworkPolicySpec(policy_types=("Egress",))
DB = Service(
    metadata=ObjectMeta(name="db", namespace="shop"),
    spec=ServiceSpec(ports=(ServicePort(port=5432, target_port=6432),)),
)


def policy(spec: NetworkPolicySpec, name: str = "deny", namespace: str = "shop") -> NetworkPolicy:
    return NetworkPolicy(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


def lets(*ports: PolicyPort, **spec: Any) -> NetworkPolicySpec:
    return NetworkPolicySpec(policy_types=("Egress",), egress=(EgressRule(ports=ports),), **spec)


def client(log: str = "db:5432: timed out\n", tcp: str = "timeout") -> Any:
    one = examination(log=log, steps=crashloop_steps(f"endpoint env:DB db 5432 dns=ok tcp={tcp}\n"))
    endpoints = (("db", 5432),)
    container = msgspec.structs.replace(one.pod.spec.containers[0], endpoints=endpoints)
    spec = msgspec.structs.replace(one.pod.spec, containers=(container,))
    return msgspec.structs.replace(one, pod=msgspec.structs.replace(one.pod, spec=spec))


@pytest.mark.parametrize(
    ("specs", "services", "blocked"),
    [
        ([DENY], [], [("db", 5432)]),
        ([DENY], [DB], [("db", 6432)]),
        # Several policies add up; a rule without ports lets all out, to whomever.
        ([DENY, lets(PolicyPort(port=5432))], [], []),
        ([DENY, lets()], [], []),
        ([lets(PolicyPort(port=5432))], [DB], [("db", 6432)]),
        ([lets(PolicyPort(port=6000, end_port=7000))], [DB], []),
        ([lets(PolicyPort(port=5432, protocol="UDP"))], [], [("db", 5432)]),
        ([lets(PolicyPort(port="postgres"))], [], []),
        ([lets(PolicyPort())], [], []),
        # Others' pods, and what comes in.
        ([NetworkPolicySpec(policy_types=("Egress",), pod_selector={"matchLabels": {"app": "x"}})], [], []),
        ([NetworkPolicySpec(policy_types=("Ingress",))], [], []),
        ([NetworkPolicySpec()], [], []),
        ([NetworkPolicySpec(egress=(EgressRule(ports=(PolicyPort(port=53),)),))], [], [("db", 5432)]),
    ],
)  # fmt: skip
def test_what_policies_keep_a_pod_from(
    specs: list[NetworkPolicySpec], services: list[Service], blocked: list[tuple[str, int]]
) -> None:
    found = with_policies(client(), [policy(spec) for spec in specs], services)
    assert [(each.host, each.port) for each in found.blocked] == blocked


def test_policies_of_another_namespace_do_not_concern_it() -> None:
    assert with_policies(client(), [policy(DENY, namespace="other")], []).policies == ()


def test_a_policy_is_the_cause_where_the_host_does_not_answer() -> None:
    one = with_policies(client(), [policy(DENY, "b"), policy(DENY, "a")], [DB])
    (finding,) = findings_of(resolve("crashloop"), one)
    assert (finding.rule, finding.confidence) == ("blocked-by-policy", "certain")
    assert finding.message == (
        "Container app exits with code 1 because db does not answer: the NetworkPolicies that "
        "select the pod (a, b) let no TCP to port 6432 out."
    )


@pytest.mark.parametrize(
    ("log", "tcp"), [("db:5432: refused\n", "refused"), ("other:1: timed out\n", "timeout")]
)
def test_a_policy_is_no_cause_of_anything_else(log: str, tcp: str) -> None:
    """A connection that is refused came through."""
    one = with_policies(client(log, tcp), [policy(DENY)], [])
    assert "blocked-by-policy" not in [f.rule for f in findings_of(resolve("crashloop"), one)]


def test_policies_that_may_not_be_listed_are_a_question() -> None:
    why = "forbidden: list networkpolicies.networking.k8s.io"
    one = msgspec.structs.replace(client(), unknown={"policies": why})
    applies = {one.pod.metadata.uid: ["crashloop"]}
    questions = judge([resolve("crashloop")], [one], applies).not_evaluated
    assert [(q.subject, q.message) for q in questions if "policies" in q.message] == [
        ("fact policies", why),
        ("rule blocked-by-policy", f"policies: {why}"),
    ]
