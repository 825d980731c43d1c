"""Which nodes are alike, as the labels of the big providers say it."""

import pytest

from runner.model.node import Node, NodeInfo, NodeStatus
from runner.model.pod import ObjectMeta
from runner.select import node_pool

LINUX = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}


@pytest.mark.parametrize(
    ("labels", "pool"),
    [
        (
            {"eks.amazonaws.com/nodegroup": "web", "node.kubernetes.io/instance-type": "m6i.large"},
            "eks.amazonaws.com/nodegroup=web linux amd64",
        ),
        (
            {"karpenter.sh/nodepool": "default", "kubernetes.io/arch": "arm64"},
            "karpenter.sh/nodepool=default linux arm64",
        ),
        (
            {"cloud.google.com/gke-nodepool": "pool-1"},
            "cloud.google.com/gke-nodepool=pool-1 linux amd64",
        ),
        (
            {"kubernetes.azure.com/agentpool": "np1", "agentpool": "np1"},
            "kubernetes.azure.com/agentpool=np1 linux amd64",
        ),
        (
            {"node.kubernetes.io/instance-type": "m6i.large"},
            "node.kubernetes.io/instance-type=m6i.large linux amd64",
        ),
        ({"kubernetes.io/hostname": "node-17"}, "linux amd64"),
    ],
    ids=["EKS", "Karpenter on arm64", "GKE", "AKS", "instance type", "nothing but the system"],
)
def test_the_pool_of_a_node(labels: dict[str, str], pool: str) -> None:
    assert node_pool(Node(metadata=ObjectMeta(name="n", labels={**LINUX, **labels}))) == pool


def test_the_kubelet_says_the_system_where_labels_do_not() -> None:
    status = NodeStatus(node_info=NodeInfo(operating_system="windows", architecture="amd64"))
    assert node_pool(Node(metadata=ObjectMeta(name="n"), status=status)) == "windows amd64"


def test_nodes_that_may_not_be_read_are_one_pool() -> None:
    assert node_pool(None) == ""
