"""The one adapter to Kubernetes: `connect` gives a `Cluster` that speaks HTTP to an API server.

Nothing outside this package, the command line apart, imports it or knows about HTTP.
"""

from runner.kube.cluster import KubeCluster, connect

__all__ = ["KubeCluster", "connect"]
