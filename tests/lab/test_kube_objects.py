"""Any kind of object through the adapter: read, made, replaced, deleted, and what is refused."""

import base64
from collections.abc import AsyncIterator

import pytest

from lab.handle import Lab
from runner.cluster import ClusterError, ErrorReason, Resource
from runner.kube import KubeCluster, connect
from runner.model.base import Value
from runner.model.pod import ObjectMeta

CONFIG_MAPS = Resource(plural="configmaps")
SECRETS = Resource(plural="secrets")
LEASES = Resource(plural="leases", group="coordination.k8s.io")
NAMESPACES = Resource(plural="namespaces")


class ConfigMap(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    data: dict[str, str] = {}


class Lease(Value, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: dict[str, object] = {}


@pytest.fixture
async def cluster(lab: Lab) -> AsyncIterator[KubeCluster]:
    async with await connect(kubeconfig=str(lab.kubeconfig)) as connected:
        yield connected


def config_map(name: str, **data: str) -> dict[str, object]:
    meta = {"name": name, "labels": {"app": "objects"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


async def test_an_object_from_its_creation_to_its_end(cluster: KubeCluster, namespace: str) -> None:
    """What is made can be read, listed by label, replaced, and deleted twice."""
    made = await cluster.objects.create(CONFIG_MAPS, namespace, config_map("a", x="1"), ConfigMap)
    assert made.data == {"x": "1"}
    read = await cluster.objects.get(CONFIG_MAPS, "a", namespace, ConfigMap)
    assert read == made
    found = await cluster.objects.list(
        CONFIG_MAPS, namespace, ConfigMap, label_selector="app=objects"
    )
    assert list(found) == [made]
    body = config_map("a", x="2")
    replaced = await cluster.objects.replace(CONFIG_MAPS, "a", namespace, body, ConfigMap)
    assert replaced.data == {"x": "2"}
    for _ in range(2):
        await cluster.objects.delete(CONFIG_MAPS, "a", namespace, uid=made.metadata.uid)
    with pytest.raises(ClusterError) as error:
        await cluster.objects.get(CONFIG_MAPS, "a", namespace, ConfigMap)
    assert (error.value.reason, error.value.status) == (ErrorReason.NOT_FOUND, 404)


async def test_a_namesake_is_not_deleted(cluster: KubeCluster, namespace: str) -> None:
    """An object of the same name with another uid stays."""
    made = await cluster.objects.create(CONFIG_MAPS, namespace, config_map("a"), ConfigMap)
    await cluster.objects.delete(CONFIG_MAPS, "a", namespace, uid="another")
    assert await cluster.objects.get(CONFIG_MAPS, "a", namespace, ConfigMap) == made


async def test_a_stale_replacement_and_a_second_creation_conflict(
    cluster: KubeCluster, namespace: str
) -> None:
    """Optimistic locking, which leases stand on."""
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "sweep"},
        "spec": {"holderIdentity": "one"},
    }
    made = await cluster.objects.create(LEASES, namespace, body, Lease)
    with pytest.raises(ClusterError) as second:
        await cluster.objects.create(LEASES, namespace, body, Lease)
    assert second.value.reason is ErrorReason.CONFLICT
    stale = {"name": "sweep", "resourceVersion": made.metadata.resource_version}
    update = body | {"metadata": stale, "spec": {"holderIdentity": "two"}}
    await cluster.objects.replace(LEASES, "sweep", namespace, update, Lease)
    with pytest.raises(ClusterError) as late:
        await cluster.objects.replace(LEASES, "sweep", namespace, update, Lease)
    assert late.value.reason is ErrorReason.CONFLICT


async def test_metadata_only_leaves_the_data_of_secrets_where_they_are(
    cluster: KubeCluster, lab: Lab, namespace: str
) -> None:
    """Asked for metadata, the API server sends nothing of a Secret's data."""

    class Secret(Value, frozen=True, kw_only=True):
        metadata: ObjectMeta
        data: dict[str, str] = {}

    lab.kubectl("create", "secret", "generic", "s", "-n", namespace, "--from-literal=k=v")
    (whole,) = await cluster.objects.list(SECRETS, namespace, Secret)
    (known,) = await cluster.objects.list(SECRETS, namespace, Secret, metadata_only=True)
    assert whole.data == {"k": base64.b64encode(b"v").decode()}
    assert (known.metadata.name, known.data) == ("s", {})


async def test_cluster_scoped_objects(cluster: KubeCluster, namespace: str) -> None:
    """Without a namespace in the path."""
    found = await cluster.objects.get(NAMESPACES, namespace, None, ConfigMap)
    assert found.metadata.labels["kubernetes.io/metadata.name"] == namespace
