"""Which ConfigMaps changed under pods that are ill."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from runner.analyze import configuration_changes, used_config_maps
from runner.model.changes import ConfigurationChange
from runner.model.objects import ConfigMap
from runner.model.pod import Pod
from runner.model.subject import PodRef, Workload
from tests.unit.pods import NOW

WEB = Workload(kind="Deployment", namespace="shop", name="web")
MADE = NOW - timedelta(hours=1)


def web(name: str, state: dict[str, Any], *, made: datetime = MADE) -> Pod:
    mounts = [
        {"name": "all", "mountPath": "/etc/web"},
        {"name": "one", "mountPath": "/etc/one.conf", "subPath": "one.conf"},
        {"name": "scratch", "mountPath": "/tmp"},
    ]
    container = {
        "name": "app",
        "image": "web:1",
        "env": [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "single", "key": "a"}}},
            {"name": "B", "value": "b"},
        ],
        "envFrom": [{"configMapRef": {"name": "all-of-it"}}, {"secretRef": {"name": "hidden"}}],
        "volumeMounts": mounts,
    }
    volumes = [
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "files"}},
                    {"configMap": {"name": "kube-root-ca.crt"}},
                ]
            },
        },
        {"name": "one", "configMap": {"name": "single"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    status = {"name": "app", "restartCount": 3, "ready": False, "image": "web:1", "state": state}
    return msgspec.convert(
        {
            "metadata": {
                "name": name, "namespace": "shop", "uid": name,
                "creationTimestamp": made.isoformat(),
            },
            "spec": {"containers": [container, {"name": "other", "image": "x"}], "volumes": volumes},
            "status": {"phase": "Running", "containerStatuses": [status]},
        },
        Pod,
    )  # fmt: skip


def config_map(name: str, changed: datetime, *, data: bool = True) -> ConfigMap:
    """Made a day before; the last manager set its data, or only a label."""
    fields: dict[str, Any] = {"f:data": {}} if data else {"f:metadata": {"f:labels": {}}}
    early = {"time": (NOW - timedelta(days=1)).isoformat(), "fieldsV1": {"f:data": {}}}
    late = {"time": changed.isoformat(), "fieldsV1": fields}
    metadata = {"name": name, "namespace": "shop", "managedFields": [early, late]}
    return msgspec.convert({"metadata": metadata}, ConfigMap)


def since(at: datetime) -> dict[str, Any]:
    return {"running": {"startedAt": at.isoformat()}}


def test_how_a_container_uses_them() -> None:
    pod = web("web-1", since(MADE))
    assert used_config_maps(pod, "app") == {
        "single": ("env", "subPath"),
        "all-of-it": ("env",),
        "files": ("files",),
    }
    assert used_config_maps(pod, "other") == {}
    assert used_config_maps(pod, "none") == {}


@pytest.mark.parametrize(
    ("name", "minutes_ago", "data", "used_as", "stale"),
    [
        ("single", 5, True, ("env", "subPath"), True),
        ("all-of-it", 5, True, ("env",), True),
        ("files", 5, True, ("files",), False),
        ("single", 59.6, True, None, False),  # applied together with the pod
        ("single", 90, True, None, False),
        ("single", 5, False, None, False),  # a label is no configuration
        ("foreign", 5, True, None, False),
    ],
)
def test_what_changed_after_the_pod_was_made(
    name: str, minutes_ago: float, data: bool, used_as: tuple[str, ...] | None, stale: bool
) -> None:
    changed = NOW - timedelta(minutes=minutes_ago)
    pods = [web("web-1", since(MADE)), web("web-2", since(NOW))]

    found = configuration_changes(
        [(WEB, pod, "app") for pod in pods], [config_map(name, changed, data=data)]
    )

    told = ConfigurationChange(
        workload=WEB, container="app", name=name, changed_at=changed, used_as=used_as or (),
        stale=stale, pods=tuple(PodRef(namespace="shop", name=p.metadata.name) for p in pods),
    )  # fmt: skip
    assert found == ((told,) if used_as else ())


def test_a_container_that_read_it_anew_is_not_stale() -> None:
    changed = NOW - timedelta(minutes=5)
    states = [since(NOW), {"waiting": {"reason": "CrashLoopBackOff"}}]
    for state in states:
        (found,) = configuration_changes(
            [(WEB, web("web-1", state), "app")], [config_map("single", changed)]
        )
        assert not found.stale
