"""Autoscalers that do not scale, and pods that do not end."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.analyze import judge_objects
from runner.model.objects import (
    Controller,
    ControllerSpec,
    ControllerStatus,
    Objects,
    ScaleTarget,
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
from tests.unit.examinations import exited, running

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


def leaving(
    *command: str, asked: int = 40, grace: int = 600, state: ContainerState, hook: str = ""
) -> Pod:
    """A pod that was deleted so many seconds ago; `hook` is its preStop hook."""
    stop = {"preStop": {"exec": {"command": hook.split()}}} if hook else None
    return Pod(
        metadata=ObjectMeta(
            name="web-0", namespace="shop", uid="u",
            deletion_timestamp=NOW + timedelta(seconds=grace - asked),
            deletion_grace_period_seconds=grace,
        ),
        spec=PodSpec(containers=(Container(name="app", command=command, lifecycle=stop),)),
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


def test_a_pre_stop_hook_that_does_not_end() -> None:
    # What its first process would do with SIGTERM is not known: it gets none yet.
    pod = leaving("sh", "-c", "work", asked=120, state=running(), hook="drain --all")
    ((rule, message, _),) = said(Objects(), pod)
    assert rule == "pre-stop-hook-runs"
    assert message == (
        "The pod is being deleted, and container app still runs because its preStop hook (drain "
        "--all) has not ended: until then it is not even told to end, and only the end of the grace "
        "period of 600 s ends both."
    )


@pytest.mark.parametrize(
    "pod",
    [
        leaving("/app", asked=119, state=running(), hook="sleep 20"),
        leaving("/app", asked=190, state=exited(0), hook="sleep 20"),
        leaving("sh", "-c", "while true; do sleep 5; done", asked=29, state=running()),
        leaving("/bin/bash", "-ec", "trap stop TERM; work", state=running()),
        leaving("sh", "-c", "exec work", state=running()),
        leaving("/app", "-c", "work", state=running()),
        leaving("sh", "-c", "work", state=exited(0)),
    ],
    ids=[
        "a hook of its own",
        "a hook that ended",
        "just deleted",
        "handles it",
        "hands it on",
        "no shell",
        "ended",
    ],
)
def test_what_ends_in_its_own_time(pod: Pod) -> None:
    assert said(Objects(), pod) == []
