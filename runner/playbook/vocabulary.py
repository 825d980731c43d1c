"""The names that conditions, templates and evidence may use, and what each one is.

`runner.analyze.facts` fills them; a name that is not here is refused when a playbook is read. A
name that ends in `?` is absent where it makes no sense: ask `has(container.exitCode)` first.
"""

from collections.abc import Mapping, Sequence

CONTAINER = {
    "name": "name of the target container",
    "image": "image as the pod's spec names it",
    "imageId": "image id as the node resolved it, empty before it was pulled",
    "init": "true for an init container",
    "state": "`running`, `waiting` or `terminated`, as the kubelet shows it now",
    "reason": "reason of that state: `CrashLoopBackOff`, `ImagePullBackOff`, `Error`, …",
    "waitingMessage": "the kubelet's sentence while the container waits",
    "exitCode?": "exit code of the latest exit; absent when it never exited",
    "signal?": "signal of the latest exit; absent when there was none",
    "exitReason": "reason of the latest exit: `Error`, `OOMKilled`, `Completed`",
    "message": "termination message of the latest exit",
    "runningSeconds?": "how long the current instance has run",
    "ranSeconds?": "how long the instance of the latest exit had run",
    "lastExitCode?": "exit code of the instance before the current one",
    "lastReason": "reason of the exit of the instance before the current one",
    "restartCount": "how often the kubelet restarted it",
    "ready": "true when it counts as ready",
    "crashLooping": "true when it exited, was restarted before and waits to be restarted again",
    "oomKilled": "true when the current or the latest exit was for memory",
    "envFrom": "true when it takes all of a ConfigMap or Secret as variables: more than envNames",
    "envNames": "names of its environment variables, as far as the spec spells them",
    "unexpanded": "list of {name, reference}: variables whose value has a `$(REFERENCE)` that is "
    "not replaced, since no variable before it has that name",
    "meant?": "of the target container: map from a host that its configuration names, and that no "
    "Service of its namespace is called, to the Service that it may mean: `db.data` of another "
    "namespace, or one that is called nearly so",
    "sources": "map from a variable to where its value comes from: `key password of Secret db`, "
    "`metadata.labels['app'] of the pod`",
    "fromSecrets": "list of {name, secret, key, optional}: variables that take a key of a Secret",
    "proxied": "list of {host, variable}: Services that its URLs name and that NO_PROXY does not "
    "leave out of the proxy which that variable (`HTTP_PROXY`) sets",
    "trusted": "list of {variable, path, source}: variables such as SSL_CERT_FILE that say which "
    "authorities it trusts; source is `ConfigMap NAME` or `Secret NAME`, if one is mounted there",
    "defaultLimits": "list of the resources whose limit is the default of a LimitRange and not in "
    "the pod template",
    "restartable": "true for an init container with restartPolicy Always (a sidecar)",
    "heapFlag": "the option that says how large the heap of a JVM or of Node.js may grow, "
    "`-Xmx512m`, empty when there is none",
    "heapSource": "where it stands: `env:JAVA_TOOL_OPTIONS`, `command`, `args`",
    "heapFillsLimit": "true when that is nine tenths of its memory limit or more",
    "runAsUser?": "number of the user it runs as, where the pod template says it",
    "command": "list of words",
    "args": "list of words",
    "ports": "list of port numbers",
    "mounts": "list of the paths where volumes are mounted",
    "memoryLimit": "as the spec has it (`128Mi`), empty when there is none",
    "memoryRequest": "as the spec has it, empty when there is none",
    "cpuLimit": "as the spec has it, empty when there is none",
    "memoryLimitKiB?": "the same as a number; absent when there is none",
    "cpuLimitMillis?": "the same in thousandths of a processor; absent when there is none",
    "livenessProbe": "true when it has one",
    "readinessProbe": "true when it has one",
    "startupProbe": "true when it has one",
    "probes": "map from `liveness`, `readiness` and `startup` to what that probe asks for, "
    "`GET /healthz on port http (8080)`; empty when there is none",
    "postStart": "command of its postStart hook, empty when there is none",
    "memoryVolumes": "list of the paths where it mounts an emptyDir with medium `Memory`, which "
    "counts against its memory limit",
    "hostMounts": "list of the paths where it mounts a folder or file of its node (hostPath)",
    "readinessDelaySeconds?": "initialDelaySeconds of its readiness probe, where that says one",
}
POD = {
    "namespace": "",
    "name": "",
    "node": "name of its node, empty when it has none yet",
    "phase": "`Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`",
    "reason": "reason of the phase: `Evicted`, …",
    "message": "sentence of the phase",
    "ageSeconds?": "time since it was created",
    "labels": "map",
    "conditions": "map from type (`Ready`) to {status, reason, message}",
    "shows": "list of what it was selected by: the words of `targets.conditions`",
    "qosClass": "`Guaranteed`, `Burstable`, `BestEffort`",
    "restartPolicy": "`Always`, `OnFailure`, `Never`",
    "restartCount": "sum over its containers",
    "hostNetwork": "true when it uses its node's network",
    "schedulerName": "name of the scheduler that is to find its node",
    "hostAliases": "list of {host, ip}: names that its spec writes into /etc/hosts",
    "claims": "names of the PersistentVolumeClaims that it mounts",
    "avoidsItself": "true when its required pod anti-affinity keeps pods with its own labels away",
}
WORKLOAD = {"kind": "`Deployment`, …", "namespace": "", "name": ""}
STEP = {
    "outcome": "`passed`, `failed`, `timeout`, `error`, `not-evaluated`",
    "reason": "why, when the outcome is none of the first two",
    "exitCode?": "of the last attempt; this and the rest only with `passed` or `failed`",
    "stdout?": "of the last attempt, invalid bytes replaced",
    "stderr?": "of the last attempt, invalid bytes replaced",
    "truncated?": "true when stdout was cut: what is not in it may have been beyond",
    "attempts?": "how many there were",
    "durationSeconds?": "of the last attempt",
    "parsed?": "what `parse` made of stdout",
}
EVENT = {
    "reason": "`FailedMount`, `Unhealthy`, `Killing`, …",
    "message": "",
    "type": "`Normal` or `Warning`",
    "count": "how often it was seen",
    "container": "the container it is about, empty when it is about the pod",
}
OBJECT = {
    "kind": "`Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `HorizontalPodAutoscaler`, "
    "`Service`; `Pod` for one that is being deleted",
    "name": "",
    "ageSeconds?": "time since it was created",
    "deletingSeconds?": "how long ago it should have been gone; only while it is being deleted",
    "deletedSeconds?": "how long ago its deletion was asked for; only then",
    "gracePeriodSeconds?": "how long its containers may take to end; only then",
    "shells": "of a `Pod`: names of running containers whose first process is a shell with a "
    "script that neither hands SIGTERM on (`exec`) nor handles it (`trap`)",
    "preStops": "of a `Pod`: list of {container, hook} of running containers with a preStop hook",
    "target": "of a HorizontalPodAutoscaler: what it scales, `Deployment/web`; else empty",
    "finalizers": "list of words",
    "conditions": "map from type (`ReplicaFailure`, `Failed`) to {status, reason, message}",
    "message": "sentence of the condition that says what went wrong, empty when none does",
    "missing": "how many pods it should have and does not have",
    "failed": "true for a Job that was given up",
    "explained": "true when one of its pods has a critical finding already, certain or likely",
    "exitCode?": "of a Job: of the container that failed last, while its pod is there",
    "container": "the name of that container, else empty",
    "selector": "of a Service: what it selects pods by, as kubectl writes it",
    "endpoints?": "of a Service with a selector: how many addresses stand behind it",
    "selects": "of a Service: the workloads whose pods it selects, `Deployment/web`",
    "nearly": "of a Service: list of {kind, name, key, wanted, found}, the workloads whose pods it "
    "would select but for the value of one label",
}
SERVICE = {
    "name": "name of the Service",
    "port": "number of the port, of the Service",
    "protocol": "`TCP`, `UDP`, `SCTP`",
    "targetPort": "number of the port of the pod that it sends to; 0 when it goes by a name that "
    "no container has",
    "targetName": "that name, empty when it goes by number",
    "only": "true when the Service has no other port",
}
POLICIES = {
    "egress": "names of the NetworkPolicies that restrict where the pod may connect to",
    "withoutDns": "the same names where none of their rules lets anything out to port 53, so that "
    "the pod can ask no DNS server; else empty",
    "blocked": "list of {host, port, policies, direction}: hosts that the container's "
    "configuration names, and of each the port (of its pods, where it is a Service) that no rule "
    "lets through: of those NetworkPolicies (direction `egress`), or of those that select the pods "
    "behind the host (`ingress`)",
}
CHANGE = {
    "path": "the field, as kubectl would name it: `containers[app].env[DB_HOST]`",
    "name": "what stands in its last brackets: `DB_HOST`",
    "before": "what it was in the last good revision, in the words of the report; empty where it "
    "was absent, `(not shown)` where it may be secret",
    "after": "what it is now, in the same words",
}
CONFIGURATION_CHANGE = {
    "name": "name of the ConfigMap",
    "usedAs": "list: `env`, read when the container starts; `files`, renewed while it runs; "
    "`subPath`, as it was when it was mounted",
    "stale": "true when the container started before the change and goes on with what it read then",
    "agoSeconds?": "how long ago it was changed",
}
CONTROL = {
    "pod?": "its name; absent, like all but `differs`, where there is none: ask `has(control.pod)`",
    "node?": "name of its node",
    "container?": "map like `container`",
    "steps?": "map like `steps`",
    "differs": "list of {step, what, ill, well}: steps that the two answered differently; `what` "
    "is `exitCode` or `parsed`, the others are both values as text",
}
LOGS = {
    "current": "end of the log of the current instance of the target container",
    "previous": "end of the log of the instance before",
    "last": "end of the log of the instance that exited last, else of the current one",
    "fatal": "the line of `last` that looks most like the reason to end, empty when none does: an "
    "exception, a fatal error, an error near the end; else of what was found before `last`, where "
    "`match` looks for `logs.last` too",
    "repeats": "list of {kind, words, line, count, lines, first, last, perMinute, target, "
    "service}: errors that `current` of a running container says again and again, still at its "
    "end; kind is `refused`, `unresolved`, `untrusted`, `denied`, `rejected`, `silent`, `full`, "
    "`limit`, `schema`, `absent`, `locked`, `starting`, `exhausted`, `limited`, `slow` or "
    "`broken`; first and last are the times that the lines tell, if they do; target is HOST:PORT, "
    "if there is one, and service the name of the Service whose address that is",
    "complaint": "what `last` of a container that is not ready says again and again, "
    "errors of whatever kind and what it waits for, where `repeats` is empty; else empty",
    "neighbours": "list of the same for the other containers of the pod, each with `container`, "
    "its name; of one that ended with an error kind is `exited`, and there are exitCode and words",
    "fatalWords": "what that line says: of a JSON document its message and its error, of a line "
    "that ends with a colon also the next ones",
}

MAPS: Mapping[str, Mapping[str, str]] = {
    "pod": POD,
    "container": CONTAINER,
    "workload": WORKLOAD,
    "logs": LOGS,
    "object": OBJECT,
    "control": CONTROL,
    "policies": POLICIES,
}
LISTS: Mapping[str, str] = {
    "containers": "list of maps like `container`, one for each container and init container",
    "events": "list of maps, oldest first",
    "services": "list of maps, one for each port of each Service that selects the pod",
    "changes": "list of maps, what breaks pods most often first: how the pod template differs from "
    "that of the last good revision; only where `evidence.changes` asks for it",
    "configurationChanges": "list of maps, the latest first: ConfigMaps that the container uses "
    "and that were changed since the pod was made; only where `evidence.changes` asks for it",
    "steps": "map from the name of a step of this playbook to what came of it",
    "item": "with `each`: the one at hand",
    "match": "with `match`: the named groups of the pattern that matched, and `line`",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "container": CONTAINER,
    "pod": POD,
    "workload": WORKLOAD,
    "object": OBJECT,
    "steps.NAME": STEP,
    "logs": LOGS,
    "events[]": EVENT,
    "services[]": SERVICE,
    "changes[]": CHANGE,
    "configurationChanges[]": CONFIGURATION_CHANGE,
    "policies": POLICIES,
    "control": CONTROL,
}
"""In the order in which people are told of them."""
NAMES: Sequence[str] = (*MAPS, *LISTS)
OF_OBJECTS: Sequence[str] = ("workload", "object", "events", "item", "match")
"""What rules of `workloads` may use; those of `findings` may use all but `object`."""


def names(section: str) -> Sequence[str]:
    """The names that rules in this section of a playbook may use."""
    return OF_OBJECTS if section == "workloads" else [n for n in NAMES if n != "object"]


def members(root: str) -> Sequence[str]:
    """The names below a root, without their question marks."""
    table = STEP if root == "steps" else MAPS.get(root, {})
    return [name.removesuffix("?") for name in table]
