"""The body of the copy of a pod in which the program runs in place of the entry point. Pure.

What `kubectl debug --copy-to` strips is stripped: labels, so that no Service and no controller
takes the copy for one of its pods; owner references; probes; the node's name. Beyond that the other
containers are left out: they would do the app's work twice; so is the pod's priority, and volumes
that outlive a pod cannot be written.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runner.model.pod import Container
from runner.select.targets import COPY_LABEL

EXPIRES_ANNOTATION = "podmedic.io/expires"
OF_ANNOTATION = "podmedic.io/copy-of"
# Of the pod's spec; everything else, such as who may schedule it and where, is kept.
_NOT_COPIED = frozenset(
    {
        "nodeName", "ephemeralContainers", "containers", "initContainers", "volumes", "hostname",
        "subdomain", "shareProcessNamespace", "hostPID", "hostIPC", "schedulingGates",
        "activeDeadlineSeconds", "restartPolicy", "terminationGracePeriodSeconds",
        # A copy of a pod that is more important than others would drive those off a full node.
        "priority", "priorityClassName", "preemptionPolicy",
    }
)  # fmt: skip
# Kinds of volumes that outlive a pod and may be in use by it, and have `readOnly`.
_LASTING = frozenset(
    {
        "persistentVolumeClaim", "nfs", "csi", "iscsi", "fc", "cephfs", "rbd", "azureFile",
        "azureDisk", "cinder", "glusterfs", "awsElasticBlockStore", "gcePersistentDisk",
        "flexVolume", "portworxVolume", "quobyte", "scaleIO", "storageos",
    }
)  # fmt: skip
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports")


def run_label(run_id: str) -> str:
    """The value of COPY_LABEL: a run's id may hold what a label may not."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:16]


def _with_name(variable: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A limit of the target's is asked for by the name that the container has in the copy."""
    source = variable.get("valueFrom", {}).get("resourceFieldRef")
    if source is None:
        return dict(variable)
    return {**variable, "valueFrom": {"resourceFieldRef": {**source, "containerName": name}}}


def _own(body: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The program's container, with the limits that the target has."""
    own = {**body, "env": [_with_name(v, body["name"]) for v in body.get("env", ())]}
    if "resources" in target:
        own["resources"] = target["resources"]
    return own


def _read_only(volume: Mapping[str, Any]) -> dict[str, Any]:
    """What the pod itself is at work on: init containers run again, and where they restore or
    migrate files they must not do so under a running app. A volume that may be written is given the
    copy's owner and SELinux label besides, and the pod would lose it."""
    return {
        key: {**value, "readOnly": True} if key in _LASTING else value
        for key, value in volume.items()
    }


def _init_container(container: Mapping[str, Any], hosts: frozenset[str]) -> dict[str, Any]:
    kept = {k: v for k, v in container.items() if k not in _PROBES}
    if "volumeMounts" in kept:
        kept["volumeMounts"] = [
            {**mount, "readOnly": True} if mount["name"] in hosts else mount
            for mount in kept["volumeMounts"]
        ]
    return kept


def _init_containers(spec: Mapping[str, Any], target: str) -> list[dict[str, Any]]:
    """Those that ran before the target and ended; sidecars would do their work twice."""
    hosts = frozenset(v["name"] for v in spec.get("volumes", ()) if "hostPath" in v)
    found: list[dict[str, Any]] = []
    for container in spec.get("initContainers", ()):
        if container["name"] == target:
            break
        if "restartPolicy" not in container:
            found.append(_init_container(container, hosts))
    return found


def copy_body(
    original: Mapping[str, Any],
    target: Container,
    body: Mapping[str, Any],
    *,
    run_id: str,
    expires: datetime,
    lifetime_seconds: int,
) -> dict[str, Any]:
    """`original` is the pod as the API has it, `body` the program's container, whose name the copy
    has too. It ends by itself after `lifetime_seconds`; the object is to go at `expires`."""
    spec = original["spec"]
    containers = (*spec["containers"], *spec.get("initContainers", ()))
    of = next(c for c in containers if c["name"] == target.name)
    init = _init_containers(spec, target.name)
    own = _own(body, of)
    used = ("volumeMounts", "volumeDevices")
    mounted = {m["name"] for c in (*init, own) for key in used for m in c.get(key, ())}
    kept = {key: value for key, value in spec.items() if key not in _NOT_COPIED}
    metadata = original["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": own["name"],
            "namespace": metadata["namespace"],
            "labels": {COPY_LABEL: run_label(run_id)},
            "annotations": {
                EXPIRES_ANNOTATION: expires.isoformat(timespec="seconds"),
                OF_ANNOTATION: metadata["name"],
            },
        },
        "spec": {
            **kept,
            "containers": [own],
            **({"initContainers": init} if init else {}),
            "volumes": [_read_only(v) for v in spec.get("volumes", ()) if v["name"] in mounted],
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": lifetime_seconds,
            "terminationGracePeriodSeconds": 1,
        },
    }
