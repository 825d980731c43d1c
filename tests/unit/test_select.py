"""Selection: conditions as people mean them, skips with reasons, workloads, the sick container."""

from typing import Any

import click
import pytest

from runner.cli.duration import Duration
from runner.model.examination import TargetCondition as C
from runner.model.pod import Pod
from runner.model.subject import Workload
from runner.playbook.spec import Owner, Targets
from runner.select import (
    Skip,
    choose_container,
    conditions_of,
    matches,
    restarted_within,
    skip_reason,
    workload_of,
)
from tests.unit.pods import NOW, ago, crashed_before, pod, running, terminated, waiting

NOT_READY = {"Ready": "False"}
CRASHED = {"terminated": {"exitCode": 1, "finishedAt": ago(minutes=10)}}
DONE = {"terminated": {"exitCode": 0, "finishedAt": ago(minutes=1)}}


@pytest.mark.parametrize(
    ("given", "seconds", "expected"),
    [
        (pod(running()), 3600, False),
        (pod(running(restartCount=1, lastState=CRASHED)), 3600, True),
        (pod(running(restartCount=1, lastState=CRASHED)), 600, True),
        (pod(running(restartCount=1, lastState=CRASHED)), 599, False),
        (pod({"state": CRASHED}), 3600, True),
        (pod({"state": DONE}), 3600, False),
        (pod(waiting("CrashLoopBackOff", restartCount=4, lastState=CRASHED)), 3600, True),
        (pod(waiting("ImagePullBackOff")), 3600, False),
    ],
    ids=range(8),
)
def test_pods_that_restarted_a_while_ago(given: Pod, seconds: float, expected: bool) -> None:
    assert restarted_within(given, seconds, NOW) is expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("0s", 0), ("2", 0), ("-1h", 0),
     ("1.5h", 0), ("9999999s", 0), ("2H", 0), ("", 0)],
)  # fmt: skip
def test_spans_of_time(text: str, seconds: float) -> None:
    found = 0.0
    try:
        found = Duration().convert(text, None, None)
    except click.UsageError as error:
        assert error.message == f"{text!r} is no time: 90s, 30m, 2h, 1d"
    assert found == seconds


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(pod(running()), (C.READY, C.RUNNING), id="healthy"),
        pytest.param(
            pod(waiting("CrashLoopBackOff", restartCount=4), conditions=NOT_READY),
            (C.CRASH_LOOP_BACK_OFF, C.NOT_READY, C.RUNNING),
            id="back-off as the API names it",
        ),
        pytest.param(
            pod(terminated(1, restartCount=4), conditions=NOT_READY),
            (C.CRASH_LOOP_BACK_OFF, C.ERROR, C.NOT_READY, C.RUNNING),
            id="back-off as the API mostly shows it",
        ),
        pytest.param(
            pod(
                running(ago(seconds=3), restartCount=4, lastState=crashed_before()),
                conditions={"Ready": "True"},
            ),
            (C.CRASH_LOOP_BACK_OFF, C.READY, C.RUNNING),
            id="alive between two crashes",
        ),
        pytest.param(
            pod(running(ago(minutes=30), restartCount=4, lastState=crashed_before(minutes=31))),
            (C.READY, C.RUNNING),
            id="restarts that are over",
        ),
        pytest.param(
            pod(running(ago(seconds=3), restartCount=1, lastState=crashed_before())),
            (C.READY, C.RUNNING),
            id="one restart is no loop",
        ),
        pytest.param(
            pod(
                terminated(1, restartCount=0), spec={"restartPolicy": "Never"}, conditions=NOT_READY
            ),
            (C.ERROR, C.NOT_READY, C.RUNNING),
            id="nobody restarts it",
        ),
        pytest.param(
            pod(terminated(0, "Completed", restartCount=3), conditions=NOT_READY),
            (C.CRASH_LOOP_BACK_OFF, C.NOT_READY, C.RUNNING),
            id="exits 0 again and again",
        ),
        pytest.param(
            pod(
                running(
                    ago(minutes=20), restartCount=1, lastState=crashed_before(137, "OOMKilled")
                ),
            ),
            (C.OOM_KILLED, C.READY, C.RUNNING),
            id="killed for memory today",
        ),
        pytest.param(
            pod(running(restartCount=1, lastState=crashed_before(137, "OOMKilled", days=31))),
            (C.READY, C.RUNNING),
            id="killed for memory a month ago",
        ),
        pytest.param(
            pod(waiting("ErrImagePull"), phase="Pending", conditions=NOT_READY),
            (C.IMAGE_PULL_BACK_OFF, C.NOT_READY, C.PENDING),
            id="image",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError"), phase="Pending", conditions=NOT_READY),
            (C.CREATE_CONTAINER_CONFIG_ERROR, C.NOT_READY, C.PENDING),
            id="config",
        ),
        pytest.param(
            pod(
                waiting("PodInitializing"),
                init=terminated(1, restartCount=2),
                phase="Pending",
                conditions=NOT_READY,
            ),
            (C.INIT_CRASH_LOOP_BACK_OFF, C.ERROR, C.NOT_READY, C.PENDING),
            id="init container",
        ),
        pytest.param(
            pod(phase="Pending", conditions={"PodScheduled": "False"}),
            (C.NOT_READY, C.PENDING),
            id="unscheduled",
        ),
    ],
)
def test_conditions(given: Pod, expected: tuple[C, ...]) -> None:
    """A condition holds at every instant of what people call by that name."""
    assert conditions_of(given, NOW) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (pod(running()), None),
        (pod(running(), metadata={"deletionTimestamp": ago(seconds=1)}), "Terminating"),
        (pod(terminated(0), phase="Succeeded"), "Finished"),
        (pod(terminated(1), phase="Failed", status={"reason": "Evicted"}), "Finished"),
        (
            pod(running(), metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}),
            "StaticPod",
        ),
    ],
)
def test_skip(given: Pod, reason: str | None) -> None:
    """Pods in which the kubelet would never start anything are left out, with the reason."""
    skip = skip_reason(given)
    assert (skip.reason if skip else None) == reason


@pytest.mark.parametrize(
    "spec", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}]
)
def test_s43_a_windows_pod_gets_nothing(spec: dict[str, Any]) -> None:
    """Our security context and our steps are for Linux; what its node alone says is predicted."""
    why = Skip("Windows", "the debugger images are for Linux")
    assert skip_reason(pod(running(), spec=spec)) == why


def owned(kind: str, name: str, **labels: str) -> Pod:
    owner = {"kind": kind, "name": name, "controller": True}
    return pod(running(), metadata={"ownerReferences": [owner], "labels": labels})


@pytest.mark.parametrize(
    ("given", "kind", "name"),
    [
        (pod(running()), "Pod", "web-1"),
        (owned("ReplicaSet", "web-5db4", **{"pod-template-hash": "5db4"}), "Deployment", "web"),
        (owned("ReplicaSet", "web-5db4"), "ReplicaSet", "web-5db4"),
        (owned("StatefulSet", "db"), "StatefulSet", "db"),
        (owned("Job", "report-29391840"), "CronJob", "report"),
        (owned("Job", "migrate"), "Job", "migrate"),
    ],
)
def test_workload(given: Pod, kind: str, name: str) -> None:
    """The controller that people named, without asking the API server for it."""
    assert workload_of(given) == Workload(kind=kind, namespace="shop", name=name)


@pytest.mark.parametrize(
    ("given", "preferred", "expected"),
    [
        (pod(running(), running()), "", "app"),
        (pod(running(), running()), "app2", "app2"),
        (pod(running(), running()), "nobody", "app"),
        (pod(running(), terminated(1, restartCount=3)), "", "app2"),
        (pod(running(ready=False), waiting("CrashLoopBackOff")), "", "app2"),
        (pod(waiting("PodInitializing"), init=terminated(1, restartCount=1)), "", "setup"),
        (pod(waiting("PodInitializing"), init=running(ready=False)), "", "setup"),
        (
            pod(
                running(),
                running(),
                metadata={"annotations": {"kubectl.kubernetes.io/default-container": "app2"}},
            ),
            "",
            "app2",
        ),
    ],
)
def test_choose_container(given: Pod, preferred: str, expected: str) -> None:
    assert choose_container(given, NOW, preferred) == expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({}, True),
        ({"namespaces": ("other",)}, False),
        ({"owners": (Owner(kind="Deployment", name="we*"),)}, True),
        ({"owners": (Owner(kind="Deployment", name="api"),)}, False),
        ({"conditions": (C.CRASH_LOOP_BACK_OFF,)}, True),
        ({"conditions": (C.READY, C.PENDING)}, False),
        ({"min_restarts": 4}, True),
        ({"min_restarts": 5}, False),
        ({"min_age_seconds": 7200}, True),
        ({"min_age_seconds": 7201}, False),
        ({"max_age_seconds": 7199}, False),
    ],
)
def test_matches(targets: dict[str, Any], expected: bool) -> None:
    crashing = pod(
        terminated(1, restartCount=4),
        conditions=NOT_READY,
        metadata={
            "labels": {"pod-template-hash": "5db4"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5db4", "controller": True}],
        },
    )
    assert matches(Targets(**targets), crashing, NOW) is expected
