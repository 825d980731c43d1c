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

_UP_SECONDS = 180


@pytest.fixture
def spare() -> Iterator[Layout]:
    """A lab of the test's own, not up yet; gone at the end in any case."""
    chosen = layout(f"t{secrets.token_hex(3)}")
    yield chosen
    _command(chosen, "down")


def _command(chosen: Layout, *arguments: str) -> None:
    command = [sys.executable, "-m", "lab", "--name", chosen.name, *arguments]
    subprocess.run(command, check=True, timeout=_UP_SECONDS)


def _with_a_pod(chosen: Layout) -> set[Process]:
    """Runs a pod in the lab and returns all its processes then."""
    lab = Lab.named(chosen.name)
    with lab.namespace() as namespace:
        pod = ("run", "-n", namespace, "sleeper", "--image=busybox:1.36", "--restart=Never")
        lab.kubectl(*pod, "--", "sleep", "3600")
        ready = ("--for=condition=Ready", "pod/sleeper", "--timeout=180s")
        lab.kubectl("wait", "-n", namespace, *ready)
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


@pytest.mark.parametrize("folder", ["/run", "/var/lib"])
def test_the_machine_is_as_it_was_before(
    lab: Lab, namespace: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside another lab, which goes on; from folders that the lab covers: in its mount namespace
    it has a /run and a /var/lib of its own, its state is elsewhere."""
    root = Path(folder) / f"lab-{secrets.token_hex(3)}"
    monkeypatch.setenv("PODMEDIC_LAB_STATE", str(root))
    chosen = layout(f"t{secrets.token_hex(3)}")
    before = machine.snapshot()
    try:
        _command(chosen, "up")
        other = Lab.named(chosen.name)
        namespaces_of_other = other.kubectl("get", "namespaces", "-o", "name")
        processes, link = _with_a_pod(chosen), _link(chosen)
        during = machine.snapshot()
        beside = _daemons(lab.layout)
    finally:
        subprocess.run([sys.executable, "-m", "lab", "down", "--all"], check=True, timeout=120)

    assert len(processes) > len(daemons.PROGRAMS)
    assert machine.traces(chosen, processes, link) == []
    assert not root.exists()
    assert machine.snapshot() == before
    # Not even while it is up is anything of it to be seen, but for its one link.
    assert during == before
    assert other.api != lab.api
    assert namespace not in namespaces_of_other
    assert _daemons(lab.layout) == beside
    assert status(lab.layout).up


def test_up_repairs_what_was_killed_and_down_removes_the_rest(spare: Layout) -> None:
    _command(spare, "up")
    before = _daemons(spare)
    for name in ("kubelet", "etcd"):
        _kill(before[name])
    assert not status(spare).up

    _command(spare, "up")

    after = _daemons(spare)
    assert {name for name in after if after[name] != before[name]} == {"kubelet", "etcd"}
    assert status(spare).up
    processes, link = _with_a_pod(spare), _link(spare)
    for name in ("kubelet", "containerd", "kube-apiserver"):
        _kill(daemons.running(spare, name))

    _command(spare, "down")

    assert machine.traces(spare, processes, link) == []


def test_down_and_up_after_the_first_process_was_killed(spare: Layout) -> None:
    _command(spare, "up")
    processes, link = _with_a_pod(spare), _link(spare)
    _kill(namespaces.init_of(spare))
    assert [one for one in processes if one.alive()] == []

    _command(spare, "up")

    assert status(spare).up
    _command(spare, "down")
    assert machine.traces(spare, processes, link) == []


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
        lambda chosen: any(chosen.pod_logs.glob("*/*/*.log")),
    ],
    ids=["marked", "namespaces", "network", "keys", "etcd", "kubelet", "pod"],
)
def test_down_after_an_up_that_was_killed(spare: Layout, moment: Callable[[Layout], bool]) -> None:
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
    link = _link(spare)

    _command(spare, "down")

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
