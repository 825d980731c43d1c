"""Whatever happened to a lab, `down` leaves the machine as it was, and other labs alone."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import daemons, namespaces, network
from lab.cluster import status
from lab.handle import Lab
from lab.layout import Layout, layout
from lab.linux import Process
from tests.lab import machine
from tests.lab import podmedic as pm

_UP_SECONDS = 180


@pytest.fixture
def spare() -> Iterator[Layout]:
    """A lab of the test's own, not up yet; gone at the end in any case."""
    chosen = _chosen()
    yield chosen
    _command(chosen, "down")


@pytest.fixture
def covered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """The same in a folder that the lab covers: in its mount namespace it has a /run and a /var/lib
    of its own, its state is elsewhere."""
    monkeypatch.setenv("PODMEDIC_LAB_STATE", f"{request.param}/lab-{secrets.token_hex(3)}")
    chosen = _chosen()
    yield chosen
    subprocess.run([sys.executable, "-m", "lab", "down", "--all"], check=True, timeout=120)


def _chosen() -> Layout:
    return layout(f"t{secrets.token_hex(3)}")


def _command(chosen: Layout, *arguments: str) -> None:
    command = [sys.executable, "-m", "lab", "--name", chosen.name, *arguments]
    subprocess.run(command, check=True, timeout=_UP_SECONDS)


def _with_a_pod(chosen: Layout) -> set[Process]:
    """Runs a pod in the lab and returns all its processes then."""
    lab = Lab.named(chosen.name)
    with lab.namespace() as namespace:
        app = {"name": "app", "image": "busybox:1.36", "command": ["sleep", "3600"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeper"}}
        lab.put(pod | {"spec": {"containers": [app]}}, namespace=namespace)
        pm.wait_pod(lab, namespace, "sleeper")
        return machine.processes(chosen, lab.netns)


def _link(chosen: Layout) -> str:
    net = network.of(chosen)
    return net.link if net else "none"


def _daemons(chosen: Layout) -> dict[str, Process | None]:
    return {name: daemons.running(chosen, name) for name in daemons.started(chosen)}


def _kill(process: Process | None) -> None:
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("covered", ["/run"], indirect=True)
def test_whatever_was_killed_up_repairs_it_and_down_leaves_the_machine_as_it_was(
    lab: Lab, namespace: str, covered: Layout
) -> None:
    """Beside another lab, which goes on. One lab is all of this done to, since a start is dear."""
    before, beside = machine.snapshot(), _daemons(lab.layout)
    _command(covered, "up")
    other = Lab.named(covered.name)
    namespaces_of_other = other.client().get("/api/v1/namespaces")["items"]
    first, link = _with_a_pod(covered), _link(covered)
    # Not even while it is up is anything of it to be seen, but for its one link.
    assert machine.snapshot() == before
    assert len(first) > len(daemons.PROGRAMS)
    assert other.api != lab.api
    assert namespace not in [each["metadata"]["name"] for each in namespaces_of_other]

    _kill(namespaces.init_of(covered))
    assert [one for one in first if one.alive()] == []
    _command(covered, "up")
    assert status(covered).up

    started = _daemons(covered)
    for name in ("kubelet", "etcd"):
        _kill(started[name])
    assert not status(covered).up
    _command(covered, "up")
    repaired = _daemons(covered)
    assert {name for name in repaired if repaired[name] != started[name]} == {"kubelet", "etcd"}
    assert status(covered).up

    processes = first | _with_a_pod(covered)
    for name in ("kubelet", "containerd", "kube-apiserver"):
        _kill(daemons.running(covered, name))
    subprocess.run([sys.executable, "-m", "lab", "down", "--all"], check=True, timeout=120)

    assert machine.traces(covered, processes, link) == []
    assert not covered.state.parent.exists()
    assert machine.snapshot() == before
    assert _daemons(lab.layout) == beside
    assert status(lab.layout).up


def _has(name: str) -> Callable[[Layout], bool]:
    return lambda chosen: (chosen.state / name).exists()


@pytest.mark.parametrize(
    "moment",
    [
        _has(".podmedic-lab"),
        _has("init.json"),
        _has("network.json"),
        _has("pki/ca.crt"),
        _has("pid/etcd.json"),
        _has("pid/kubelet.json"),
    ],
    ids=["marked", "namespaces", "network", "keys", "etcd", "kubelet"],
)
def test_down_after_an_up_that_was_killed(spare: Layout, moment: Callable[[Layout], bool]) -> None:
    _killed_and_down(spare, moment)


@pytest.mark.parametrize("covered", ["/var/lib"], indirect=True)
def test_down_after_an_up_that_was_killed_when_pods_ran(covered: Layout) -> None:
    _killed_and_down(covered, lambda chosen: any(chosen.pod_logs.glob("*/*/*.log")))
    assert not covered.state.parent.exists()


def _killed_and_down(spare: Layout, moment: Callable[[Layout], bool]) -> None:
    command = [sys.executable, "-m", "lab", "--name", spare.name, "up"]
    before = machine.snapshot()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as up:
        deadline = time.monotonic() + _UP_SECONDS
        while not moment(spare) and up.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        up.kill()
    init = namespaces.init_of(spare)
    processes = machine.processes(spare, namespaces.network_namespace(init)) if init else set()
    link, during = _link(spare), machine.snapshot()

    _command(spare, "down")

    # Not even before is anything of it to be seen, but for its one link.
    assert during == before
    assert up.returncode == -signal.SIGKILL
    assert machine.traces(spare, processes, link) == []
    assert machine.snapshot() == before


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Below it there would be room for unix sockets; pytest's own folders are too deep."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_down_leaves_a_folder_alone_that_is_no_labs(short_folder: Path) -> None:
    (short_folder / "lab").mkdir()
    (short_folder / "lab" / "thesis.tex").write_text("precious")
    environment = os.environ | {"PODMEDIC_LAB_STATE": str(short_folder)}

    def down(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lab", "down", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    every, named = down("--all"), down()

    assert (every.returncode, every.stderr) == (0, "")
    assert named.returncode == 1
    assert named.stderr.startswith(f"lab: {short_folder}/lab: not a lab's folder, left as it is")
    assert (short_folder / "lab" / "thesis.tex").read_text() == "precious"


def test_down_of_nothing_is_fine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "--name", "never-was", "down"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
