"""Two hundred replicas of one workload on ten simulated nodes: no budget is exceeded at any event
of a watch that is not podmedic's own, and each of them is what bounds the sweep once."""

import asyncio
import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.objects import objects, remove_pods
from bench.recording import record
from bench.simulation import NODES, simulation
from bench.sweeps import TRIVIAL, playbook, program_step
from lab.handle import Lab
from lab.kwok import TOLERATION
from tests.lab import podmedic as pm
from tests.lab.onlooker import Onlooker, Seen

pytestmark = pytest.mark.kwok

PODS = 200


def _replicas(message: str) -> dict[str, Any]:
    """The Deployment `web`, evenly on the simulated nodes."""
    labels = {"app": "web"}
    names = [f"bench-{number}" for number in range(NODES)]
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": names}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": labels},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"lab.podmedic.io/message": message},
                },
                "spec": {
                    "affinity": {
                        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}
                    },
                    "tolerations": [TOLERATION],
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "DoNotSchedule",
                            "labelSelector": {"matchLabels": labels},
                        }
                    ],
                    "containers": [{"name": "app", "image": "app"}],
                },
            },
        },
    }


def _disruption_budget(min_available: int) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": min_available, "selector": selector},
    }


@pytest.fixture(scope="module")
def replicas(lab: Lab) -> Iterator[str]:
    """The namespace of the two hundred."""
    command = [sys.executable, "-m", "lab", "--name", lab.layout.name, "up", "--kwok", "1"]
    subprocess.run(command, check=True, timeout=600)
    with simulation(lab, record([program_step(TRIVIAL)])) as simulated, lab.namespace() as name:
        try:
            pm.apply(lab, name, _replicas(simulated.message))
            lab.kubectl("rollout", "status", "deployment/web", "-n", name, "--timeout=120s")
            yield name
        finally:
            lab.kubectl("delete", "deployment", "web", "-n", name, "--cascade=foreground")
            # Without its nodes a pod would stay, and the namespace with it.
            remove_pods(lab, name)


@dataclasses.dataclass
class Bounds:
    """What must hold at every event; the most that was seen is kept by name."""

    in_flight: int = 32
    per_node: int = 10
    per_namespace: int = PODS
    per_workload: int = PODS // 4
    available: int = 0
    most: Counter[str] = dataclasses.field(default_factory=Counter)

    def look(self, pods: dict[str, Seen]) -> Iterator[str]:
        flying = [pod for pod in pods.values() if pod.open]
        nodes = Counter(pod.node for pod in flying)
        found = {
            "in flight": (len(flying), self.in_flight),
            "per node": (max(nodes.values(), default=0), self.per_node),
            "per namespace": (len(flying), self.per_namespace),
            "per workload": (sum(pod.ready for pod in flying), self.per_workload),
            "containers in a pod": (max((len(pod.open) for pod in flying), default=0), 1),
        }
        for what, (count, limit) in found.items():
            self.most[what] = max(self.most[what], count)
            if count > limit:
                yield f"{what}: {count}, at most {limit}"
        untouched = sum(pod.ready and not pod.open for pod in pods.values())
        if untouched < self.available:
            yield f"{untouched} Ready pods left alone, {self.available} wanted"


def _settled(pods: dict[str, Seen], before: dict[str, int]) -> bool:
    return all(not pod.open and len(pod.all) == before[name] + 1 for name, pod in pods.items())


def _sweep(lab: Lab, namespace: str, bounds: Bounds, options: list[str], folder: Path) -> None:
    """Every pod is examined once, well, and none of the bounds was exceeded."""
    path = playbook(folder, TRIVIAL)
    onlooker = Onlooker(lab, namespace, bounds.look)
    try:
        before = {name: len(pod.all) for name, pod in onlooker.pods.items()}
        run = pm.run(lab, namespace, path, *options, directory=folder / "out")
        assert run.code == 0, run.stderr
        settled = onlooker.wait(lambda pods: _settled(pods, before))
    finally:
        onlooker.stop()
    outcomes = Counter((pod["outcome"], pod["reason"]) for pod in run.report["pods"])
    assert outcomes == {("passed", ""): PODS}
    assert (settled, onlooker.breaches) == (True, [])
    # Each injection is an event and each end is one.
    assert onlooker.events >= 2 * PODS


async def _set_ready(lab: Lab, namespace: str, names: Iterable[str], status: str) -> None:
    condition = {"type": "Ready", "status": status, "reason": "Simulated"}
    body = {"status": {"conditions": [condition]}}
    async with objects(lab) as api:

        async def patch(name: str) -> None:
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
            await api.send("PATCH", path, body, "application/strategic-merge-patch+json")

        await api.for_each(names, patch)


LIFTED = ["--max-in-flight=0", "--max-per-node=0"]


@pytest.mark.parametrize(
    ("options", "bounds", "binding"),
    [
        ([], Bounds(), ("in flight", 32)),
        (["--max-per-node=2"], Bounds(per_node=2), ("per node", 2)),
        (
            [*LIFTED, "--max-per-namespace=27"],
            Bounds(in_flight=27, per_node=20, per_namespace=27),
            ("per namespace", 27),
        ),
        (LIFTED, Bounds(in_flight=PODS, per_node=20), ("per workload", PODS // 4)),
    ],
    ids=["in flight", "per node", "per namespace", "a quarter of the workload"],
)
def test_a_budget_holds_at_every_event(
    lab: Lab,
    replicas: str,
    tmp_path: Path,
    options: list[str],
    bounds: Bounds,
    binding: tuple[str, int],
) -> None:
    """It is reached, too: nothing else held the sweep back."""
    bounds = dataclasses.replace(bounds, most=Counter())
    _sweep(lab, replicas, bounds, options, tmp_path)
    what, count = binding
    assert bounds.most[what] == count


def test_no_fewer_are_left_alone_than_the_disruption_budget_wants(
    lab: Lab, replicas: str, tmp_path: Path
) -> None:
    pm.apply(lab, replicas, _disruption_budget(PODS - 21))
    try:
        lab.kubectl(
            "wait", "pdb/web", "-n", replicas, "--for=jsonpath={.status.disruptionsAllowed}=21",
            "--timeout=180s",
        )  # fmt: skip
        bounds = Bounds(in_flight=PODS, per_node=20, per_workload=21, available=PODS - 21)
        _sweep(lab, replicas, bounds, LIFTED, tmp_path)
    finally:
        lab.kubectl("delete", "pdb", "web", "-n", replicas)
    assert bounds.most["per workload"] == 21


@dataclasses.dataclass
class _Pools(Bounds):
    """Until one of a pool has ended, no second one of it is under way."""

    before: dict[str, int] = dataclasses.field(default_factory=dict)
    pool_of: dict[str, str] = dataclasses.field(default_factory=dict)
    canaries: int = 0

    def look(self, pods: dict[str, Seen]) -> Iterator[str]:
        yield from super().look(pods)
        self.before = self.before or {
            name: len(pod.all) - len(pod.open) for name, pod in pods.items()
        }
        flying: Counter[str] = Counter()
        proven: set[str] = set()
        for name, pod in pods.items():
            pool = self.pool_of[pod.node]
            flying[pool] += bool(pod.open)
            if len(pod.all) - len(pod.open) > self.before[name]:
                proven.add(pool)
        unproven = {pool: count for pool, count in flying.items() if pool not in proven}
        self.canaries = max(self.canaries, sum(unproven.values()))
        yield from (f"{count} in pool {pool}" for pool, count in unproven.items() if count > 1)


def test_each_node_pool_has_a_canary_of_its_own(lab: Lab, replicas: str, tmp_path: Path) -> None:
    """Both go at once, and neither opens the way for the other's pool."""
    pools = {f"bench-{n}": ("large", "small")[n % 2] for n in range(NODES)}
    label = "node.kubernetes.io/instance-type"
    for name, pool in pools.items():
        lab.kubectl("label", "node", name, f"{label}={pool}")
    try:
        bounds = _Pools(pool_of=pools)
        _sweep(lab, replicas, bounds, [], tmp_path)
    finally:
        lab.kubectl("label", "node", *pools, f"{label}-")
    assert bounds.canaries == 2


async def _pressure(lab: Lab, node: str, status: str) -> None:
    condition = {"type": "DiskPressure", "status": status, "reason": "Simulated"}
    body = {"status": {"conditions": [condition]}}
    async with objects(lab) as api:
        path = f"/api/v1/nodes/{node}/status"
        await api.send("PATCH", path, body, "application/strategic-merge-patch+json")


def test_pressure_that_comes_over_a_node_is_in_the_proof_of_its_pods(
    lab: Lab, replicas: str, tmp_path: Path
) -> None:
    onlooker = Onlooker(lab, replicas, lambda _: ())
    try:
        path = playbook(tmp_path, TRIVIAL)
        running = pm.start_run(lab, replicas, path, directory=tmp_path / "out")
        assert onlooker.wait(lambda pods: any(pod.open for pod in pods.values()))
        asyncio.run(_pressure(lab, "bench-3", "True"))
        _, errors = running.communicate(timeout=pm.RUN_SECONDS)
    finally:
        onlooker.stop()
        asyncio.run(_pressure(lab, "bench-3", "False"))
    report = pm.Outcome(running.returncode, "", errors, tmp_path / "out").report
    change = {
        "what": "condition DiskPressure of node bench-3",
        "before": "False",
        "after": "True",
        "expected": False,
        "firstLife": False,
    }
    told = {
        (pod["outcome"], pod["reason"], pod["harm"]["verdict"])
        for pod in report["pods"]
        if pod["harm"]["changes"] == [change]
    }
    assert told == {("warned", "NodePressure", "changed")}
    others = [pod for pod in report["pods"] if pod["node"] != "bench-3"]
    assert {pod["harm"]["verdict"] for pod in others} == {"unchanged"}
    assert len(others) < PODS == len(report["pods"])


@dataclasses.dataclass
class _Falling(Bounds):
    """Pods in `fell` cease to be Ready; a quarter is one of those that are left then."""

    fell: set[str] = dataclasses.field(default_factory=set)
    caught_up: bool = False
    after: int = 0

    def look(self, pods: dict[str, Seen]) -> Iterator[str]:
        yield from super().look(pods)
        if not self.fell or any(pods[name].ready for name in self.fell):
            return
        flying = sum(pod.ready for pod in pods.values() if pod.open)
        allowed = sum(pod.ready for pod in pods.values()) // 4
        # What was under way cannot be taken back; from then on it counts.
        self.caught_up = self.caught_up or flying <= allowed
        if self.caught_up:
            self.after = max(self.after, flying)
            if flying > allowed:
                yield f"{flying} of them, {allowed} are a quarter of those still Ready"


def test_replicas_that_cease_to_be_ready_leave_less_to_look_at(
    lab: Lab, replicas: str, tmp_path: Path
) -> None:
    """A quarter of them goes while the sweep is on: a quarter is a quarter of the rest from then on."""
    bounds = _Falling(in_flight=PODS, per_node=20)
    onlooker = Onlooker(lab, replicas, bounds.look)
    try:
        before = {name: len(pod.all) for name, pod in onlooker.pods.items()}

        def done(pods: dict[str, Seen]) -> list[str]:
            return [n for n, pod in pods.items() if len(pod.all) > before[n] and not pod.open]

        path = playbook(tmp_path, TRIVIAL)
        running = pm.start_run(lab, replicas, path, *LIFTED, directory=tmp_path / "out")
        assert onlooker.wait(lambda pods: len(done(pods)) >= PODS // 4)
        fell = done(onlooker.pods)
        # The runner is done with them a moment later than we: it reads their word first.
        assert onlooker.wait(lambda pods: len(done(pods)) >= len(fell) + 20)
        asyncio.run(_set_ready(lab, replicas, fell, "False"))
        bounds.fell |= set(fell)
        _, errors = running.communicate(timeout=pm.RUN_SECONDS)
        assert running.returncode == 0, errors
        assert onlooker.wait(lambda pods: _settled(pods, before))
    finally:
        onlooker.stop()
        asyncio.run(_set_ready(lab, replicas, before, "True"))
    assert onlooker.breaches == []
    assert 0 < bounds.after <= (PODS - len(fell)) // 4
