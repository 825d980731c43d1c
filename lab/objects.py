"""Where in the API an object of a manifest lies, for the kinds that tests and the demo apply."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

_NAMESPACED = {
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "Endpoints": "endpoints",
    "EndpointSlice": "endpointslices",
    "Event": "events",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Job": "jobs",
    "LimitRange": "limitranges",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ReplicaSet": "replicasets",
    "ResourceQuota": "resourcequotas",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
_OF_CLUSTER = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Namespace": "namespaces",
    "Node": "nodes",
    "PersistentVolume": "persistentvolumes",
    "StorageClass": "storageclasses",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


def path(manifest: dict[str, Any], namespace: str = "default") -> str | None:
    """None for a kind that is not known here; the namespace is for an object that names none."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    name = manifest["metadata"]["name"]
    if kind in _OF_CLUSTER:
        return f"{group}/{_OF_CLUSTER[kind]}/{name}"
    if kind in _NAMESPACED:
        where = manifest["metadata"].get("namespace", namespace)
        return f"{group}/namespaces/{where}/{_NAMESPACED[kind]}/{name}"
    return None


def documents(manifests: str) -> Iterator[dict[str, Any]]:
    """The objects of YAML or JSON documents with lines of `---` between them."""
    for document in re.split(r"^---$", manifests, flags=re.MULTILINE):
        # YAML would take the two halves of an escaped character for two.
        read = json.loads if document.lstrip().startswith("{") else yaml.safe_load
        if (found := read(document)) is not None:
            yield found
