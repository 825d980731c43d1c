"""What would become of an injection, as far as it can be known without making it. Pure.

The API server's dry run sees validation and admission; it cannot see what the kubelet will do
(kubernetes-facts.md section 1.5). That is predicted here from pods and nodes.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from runner.model.node import Node
from runner.model.pod import ContainerStatus, Pod, PodCondition
from runner.model.quantity import quantity_bytes
from runner.plan import InjectionPlan, PodPlan
from runner.select.condition import BACK_OFF_MEMORY


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"  # by the API server
    WILL_NOT_START = "will-not-start"  # accepted, and never run by the kubelet
    HELD_BACK = "held-back"  # by podmedic's own bounds
    UNKNOWN = "unknown"  # could not be asked


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` is CamelCase, `message` a sentence."""

    verdict: Verdict
    reason: str
    message: str


# The runtime itself takes up to 8 MiB to start a container (seen with runc 1.1), in the pod's
# cgroup and before our program can say that it is to be killed first; and what runs needs some.
START_BYTES = 16 << 20
# Half of so small a limit would be ours.
_SMALL_BYTES = 2 * START_BYTES
_MINUTE = timedelta(minutes=1)
_SIMULATED = "kwok"
# Nodes that are no machines with a container runtime of ours: they take the PATCH and run nothing.
_VIRTUAL_LABELS = {
    ("type", "virtual-kubelet"): "virtual-kubelet",
    ("type", "kwok"): _SIMULATED,
    ("eks.amazonaws.com/compute-type", "fargate"): "Fargate",
    ("kubernetes.azure.com/virtual-node", "true"): "a virtual node",
}
# The kubelet reports so many at most.
_MAX_LISTED_IMAGES = 50


def _virtual(node: Node) -> str:
    labels = node.metadata.labels
    found = (word for (key, value), word in _VIRTUAL_LABELS.items() if labels.get(key) == value)
    return next(found, _SIMULATED if "kwok.x-k8s.io/node" in node.metadata.annotations else "")


def _condition(node: Node, kind: str) -> PodCondition | None:
    return next((c for c in node.status.conditions if c.type == kind), None)


def _names_of(image: str) -> set[str]:
    """How the kubelet may spell it."""
    name, at, digest = image.partition("@")
    if not at and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    spelt = name if not at else f"{name.rpartition(':')[0] or name}@{digest}"
    first = name.partition("/")[0]
    if "/" not in name:
        return {spelt, f"docker.io/library/{spelt}"}
    is_host = "." in first or ":" in first or first == "localhost"
    return {spelt} if is_host else {spelt, f"docker.io/{spelt}"}


def has_image(node: Node, image: str) -> bool | None:
    """None where the kubelet lists only some of its images."""
    images = node.status.images or ()
    listed = {name for each in images for name in each.names or ()}
    if listed & _names_of(image):
        return True
    return None if len(images) >= _MAX_LISTED_IMAGES else False


def _of_node(node: Node, *, simulated: bool) -> Prediction | None:
    name = node.metadata.name
    virtual = _virtual(node)
    if virtual and not (simulated and virtual == _SIMULATED):
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason="VirtualNode",
            message=f"node {name} is {virtual}: nothing there runs ephemeral containers",
        )
    if node.status.node_info.operating_system == "windows":
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason="Windows",
            message=f"node {name} runs Windows: the debugger images are for Linux",
        )
    ready = _condition(node, "Ready")
    if ready is not None and ready.status != "True":
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason="NodeNotReady",
            message=f"node {name} is not Ready ({ready.reason or ready.status}): its kubelet "
            "starts nothing",
        )
    return None


def _of_user(pod: Pod, body: Mapping[str, Any]) -> Prediction | None:
    """The demand for runAsNonRoot, wherever it stands, against the user that we ask for."""
    context = body.get("securityContext", {})
    shared = pod.spec.security_context
    non_root = context.get("runAsNonRoot", shared.get("runAsNonRoot"))
    user = context.get("runAsUser", shared.get("runAsUser"))
    if non_root and user == 0:
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason="CreateContainerConfigError",
            message="the pod demands a user other than root (runAsNonRoot), the debugger root "
            "(runAsUser 0)",
        )
    return None


def _of_image(node: Node, body: Mapping[str, Any]) -> Prediction | None:
    image = str(body["image"])
    if body.get("imagePullPolicy") == "Never" and has_image(node, image) is False:
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason="ErrImageNeverPull",
            message=f"image {image} is not on node {node.metadata.name} and must not be pulled",
        )
    return None


def planned(plan: PodPlan) -> Prediction | None:
    """What the plan decided already."""
    if plan.skip is not None:
        refused = plan.skip.reason == "StaticPod"
        verdict = Verdict.REFUSED if refused else Verdict.WILL_NOT_START
        return Prediction(verdict=verdict, reason=plan.skip.reason, message=plan.skip.message)
    if plan.held_back is not None:
        return Prediction(
            verdict=Verdict.HELD_BACK, reason=plan.held_back.reason, message=plan.held_back.message
        )
    if plan.injections and not any(injection.steps for injection in plan.injections):
        choice = plan.injections[0].choice
        return Prediction(
            verdict=Verdict.WILL_NOT_START,
            reason=choice.reason or "NothingToRun",
            message=choice.message or "no step can run in this pod",
        )
    return None


def predict(
    pod: Pod, body: Mapping[str, Any], node: Node | None, *, simulated: bool = False
) -> Prediction | None:
    """Why the kubelet will not start this container, or None if nothing speaks against it. With
    `simulated`, kwok's nodes are taken for kubelets, which they are when told so."""
    found = _of_user(pod, body)
    if found is None and node is not None:
        found = _of_node(node, simulated=simulated) or _of_image(node, body)
    return found


def _limit_bytes(resources: Mapping[str, Any]) -> int | None:
    return quantity_bytes(resources.get("limits", {}).get("memory", ""))


def memory_limit_bytes(pod: Pod) -> int | None:
    """What all containers of the pod may use together, as the kubelet reckons it for the pod's
    cgroup; None where one has no limit, an init container say, and the kernel so none for the
    pod."""
    whole = _limit_bytes(pod.spec.resources)
    if whole is not None:
        return whole
    apps = [_limit_bytes(c.resources) for c in pod.spec.containers]
    inits = [(_limit_bytes(c.resources), c.restart_policy) for c in pod.spec.init_containers]
    sidecars = most = 0
    for limit, restart_policy in inits:
        if limit is None:
            return None
        sidecars += limit if restart_policy == "Always" else 0
        most = max(most, sidecars if restart_policy == "Always" else sidecars + limit)
    if None in apps:
        return None
    return max(most, sidecars + sum(limit for limit in apps if limit is not None))


def too_tight(pod: Pod, used_bytes: int | None, now: datetime) -> str:
    """Why no container is to be started in the pod, for want of memory; empty if it may be. Where
    nobody says how much is in use, what the pod itself tells decides."""
    limit = memory_limit_bytes(pod)
    if limit is None:
        return ""
    may_take = (
        f"a container that starts may take {START_BYTES >> 20} MiB, and the kernel the app for that"
    )
    if used_bytes is not None:
        if limit - used_bytes >= START_BYTES:
            return ""
        return f"the pod uses {used_bytes >> 20} of its {limit >> 20} MiB of memory: {may_take}"
    lives = [status for status in pod.status.container_statuses if status.state.running]
    if lives and limit < _SMALL_BYTES:
        unknown = f"the pod has {limit >> 20} MiB of memory, and how much it uses is not known"
        return f"{unknown}: {may_take}"
    ends = (_near_its_last_end(status, limit, now) for status in lives)
    return next((f"{why}: {may_take}" for why in ends if why), "")


def _near_its_last_end(status: ContainerStatus, limit: int, now: datetime) -> str:
    """Of a container that ran out of memory after a while: it is taken to need as much again, as
    slowly, until it has outlived that. A crash loop has no time to wait for."""
    last, running = status.last_state.terminated, status.state.running
    if last is None or last.reason != "OOMKilled" or running is None:
        return ""
    if last.started_at is None or last.finished_at is None or running.started_at is None:
        return ""
    before, lives = last.finished_at - last.started_at, now - running.started_at
    if before < BACK_OFF_MEMORY or lives > before or limit * (1 - lives / before) >= START_BYTES:
        return ""
    return (
        f"container {status.name} ran out of memory {before // _MINUTE} min after its last start, "
        f"and has run for {lives // _MINUTE} min now; how much it uses is not known"
    )


def notes(
    pod: Pod, body: Mapping[str, Any], node: Node | None, used_bytes: int | None = None
) -> Iterator[str]:
    """What is good to know of an injection that will be accepted."""
    image = str(body["image"])
    if node is not None and has_image(node, image) is False:
        yield f"image {image} is not on node {node.metadata.name} yet: the kubelet pulls it first"
    limit = memory_limit_bytes(pod)
    used = "" if used_bytes is None else f", {used_bytes >> 20} in use"
    if limit is not None:
        yield (
            f"every container has a memory limit ({limit >> 20} MiB together{used}): ours counts "
            "against it"
        )


def kind_of(plan: PodPlan, injection: InjectionPlan) -> str:
    """Equal for pods that the API server will treat alike: one of them is asked for all."""
    pod, workload = plan.pod, plan.workload
    labels = pod.metadata.labels
    revision = labels.get("pod-template-hash") or labels.get("controller-revision-hash") or ""
    spec = "" if revision else pod.metadata.name
    parts = (
        workload.namespace, workload.kind, workload.name, revision, spec, plan.target,
        injection.group.sha256, injection.choice.strategy,
        # Older debuggers are judged with the pod, whoever put them there.
        msgspec.json.encode([c.security_context for c in pod.spec.ephemeral_containers]).hex(),
    )  # fmt: skip
    return sha256("\0".join(parts).encode()).hexdigest()
