"""Pods for tests, as short as what they show."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from runner.model.pod import ContainerStatus, Pod

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).isoformat()


def running(started_at: str = "", **fields: Any) -> dict[str, Any]:
    state = {"running": {"startedAt": started_at or ago(hours=1)}}
    return {"state": state, "ready": True, "containerID": "containerd://1", **fields}


def waiting(reason: str, message: str = "", **fields: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **fields}


def terminated(exit_code: int, reason: str = "Error", **fields: Any) -> dict[str, Any]:
    ended = {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": ago(seconds=31),
        "finishedAt": ago(seconds=30),
    }
    return {"state": {"terminated": ended}, "containerID": "containerd://1", **fields}


def crashed_before(exit_code: int = 1, reason: str = "Error", **when: float) -> dict[str, Any]:
    when = when or {"seconds": 60}
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": ago(**{k: v + 1 for k, v in when.items()}),
            "finishedAt": ago(**when),
        }
    }


def pod(
    *statuses: dict[str, Any],
    init: dict[str, Any] | None = None,
    phase: str = "Running",
    conditions: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> Pod:
    """A pod with containers app, app2, … in the given states; `container` adds to each spec."""
    names = ["app", *(f"app{i}" for i in range(2, len(statuses) + 1))][: max(1, len(statuses))]
    document: dict[str, Any] = {
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "uid": "u1",
            "creationTimestamp": ago(hours=2),
            **(metadata or {}),
        },
        "spec": {
            "nodeName": "node1",
            "containers": [{"name": n, "image": "web:1", **(container or {})} for n in names],
            **({"initContainers": [{"name": "setup", "image": "web:1"}]} if init else {}),
            **(spec or {}),
        },
        "status": {
            "phase": phase,
            "podIP": "10.244.0.7",
            "conditions": [
                {"type": t, "status": s} for t, s in (conditions or {"Ready": "True"}).items()
            ],
            "containerStatuses": [{"name": n, **s} for n, s in zip(names, statuses, strict=False)],
            **({"initContainerStatuses": [{"name": "setup", **init}]} if init else {}),
            **(status or {}),
        },
    }
    return msgspec.convert(document, Pod, strict=False)


def replica(name: str) -> Pod:
    """One of the pods of revision 5 of Deployment web."""
    owner = {"kind": "ReplicaSet", "name": "web-5", "controller": True}
    labels = {"app": "web", "pod-template-hash": "5"}
    of_web = {"ownerReferences": [owner], "labels": labels}
    return pod(running(), metadata={"name": name, "uid": name, **of_web})


def container_status(**fields: Any) -> ContainerStatus:
    return msgspec.convert({"name": "app", **fields}, ContainerStatus, strict=False)
