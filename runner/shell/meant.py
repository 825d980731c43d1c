"""What was probably meant by a name that no pod has."""

from collections.abc import Sequence

from runner.cluster import Access, Cluster, ClusterError, Scope
from runner.model.pod import Pod
from runner.playbook.errors import did_you_mean
from runner.select import workload_of

_MAX_PODS = 5000
_WORDS = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "Job": "job",
    "CronJob": "cronjob",
}


def meant(kind: str, name: str, pods: Sequence[Pod]) -> str:
    """` (did you mean "deploy/web"?)`: a workload of that name, else what is called nearly so; or
    nothing. With the kind of a pod those may be pods, too."""
    workloads = {workload_of(pod) for pod in pods}
    known = sorted(f"{_WORDS[each.kind]}/{each.name}" for each in workloads if each.kind in _WORDS)
    if same := [word for word in known if word.partition("/")[2] == name]:
        return f' (did you mean "{same[0]}"?)'
    # The names alone: all those of a kind begin alike.
    by_name = {word.partition("/")[2]: word for word in known}
    if kind == "Pod":
        by_name |= {pod.metadata.name: pod.metadata.name for pod in pods}
    close = did_you_mean(name, list(by_name))
    for each, word in by_name.items():
        close = close.replace(f'"{each}"', f'"{word}"')
    return close


async def meant_in(cluster: Cluster, namespace: str, kind: str, name: str) -> str:
    """The same among the pods of a namespace, where they may be listed."""
    pods: list[Pod] = []
    try:
        if await cluster.denied([Access(verb="list", resource="pods", namespace=namespace)]):
            return ""
        async for page, _ in cluster.list_pods(Scope(namespace=namespace)):
            pods += page
            if len(pods) >= _MAX_PODS:
                break
    except ClusterError:
        return ""
    return meant(kind, name, pods)
