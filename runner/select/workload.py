"""The workload that people know a pod by, and the container worth looking at."""

import re
from datetime import datetime

from runner.model.pod import ContainerStatus, Pod
from runner.model.subject import Workload
from runner.select.condition import app_statuses, container_crash_loops

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
# A CronJob names its Jobs NAME-MINUTES, the time in minutes since 1970.
_CRON_JOB_SUFFIX = re.compile(r"-\d{8}$")


def workload_of(pod: Pod) -> Workload:
    """The top controller, read off the pod alone: no request, no permission.

    A ReplicaSet of a Deployment is named DEPLOYMENT-HASH with the hash in the pod's
    `pod-template-hash` label; a Job of a CronJob CRONJOB-MINUTES.
    """
    namespace = pod.metadata.namespace
    owner = next((o for o in pod.metadata.owner_references if o.controller), None)
    if owner is None:
        return Workload(kind="Pod", namespace=namespace, name=pod.metadata.name)
    kind, name = owner.kind, owner.name
    template_hash = pod.metadata.labels.get("pod-template-hash", "")
    if kind == "ReplicaSet" and template_hash and name.endswith(f"-{template_hash}"):
        kind, name = "Deployment", name.removesuffix(f"-{template_hash}")
    elif kind == "Job" and _CRON_JOB_SUFFIX.search(name):
        kind, name = "CronJob", _CRON_JOB_SUFFIX.sub("", name)
    return Workload(kind=kind, namespace=namespace, name=name)


def _sickness(pod: Pod, status: ContainerStatus, now: datetime, *, init: bool) -> int:
    """How much a container asks to be looked at; 0 for a healthy one."""
    if container_crash_loops(pod, status, now, init=init):
        return 4
    if status.state.waiting is not None and status.state.waiting.reason not in (
        "",
        "ContainerCreating",
        "PodInitializing",
    ):
        return 4
    if status.state.terminated is not None and status.state.terminated.exit_code != 0:
        return 3
    if not init and not status.ready and status.state.running is not None:
        return 2
    if init and not status.ready and status.state.running is not None:
        # The others wait for it.
        return 1
    return 0


def choose_container(pod: Pod, now: datetime, preferred: str = "") -> str:
    """The preferred one if the pod has it; else the sickest; else the one that kubectl would
    take: the default-container annotation, then the first."""
    names = [c.name for c in (*pod.spec.containers, *pod.spec.init_containers)]
    if preferred in names:
        return preferred
    sick, worst = "", 0
    for status, init in app_statuses(pod):
        sickness = _sickness(pod, status, now, init=init)
        if sickness > worst:
            sick, worst = status.name, sickness
    if sick:
        return sick
    default = pod.metadata.annotations.get(DEFAULT_CONTAINER_ANNOTATION, "")
    if default in names:
        return default
    return pod.spec.containers[0].name if pod.spec.containers else ""
