"""Which nodes start a container alike: the node pool, read off a node's labels."""

from runner.model.node import Node

# What providers and provisioners call a group of nodes made from one template.
POOL_LABELS = (
    "eks.amazonaws.com/nodegroup",
    "karpenter.sh/nodepool",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "alibabacloud.com/nodepool-id",
    "doks.digitalocean.com/node-pool",
    "k8s.scaleway.com/pool-name",
    "lke.linode.com/pool-id",
    "vke.vultr.com/node-pool",
    "worker.gardener.cloud/pool",
    "kops.k8s.io/instancegroup",
)
INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"
# Older kubelets and cloud providers know these alone.
_OLDER_LABELS = ("agentpool", "beta.kubernetes.io/instance-type")


def node_pool(node: Node | None) -> str:
    """The pool's name, or else the instance type, with operating system and architecture: a pool
    may mix architectures, and an image may lack one. The empty string for a node that is not
    known: all of those are one pool."""
    if node is None:
        return ""
    labels = node.metadata.labels
    names = (*POOL_LABELS, _OLDER_LABELS[0], INSTANCE_TYPE_LABEL, _OLDER_LABELS[1])
    name = next((f"{label}={labels[label]}" for label in names if labels.get(label)), "")
    info = node.status.node_info
    system = labels.get("kubernetes.io/os") or info.operating_system
    architecture = labels.get("kubernetes.io/arch") or info.architecture
    return " ".join(part for part in (name, system, architecture) if part)
