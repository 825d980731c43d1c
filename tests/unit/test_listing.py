"""A kind of object is asked for where a rule could say something of it, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from runner.analyze import judge_objects
from runner.cluster import ClusterError, ErrorReason
from runner.model.objects import Objects
from runner.model.pod import Event
from runner.plan import PodPlan, Selected, plan_pod
from runner.playbook import Playbook, PlaybookErrors, load, resolve
from runner.sweep.events import list_events
from runner.sweep.listing import list_objects
from runner.sweep.settings import Selection
from tests.unit.pods import NOW, pod, replica, running, waiting

WEB = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}
QUIET = {"services", "jobs", "events"}
TEMPLATES = {"deployments", "statefulsets", "daemonsets"}
BEHIND = {"endpointslices"}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
RULE = """
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {{name: own}}
spec:
  workloads:
    - {{id: r, severity: info, title: t, message: m, when: "object.missing > 0"{more}}}
"""


def event(kind: str, type_: str = "Warning", name: str = "web", namespace: str = "shop") -> Event:
    about = {"kind": kind, "name": name, "namespace": namespace, "uid": f"uid-{name}"}
    document = {"metadata": {"name": "e"}, "involvedObject": about, "type": type_}
    return msgspec.convert(document, Event)


class Server:
    """`asked` names what was listed, where that was not in namespace shop with the namespace."""

    def __init__(
        self, *events: Event, services: Sequence[dict[str, Any]] = (WEB,),
        policies: Sequence[dict[str, Any]] = (), forbidden: bool = False, more: int = 0,
    ) -> None:  # fmt: skip
        self.objects = self
        self._events = [*events, *[event("Node", "Normal")] * more]
        self._found = {"services": services, "networkpolicies": policies}
        self._forbidden = forbidden
        self.asked: list[str] = []

    async def list(self, resource: Any, namespace: str | None, as_: type[Any]) -> Sequence[Any]:
        self._ask(resource.plural, namespace)
        return [msgspec.convert(each, as_) for each in self._found.get(resource.plural, ())]

    async def list_events(self, namespace: str | None, selector: str = "") -> Any:
        self._ask("events" + (f" {selector}" if selector else ""), namespace)
        if self._forbidden:
            raise ClusterError(ErrorReason.FORBIDDEN, "no")
        return self._events[:5000], "7"

    def _ask(self, what: str, namespace: str | None) -> None:
        self.asked.append(what if namespace == "shop" else f"{what} in {namespace}")


def built_in(*names: str) -> tuple[Playbook, ...]:
    return tuple(resolve(name) for name in names)


def well(*playbooks: Playbook, **container: Any) -> list[PodPlan]:
    one = replica("web-1")
    if container:
        labels = {"app": "web"}
        one = pod(running(), metadata={"labels": labels}, container=container)
    return [plan_pod(Selected(pod=one, playbooks=playbooks), NOW)]


async def listed(
    server: Server, playbooks: Sequence[Playbook], plans: Sequence[PodPlan],
    namespaces: tuple[str, ...] = ("shop",),
) -> dict[str, str]:  # fmt: skip
    cluster: Any = server
    selection = Selection(namespaces=namespaces)
    return (await list_objects(cluster, playbooks, selection, plans))[0].not_needed


async def test_where_nothing_is_wrong_little_is_asked() -> None:
    server, playbooks = Server(event("Pod"), event("Deployment", "Normal")), built_in("triage")
    assert await listed(server, playbooks, well(*playbooks)) == {
        "DaemonSet": "no event of type Warning is about one",
        "Deployment": "no event of type Warning is about one",
        "EndpointSlice": "each Service selects a pod that was looked at",
        "HorizontalPodAutoscaler": "no event of type Warning is about one",
        "NetworkPolicy": "no container that is looked at names a host",
        "StatefulSet": "no event of type Warning is about one",
    }
    assert sorted(server.asked) == sorted(QUIET)


@pytest.mark.parametrize(
    ("server", "more"),
    [
        # A controller that is refused a pod says so; a Deployment's is its ReplicaSet.
        (Server(event("ReplicaSet")), {"deployments"}),
        (Server(event("StatefulSet")), {"statefulsets"}),
        (Server(event("HorizontalPodAutoscaler")), {"horizontalpodautoscalers"}),
        # A Service without pods is held against what workloads there are.
        (Server(services=[WEB | {"spec": {"selector": {"app": "wbe"}}}]), TEMPLATES | BEHIND),
        (Server(services=[WEB | {"spec": {"selector": {}}}]), set()),
    ],
)
async def test_signs(server: Server, more: set[str]) -> None:
    playbooks = built_in("triage")
    await listed(server, playbooks, well(*playbooks))
    assert sorted(server.asked) == sorted(QUIET | more)


@pytest.mark.parametrize("server", [Server(forbidden=True), Server(more=5000)])
async def test_without_all_events_there_is_no_telling(server: Server) -> None:
    playbooks = built_in("triage")
    not_needed = await listed(server, playbooks, well(*playbooks))
    everything = QUIET | TEMPLATES | {"horizontalpodautoscalers"}
    assert set(server.asked) == everything
    assert set(not_needed) == {"EndpointSlice", "NetworkPolicy"}


async def test_of_several_namespaces_those_with_a_sign() -> None:
    server, playbooks = Server(event("ReplicaSet", namespace="mine")), built_in("triage")
    await listed(server, playbooks, well(*playbooks), ("mine", "shop"))
    assert [each for each in server.asked if "deploy" in each] == ["deployments in mine"]


async def test_a_pod_that_names_hosts() -> None:
    """What is behind a Service that it names, and the policies between it and any host."""
    playbooks = built_in("triage", "service-unreachable")
    server = Server()
    url = {"env": [{"name": "URL", "value": "http://elsewhere:80"}]}
    await listed(server, playbooks, well(*playbooks, **url))
    assert set(server.asked) == QUIET | {"networkpolicies"}

    # Whom the policies are about: pods that are there or would be.
    policy = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {}}
    server = Server(
        services=[{**WEB, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}],
        policies=[policy],
    )
    url = {"env": [{"name": "URL", "value": "http://web:80"}]}
    await listed(server, playbooks, well(*playbooks, **url))
    assert set(server.asked) == QUIET | {"networkpolicies"} | TEMPLATES | BEHIND


async def test_a_playbook_about_policies_always_asks_for_them() -> None:
    playbooks = built_in("networkpolicy")
    server = Server()
    await listed(server, playbooks, well(*playbooks))
    assert "networkpolicies" in server.asked


async def test_jobs_of_failed_pods() -> None:
    """Whether a Job was given up decides whether its pod is looked at."""
    playbooks = built_in("service-unreachable")
    owner = {"ownerReferences": [{"kind": "Job", "name": "load", "controller": True}]}
    for phase, asked in (
        ("Failed", {"services", "events", "jobs"}),
        ("Running", {"services", "events"}),
    ):
        one = pod(running(), phase=phase, metadata=owner)
        server = Server(services=())
        await listed(server, playbooks, [plan_pod(Selected(pod=one, playbooks=playbooks), NOW)])
        assert set(server.asked) == asked


async def test_rules_that_say_nothing_of_kinds_and_signs() -> None:
    own = (load(RULE.format(more=""), "own.yaml"),)
    server = Server()
    assert await listed(server, own, well(*own)) == {}
    assert set(server.asked) == QUIET | TEMPLATES | BEHIND | {"horizontalpodautoscalers"}
    assert set(await listed(server := Server(), built_in("stuck-terminating"), [])) == set()
    assert server.asked == []


@pytest.mark.parametrize(
    ("section", "more", "message"),
    [
        ("findings", ", kinds: [Job]", "spec.findings[0].kinds: is for workloads only"),
        ("workloads", ", sign: Warning", "Warning is a sign of workloads: name kinds, and neither"),
        ("workloads", ", sign: NoPods", "NoPods is a sign of Services: kinds: [Service]"),
    ],
)
def test_mistakes(section: str, more: str, message: str) -> None:
    text = RULE.format(more=more).replace("workloads:", f"{section}:", 1)
    with pytest.raises(PlaybookErrors) as refused:
        load(text, "own.yaml")
    assert message in str(refused.value)


async def test_events_that_are_known_are_not_asked_for_again() -> None:
    """Those of claims that a pod waits for are among them."""
    playbooks = built_in("triage")
    server: Any = Server(event("PersistentVolumeClaim", name="data"), event("Pod", name="web-1"))
    selection = Selection(namespaces=("shop",))
    _, known = await list_objects(server, playbooks, selection, well(*playbooks))
    waits = pod(waiting("x"), phase="Pending", spec={"nodeName": "", "volumes": [CLAIM]})
    found = await list_events(server, ["shop"], [waits], known)
    assert server.asked.count("events") == 1
    assert {uid: len(events) for uid, events in found.by_uid.items()} == {"uid-web-1": 1, "u1": 1}
    assert found.versions == [("shop", "7")]


def test_other_playbooks_are_told_what_the_run_did_not_ask_for() -> None:
    """As `podmedic analyze` may: what was not needed is no answer to rules that need it."""
    objects = Objects(not_needed={"Deployment": "why", "NetworkPolicy": "why"})

    def questions(playbook: Playbook) -> list[tuple[str, str, str]]:
        _, unanswered = judge_objects([playbook], objects, [], frozenset(), NOW)
        return [(each.subject, each.reason, each.message) for each in unanswered]

    assert questions(load(RULE.format(more=""), "own.yaml")) == [
        ("kind Deployment", "NotAsked", "the run did not ask for it: why")
    ]
    assert questions(load(RULE.format(more=", kinds: [Job]"), "own.yaml")) == []
    assert questions(resolve("triage")) == []
