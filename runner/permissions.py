"""Which verbs a run needs: the one place that says so. Pure.

`podmedic rbac` prints it as a Role, the check before a run asks for it, docs/permissions.md and
cronjob.yaml are held against it by tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from runner.cluster import Resource
from runner.playbook import ObjectKind, Playbook

SERVICE_ACCOUNT = "podmedic"
OF_WORKLOADS = (
    Resource(plural="deployments", group="apps"),
    Resource(plural="statefulsets", group="apps"),
    Resource(plural="daemonsets", group="apps"),
    Resource(plural="jobs", group="batch"),
)
WORKLOAD_KINDS: tuple[ObjectKind, ...] = ("Deployment", "StatefulSet", "DaemonSet", "Job")
OF_SERVICES = (
    Resource(plural="services"),
    Resource(plural="endpointslices", group="discovery.k8s.io"),
)
OF_SCALING = Resource(plural="horizontalpodautoscalers", group="autoscaling", version="v2")
OF_POLICIES = Resource(plural="networkpolicies", group="networking.k8s.io")
OF_REVISIONS = (
    Resource(plural="replicasets", group="apps"),
    Resource(plural="controllerrevisions", group="apps"),
)


CONFIG_MAPS = Resource(plural="configmaps")


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """`resource` may carry a subresource: `pods/log`. Without an `optional` one a run does its
    work and says what it could not know; `asked` ones are asked for before the first pod is
    changed, for a run without them would change pods in vain. What is `of_cluster` is in no
    namespace: only a ClusterRole can grant it."""

    resource: str
    verbs: tuple[str, ...]
    why: str
    group: str = ""
    optional: bool = False
    asked: tuple[str, ...] = ()
    of_cluster: bool = False
    names: tuple[str, ...] = ()


def needs(playbooks: Sequence[Playbook]) -> tuple[Need, ...]:
    """In the order of docs/permissions.md."""
    injects = any(p.spec.steps for p in playbooks)
    found = [
        Need(
            resource="pods",
            # Who only reads pods need not follow them.
            verbs=("list", "watch") if injects else ("list",),
            why="selecting pods"
            + (", waiting for the ephemeral containers to end" if injects else ""),
            # The LIST has shown that pods may be listed.
            asked=("watch",) if injects else (),
        )
    ]
    # A copy of the pod is no ephemeral container in it.
    if any(p.spec.steps and {*p.spec.debugger.strategy} != {"copy"} for p in playbooks):
        found.append(
            Need(
                resource="pods/ephemeralcontainers",
                verbs=("patch",),
                why="the injection; `admin` and `edit` do not include it",
                asked=("patch",),
            )
        )
    if any(p.spec.steps and p.spec.debugger.lifetime == "resident" for p in playbooks):
        stays = "running steps in a container that stays (`lifetime: resident`)"
        found.append(replace(_EXEC, why=stays))
    if any(p.spec.steps and "copy" in p.spec.debugger.strategy for p in playbooks):
        found.append(
            Need(
                resource="pods",
                verbs=("get", "create", "delete"),
                why="strategy `copy`: a copy of the pod, deleted afterwards",
                asked=("get", "create", "delete"),
            )
        )
    if injects or any(p.spec.evidence.logs.per_owner for p in playbooks):
        found.append(
            Need(
                resource="pods/log",
                verbs=("get",),
                why="what the steps said, the application's last words",
                asked=("get",) if injects else (),
            )
        )
    if any(p.spec.evidence.events for p in playbooks):
        found.append(
            Need(
                resource="events",
                verbs=("list", "watch") if injects else ("list",),
                why="why something did not start; without it those facts are `not-evaluated`",
                optional=True,
            )
        )
    found.append(_NAMESPACE)
    if injects:
        found.append(
            Need(
                resource="poddisruptionbudgets",
                group="policy",
                verbs=("list",),
                why="how many Ready pods of a workload may be looked at together",
                optional=True,
            )
        )
        found.append(METRICS)
        found.append(
            Need(
                resource="nodes",
                verbs=("list",),
                why="which node pools there are: each gets a canary of its own; pressure of nodes",
                optional=True,
                of_cluster=True,
            )
        )
    reading = [p for p in playbooks if p.reads_objects]
    if reading:
        templates = any(p.judges(k) for p in reading for k in ("Service", *WORKLOAD_KINDS))
        policies = any(p.reads_policies for p in reading)
        services = any(p.reads_services for p in reading)
        behind = any(p.judges("Service") or p.compares_services for p in reading)
        scaling = any(p.judges("HorizontalPodAutoscaler") for p in reading)
        why = (
            (
                OF_WORKLOADS if templates or policies else OF_WORKLOADS[-1:],
                "workloads without a pod to look into: quota, admission, failed Jobs",
            ),
            (
                OF_SERVICES if behind else OF_SERVICES[:1] if services else (),
                "Services that send to nobody, and what is behind those that a pod uses",
            ),
            ((OF_SCALING,) if scaling else (), "autoscalers that cannot scale"),
        )
        found += [
            Need(
                resource=each.plural,
                group=each.group,
                verbs=("list",),
                why=words + "; without it those facts are `not-evaluated`",
                optional=True,
            )
            for resources, words in why
            for each in resources
        ]
    if any(p.reads_policies for p in playbooks):
        found.append(
            Need(
                resource=OF_POLICIES.plural,
                group=OF_POLICIES.group,
                verbs=("list",),
                why="whether a NetworkPolicy keeps a pod from a host that it names; without it "
                "that is `not-evaluated`",
                optional=True,
            )
        )
    if any(p.spec.evidence.changes for p in playbooks):
        found += [
            Need(
                resource=each.plural,
                group=each.group,
                verbs=("list",),
                why="what changed in the pod template of a workload whose pods are ill; without it "
                "that is `not-evaluated`",
                optional=True,
            )
            for each in OF_REVISIONS
        ]
        found.append(
            Need(
                resource=CONFIG_MAPS.plural,
                verbs=("list",),
                why="when the ConfigMaps of ill pods were changed; their metadata is asked for, "
                "never what is in them; without it that is `not-evaluated`",
                optional=True,
            )
        )
    return tuple(found)


_NAMESPACE = Need(
    resource="namespaces",
    verbs=("get",),
    why="the Pod Security level, for `profile: auto`, without it that is `restricted`; whether a "
    "namespace without pods exists",
    optional=True,
)
METRICS = Need(
    resource="pods",
    group="metrics.k8s.io",
    verbs=("list",),
    why="how much memory pods with limits have left for a container to start in",
    optional=True,
)
_STREAM_VERBS = ("create", "get")  # a WebSocket begins with a GET; 1.35 asks for `create` as well
_INTO_ONE_POD = (
    Need(
        resource="pods",
        verbs=("list", "watch"),
        why="finding the pod, waiting for the ephemeral container to start",
        asked=("watch",),
    ),
    Need(
        resource="pods/ephemeralcontainers",
        verbs=("patch",),
        why="the injection; `admin` and `edit` do not include it",
        asked=("patch",),
    ),
)
_EXEC = Need(resource="pods/exec", verbs=_STREAM_VERBS, why="`--command`", asked=_STREAM_VERBS)
_ATTACH = Need(resource="pods/attach", verbs=_STREAM_VERBS, why="a terminal", asked=_STREAM_VERBS)
_LAST_WORDS = Need(
    resource="pods/log",
    verbs=("get",),
    why="what a shell said last, for `attach`",
    optional=True,
)
_EVENTS = Need(
    resource="events",
    verbs=("list", "watch"),
    why="why something did not start, sooner",
    optional=True,
)


def command_needs() -> tuple[Need, ...]:
    """Of `podmedic shell --command`."""
    return (*_INTO_ONE_POD, _EXEC, _EVENTS)


def terminal_needs() -> tuple[Need, ...]:
    """Of `podmedic shell` with a terminal."""
    return (*_INTO_ONE_POD, _ATTACH, _EVENTS)


def attach_needs() -> tuple[Need, ...]:
    """Of `podmedic attach`."""
    return (_INTO_ONE_POD[0], _ATTACH, _LAST_WORDS)


def shell_needs() -> tuple[Need, ...]:
    """Of `podmedic shell` in every form, and of `podmedic attach`."""
    return (*_INTO_ONE_POD, _EXEC, _ATTACH, _LAST_WORDS, _EVENTS, _NAMESPACE, METRICS)


LEASE = Need(
    resource="leases",
    group="coordination.k8s.io",
    verbs=("create", "get", "update"),
    why="one sweep at a time; only with `--lease`",
)

OWNER_EVENTS = Need(
    resource="events",
    group="events.k8s.io",
    verbs=("create", "get", "update"),
    why="an Event on the owner of a new critical finding; only with `--events`",
)


def key_need(secret: str) -> Need:
    """No other Secret, and only for who asks for it."""
    return Need(
        resource="secrets",
        verbs=("get",),
        why="the key that signs; only with `--key k8s://NAMESPACE/NAME`, of this Secret alone",
        names=(secret,),
    )


_RBAC = "rbac.authorization.k8s.io"


def _rules(wanted: Sequence[Need]) -> list[dict[str, Any]]:
    return [
        {"apiGroups": [need.group], "resources": [need.resource], "verbs": list(need.verbs)}
        | ({"resourceNames": list(need.names)} if need.names else {})
        for need in wanted
    ]


def manifests(
    wanted: Sequence[Need], *, name: str, account_namespace: str, namespaces: Sequence[str] | None,
    lease: bool = False, events: bool = False, key: tuple[str, str] | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """ServiceAccount, roles and bindings that grant exactly this: a Role in each of the
    namespaces, or a ClusterRole where that is None. The Lease of a sweep is in the first; a Role
    leaves out what it cannot grant. `key`: namespace and name of a Secret that signs."""
    labels = {"app.kubernetes.io/name": "podmedic"}
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": account_namespace}]
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": account_namespace, "labels": labels},
        "automountServiceAccountToken": False,
    }
    prefix = "Cluster" if namespaces is None else ""
    first = None if namespaces is None else min(namespaces)
    wanted = [*wanted, OWNER_EVENTS] if events else wanted
    if namespaces is not None:
        wanted = [need for need in wanted if not need.of_cluster]
    for namespace in (None,) if namespaces is None else tuple(namespaces):
        where = {} if namespace is None else {"namespace": namespace}
        metadata = {"name": name, **where, "labels": labels}
        rules = _rules([*wanted, LEASE] if lease and namespace == first else wanted)
        yield from _granted(f"{prefix}Role", metadata, rules, subjects)
    if key is not None:
        # Never in a ClusterRole, which would mean that name in every namespace.
        metadata = {"name": f"{name}-key", "namespace": key[0], "labels": labels}
        yield from _granted("Role", metadata, _rules([key_need(key[1])]), subjects)


def _granted(
    kind: str, metadata: Mapping[str, Any], rules: Sequence[object], subjects: Sequence[object]
) -> Iterator[dict[str, Any]]:
    """The role and its binding, which has the same name."""
    version = f"{_RBAC}/v1"
    yield {"apiVersion": version, "kind": kind, "metadata": {**metadata}, "rules": rules}
    yield {
        "apiVersion": version,
        "kind": f"{kind}Binding",
        "metadata": {**metadata},
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
        "subjects": subjects,
    }
