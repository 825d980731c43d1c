"""`--lease`: two sweeps of the same pods are kept apart, and a dead one's Lease is not for ever."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.handle import Lab
from runner.debt import at_work
from runner.kube import connect
from runner.playbook import load
from runner.sweep import Busy, Lease, Selection, claim_of
from runner.sweep.lease import Claim, Timing
from tests.lab import podmedic as pm
from tests.lab.test_interruptions import SLEEP, TOGETHER, wait_injected
from tests.lab.test_rbac import kubeconfig_of
from tests.lab.test_resume import probe, resume
from tests.lab.waiting import until

# A clock that is far off: it must not matter.
SKEWED = datetime(2001, 1, 1, tzinfo=UTC)
QUICK = Timing(
    duration_seconds=3, deadline_seconds=2, renew_seconds=0.5, retry_seconds=0.2,
    patience_seconds=20,
)  # fmt: skip
# One that no busy machine loses for want of time.
PATIENT = Timing(renew_seconds=0.5, retry_seconds=0.2)


@pytest.fixture
def shop(lab: Lab, namespace: str) -> str:
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    return namespace


def lease_of(lab: Lab, namespace: str) -> dict[str, Any]:
    (lease,) = json.loads(lab.kubectl("get", "leases", "-n", namespace, "-o", "json"))["items"]
    found: dict[str, Any] = lease
    return found


def start(lab: Lab, shop: str, tmp_path: Path, seconds: int) -> subprocess.Popen[str]:
    """A sweep that is under way, in `first`."""
    out = tmp_path / "first"
    process = pm.start_run(
        lab, shop, probe(tmp_path, seconds), "--lease", "--max-in-flight=1", directory=out
    )
    wait_injected(lab, shop, process, out, 1)
    return process


def test_the_second_sweep_does_nothing_and_says_so(lab: Lab, shop: str, tmp_path: Path) -> None:
    """The first one is not disturbed, and leaves a Lease that nobody holds; after it, the next."""
    first = start(lab, shop, tmp_path, 12)
    spec = lease_of(lab, shop)["spec"]
    second = pm.run(lab, shop, tmp_path / "probe.yaml", "--lease", directory=tmp_path / "second")

    lease = lease_of(lab, shop)
    assert (second.code, second.stdout) == (0, "")
    assert second.stderr == (
        f"podmedic: another sweep of probe in namespace {shop} is under way: lease "
        f"{shop}/{lease['metadata']['name']} is held by {spec['holderIdentity']} since "
        f"{spec['acquireTime']}; nothing was done\n"
    )
    assert not (tmp_path / "second").exists()
    # Another selection is another sweep.
    other = pm.run(
        lab, shop, tmp_path / "probe.yaml", "--lease", "-l", "app=none", "--allow-empty",
        directory=tmp_path / "other",
    )  # fmt: skip
    assert other.code == 0, other.stderr
    assert "under way" not in other.stderr
    first.communicate(timeout=90)
    assert first.returncode == 0
    leases = json.loads(lab.kubectl("get", "leases", "-n", shop, "-o", "json"))["items"]
    assert [one["spec"].get("holderIdentity", "") for one in leases] == ["", ""]


def test_sweeps_that_overlap_take_turns_in_a_pod(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Unlike playbooks and selections: both do all of their work, the second one after the first
    where that is."""
    with lab.namespace() as elsewhere:
        for where in (namespace, elsewhere):
            pm.apply(lab, where, pm.deployment("web", SLEEP))
        pm.wait_ready(lab, namespace, "web")
        pm.wait_ready(lab, elsewhere, "web")
        first = start(lab, namespace, tmp_path, 8)
        (tmp_path / "more").mkdir()
        other = pm.playbook(tmp_path / "more", [{"name": "quick", "script": "echo done"}])
        other.write_text(other.read_text().replace('"name": "probe"', '"name": "other"'))
        until(
            lambda: any(at_work(pod, datetime.now(UTC)) for pod in pm.pods(lab, namespace)),
            "the first sweep's container does not run", every_seconds=0.1,
        )  # fmt: skip
        second = pm.run(
            lab, namespace, other, "-n", elsewhere, "--lease", directory=tmp_path / "second"
        )
        first.communicate(timeout=60)

    before = json.loads((tmp_path / "first/report.json").read_bytes())
    assert (first.returncode, second.code) == (0, 0), second.stderr
    ((long,),) = [pod["injections"] for pod in before["pods"]]
    runs = {pod["namespace"]: pod["injections"][0] for pod in second.report["pods"]}
    assert set(runs) == {namespace, elsewhere}
    # Where the first one is, not before it ended; a kubelet tells whole seconds of that.
    injected, ended = (
        datetime.fromisoformat(each) for each in (runs[namespace]["injectedAt"], long["finishedAt"])
    )
    assert injected >= ended


def test_sweeps_that_begin_together_never_meet_in_a_pod(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Two processes, ten pods, all at once: each does all of its work, and in no pod does a
    container of one begin before the other's has ended."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=10))
    pm.wait_ready(lab, namespace, "web")
    path = probe(tmp_path, 3)
    outs = [tmp_path / "one", tmp_path / "two"]
    sweeps = [pm.start_run(lab, namespace, path, *TOGETHER, directory=out) for out in outs]
    for sweep in sweeps:
        _, stderr = sweep.communicate(timeout=150)
        assert sweep.returncode == 0, stderr

    reports = [json.loads((out / "report.json").read_bytes()) for out in outs]
    assert [{pod["outcome"] for pod in report["pods"]} for report in reports] == [{"passed"}] * 2
    sent = [{pod["name"]: pod["injections"] for pod in report["pods"]} for report in reports]
    assert [len(pods) for pods in sent] == [10, 10]
    for pod in pm.pods(lab, namespace):
        names = {one["container"] for pods in sent for one in pods[pod.metadata.name]}
        ended = [
            status.state.terminated for status in pod.status.ephemeral_container_statuses
            if status.name in names and status.state.terminated is not None
        ]  # fmt: skip
        first, second = sorted(ended, key=lambda each: str(each.started_at))
        assert first.finished_at is not None
        assert second.started_at is not None
        assert first.finished_at <= second.started_at, pod.metadata.name


def test_a_killed_one_is_taken_over(lab: Lab, shop: str, tmp_path: Path) -> None:
    """After its 30 s, not before; the same run takes its own back at once."""
    first = start(lab, shop, tmp_path, 3)
    pm.kill(first, signal.SIGKILL)
    holder = lease_of(lab, shop)["spec"]["holderIdentity"]

    began = time.monotonic()
    back = resume(lab, tmp_path / "first")
    assert back.code == 0, back.stderr
    assert "took" not in back.stderr
    assert time.monotonic() - began < 25

    lease = lease_of(lab, shop)
    lease["spec"] |= {"holderIdentity": holder + "x", "leaseDurationSeconds": 30}
    lab.kubectl("replace", "-f", "-", input=json.dumps(lease))
    began = time.monotonic()
    second = pm.run(lab, shop, tmp_path / "probe.yaml", "--lease", directory=tmp_path / "second")
    assert second.code == 0, second.stderr
    assert time.monotonic() - began >= 30
    assert (
        f"podmedic: lease {shop}/{lease['metadata']['name']} was taken over from {holder}x, which "
        "showed no sign of life\n"
    ) in second.stderr


def test_a_lost_lease_stops_the_sweep(lab: Lab, shop: str, tmp_path: Path) -> None:
    """Somebody else holds it: a partial report, exit code 3, nothing injected any more; `resume`
    finishes the run once it is free."""
    first = start(lab, shop, tmp_path, 30)
    lease = lease_of(lab, shop)
    del lease["metadata"]["resourceVersion"]
    lease["spec"]["holderIdentity"] = "somebody"
    lab.kubectl("replace", "-f", "-", input=json.dumps(lease))
    _, stderr = first.communicate(timeout=30)

    assert first.returncode == 3, stderr
    report = json.loads((tmp_path / "first/report.json").read_bytes())
    why = f"lease {shop}/{lease['metadata']['name']} was lost: it is held by somebody"
    assert report["run"]["aborted"] == why
    assert sorted((p["outcome"], p["reason"]) for p in report["pods"]) == [
        ("skipped", "LeaseLost"), ("unknown", "LeaseLost"),
    ]  # fmt: skip
    # What is another's is not released.
    assert lease_of(lab, shop)["spec"]["holderIdentity"] == "somebody"

    lab.kubectl("delete", "lease", lease["metadata"]["name"], "-n", shop)
    done = resume(lab, tmp_path / "first")
    assert done.code == 0, done.stderr
    assert [p["outcome"] for p in done.report["pods"]] == ["passed", "passed"]
    assert {len(found) for found in pm.ephemeral_containers(lab, shop).values()} == {1}


def test_the_role_and_what_is_said_without_it(lab: Lab, shop: str, tmp_path: Path) -> None:
    """`podmedic rbac --lease` is enough; without --lease there is no run with it."""
    path, out = probe(tmp_path, 1), tmp_path / "out"
    words = ("rbac", path, "--namespaced", "-n", shop)
    lab.kubectl("apply", "-f", "-", input=pm.podmedic(lab, *words, directory=out).stdout)
    kubeconfig = kubeconfig_of(lab, shop, "podmedic", tmp_path / "kubeconfig")
    before = pm.generations(lab, shop)
    refused = pm.run(lab, shop, path, "--lease", "--kubeconfig", kubeconfig, directory=out)
    assert refused.code == 3
    assert refused.stderr == (
        "podmedic: missing permission for --lease: create, get, update leases.coordination.k8s.io "
        f"in namespace {shop}; nothing was changed. `podmedic rbac --lease` prints the Role to "
        "apply.\n"
    )
    assert pm.generations(lab, shop) == before

    granted = pm.podmedic(lab, *words, "--lease", directory=out).stdout
    lab.kubectl("apply", "-f", "-", input=granted)
    run = pm.run(lab, shop, path, "--lease", "--kubeconfig", kubeconfig, directory=out)
    assert run.code == 0, run.stderr


PLAYBOOK = load(
    """\
apiVersion: podmedic.io/v1alpha1
kind: Playbook
metadata: {name: p}
spec:
  steps: [{name: s, run: ["true"]}]
""",
    "p.yaml",
)


def claim(namespace: str, host: str) -> Claim:
    return claim_of([PLAYBOOK], Selection(namespaces=(namespace,)), host=host, run_id=f"r-{host}")


async def wait(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return False


async def test_clocks_that_are_years_apart(lab: Lab, namespace: str) -> None:
    """A holder whose clock stands in 2001 keeps it as long as it renews, and loses it when it
    does not; the one who loses it hears so, and does not release what is another's."""
    async with await connect(kubeconfig=str(lab.kubeconfig)) as kube:
        clock = asyncio.get_running_loop().time
        began = clock()

        def skewed() -> datetime:
            return SKEWED + timedelta(seconds=clock() - began)

        def lease(host: str, now: Callable[[], datetime] = skewed) -> Lease:
            return Lease(
                kube.objects, claim(namespace, host), clock=clock, wait=wait, timing=QUICK,
                now=now,
            )  # fmt: skip

        lost: asyncio.Queue[str] = asyncio.Queue()
        old, new = lease("old"), lease("new", lambda: datetime.now(UTC))
        assert await old.acquire() is None
        old.keep(lost.put_nowait)
        name = claim(namespace, "old").name
        busy = await new.acquire()
        assert busy is not None
        assert busy.since.startswith("2001-01-01T00:00:0")
        assert busy == Busy(holder="old_r-old", since=busy.since, namespace=namespace, name=name)
        assert lost.empty()

        # It is frozen: no more renewals.
        assert old._keeping is not None
        old._keeping.cancel()
        frozen_at = clock()
        assert await new.acquire() is None
        assert clock() - frozen_at >= QUICK.duration_seconds
        assert new.taken_from == "old_r-old"
        # It wakes up.
        old.keep(lost.put_nowait)
        async with asyncio.timeout(10):
            said = await lost.get()
        # It need not ask: others were free to take it by then.
        assert said == (
            f"lease {namespace}/{name} was lost: it was not renewed for 2 s: "
            "this process was held up"
        )
        await old.release()
        assert lab_holder(lab, namespace) == "new_r-new"
        await new.release()
        assert lab_holder(lab, namespace) == ""


def wait_renewed(lab: Lab, namespace: str) -> None:
    """Once from now on."""

    def renewals() -> set[str]:
        found = lab.client().get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
        return {lease["spec"]["renewTime"] for lease in found["items"]}

    before = renewals()
    until(lambda: renewals() - before, "nobody renews it")


def lab_holder(lab: Lab, namespace: str) -> str:
    return str(lease_of(lab, namespace)["spec"].get("holderIdentity", ""))


async def test_of_many_at_once_one_wins(lab: Lab, namespace: str) -> None:
    """Free, and held by a dead one: the API server lets exactly one have it."""
    async with await connect(kubeconfig=str(lab.kubeconfig)) as kube:
        clock = asyncio.get_running_loop().time

        async def attempt(host: str) -> bool:
            lease = Lease(
                kube.objects, claim(namespace, host), clock=clock, wait=wait, timing=QUICK,
                now=lambda: datetime.now(UTC),
            )  # fmt: skip
            taken = await lease.acquire() is None
            if taken:
                lease.keep(lambda _: None)
                kept.append(lease)
            return taken

        for round_ in range(3):
            kept: list[Lease] = []
            won = await asyncio.gather(*(attempt(f"h{round_}-{i}") for i in range(8)))
            assert sorted(won) == [False] * 7 + [True]
            # It dies.
            assert kept[0]._keeping is not None
            kept[0]._keeping.cancel()


async def test_labels_and_deletion_do_not_end_it(lab: Lab, namespace: str) -> None:
    """Nobody else holds it: it is made again with the next renewal."""
    async with await connect(kubeconfig=str(lab.kubeconfig)) as kube:
        clock = asyncio.get_running_loop().time
        mine = claim(namespace, "a")
        lease = Lease(
            kube.objects, mine, clock=clock, wait=wait, timing=PATIENT,
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        assert await lease.acquire() is None
        lost: asyncio.Queue[str] = asyncio.Queue()
        lease.keep(lost.put_nowait)
        for change in (("label", "lease", mine.name, "seen=yes"), ("delete", "lease", mine.name)):
            # In threads: a loop that stands still renews nothing.
            await asyncio.to_thread(lab.kubectl, *change, "-n", namespace)
            await asyncio.to_thread(wait_renewed, lab, namespace)
        assert lost.empty()
        assert lab_holder(lab, namespace) == "a_r-a"
        await lease.release()
        assert lab_holder(lab, namespace) == ""
