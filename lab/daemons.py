"""The daemons of a lab: their command lines, starting each once, and who of them lives."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import namespaces
from lab.layout import LabError, Layout, Network, load, save
from lab.linux import Process
from lab.network import SERVICES
from lab.settings import NODE

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
"""Those built from Go modules that every lab runs."""

# A thousand simulated pods would otherwise be a minute in the making.
_FAST_CLIENT = ("--kube-api-qps=300", "--kube-api-burst=600")
# The daemons have small heaps and much garbage: with eight times as much of it before they collect,
# they need less CPU, and a few hundred MB more. Eight daemons that each wake every core for each
# timer keep no core busy but with waking: half of the cores is what each may use at once.
_ENVIRONMENT = {"GOGC": "800", "GOMAXPROCS": str(max(1, (os.cpu_count() or 1) // 2))}
_POLL_SECONDS = 0.1
_LOG_LINES = 8


@dataclass(frozen=True)
class Daemon:
    """A name, which is also that of its log and its record, and what it runs."""

    name: str
    command: tuple[str, ...]


def commands(layout: Layout, network: Network, programs: Mapping[str, Path]) -> dict[str, Daemon]:
    """Every daemon of a lab without simulated nodes, by name."""
    state = layout.state
    node = network.node_address

    def daemon(name: str, *arguments: str) -> Daemon:
        path = str(programs[name]) if name in programs else system_program(name)
        return Daemon(name, (path, *arguments))

    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    found = (
        daemon(
            "etcd",
            f"--data-dir={state / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            f"--quota-backend-bytes={4 << 30}",
        ),
        daemon("kube-apiserver", *_apiserver(layout, network), f"--etcd-servers={client}"),
        daemon("docker-registry", "serve", str(state / "registry.yaml")),
        daemon("containerd", f"--config={state / 'containerd.toml'}"),
        daemon(
            "kube-controller-manager",
            f"--kubeconfig={state / 'controller-manager.kubeconfig'}",
            "--leader-elect=false",
            *_FAST_CLIENT,
            "--use-service-account-credentials",
            f"--service-account-private-key-file={layout.pki / 'sa.key'}",
            f"--flex-volume-plugin-dir={state / 'kubelet/volume-plugins'}",
            f"--root-ca-file={layout.pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={layout.pki / 'ca.crt'}",
            f"--cluster-signing-key-file={layout.pki / 'ca.key'}",
        ),
        daemon(
            "kube-scheduler",
            f"--kubeconfig={state / 'scheduler.kubeconfig'}",
            "--leader-elect=false",
            *_FAST_CLIENT,
        ),
        daemon(
            "kubelet",
            f"--config={state / 'kubelet.yaml'}",
            f"--kubeconfig={state / 'node.kubeconfig'}",
            f"--root-dir={state / 'kubelet'}",
            f"--hostname-override={NODE}",
            f"--node-ip={node}",
        ),
        daemon("kube-proxy", f"--config={state / 'proxy.yaml'}"),
    )
    return {one.name: one for one in found}


def _apiserver(layout: Layout, network: Network) -> Sequence[str]:
    pki = layout.pki
    return (
        "--bind-address=0.0.0.0",
        f"--advertise-address={network.node_address}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICES}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--kubelet-client-certificate={pki / 'apiserver-to-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-to-kubelet.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={layout.state / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.audit_log}",
        # On the disk before the client has its answer, and never rotated away from under a test.
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=100000",
    )


def system_program(name: str) -> str:
    """Where a program of a Debian package is; raises `LabError`."""
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        raise LabError(f"{name}: not installed")
    return path


def start(layout: Layout, init: Process, daemon: Daemon) -> None:
    """Starts a daemon unless it runs already; raises `LabError`."""
    if running(layout, daemon.name):
        return
    process = namespaces.spawn(init, daemon.command, _log(layout, daemon.name), _ENVIRONMENT)
    save(_record(layout, daemon.name), process.record())


def stop(layout: Layout, name: str) -> None:
    """Kills a daemon, and forgets it; one that does not run is fine."""
    process = running(layout, name)
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    _record(layout, name).unlink(missing_ok=True)


def running(layout: Layout, name: str) -> Process | None:
    """The daemon's process, None when it was never started or is gone."""
    process = Process.restore(load(_record(layout, name)))
    return process if process and process.alive() else None


def started(layout: Layout) -> list[str]:
    """Names of all daemons that were started, alive or not."""
    return sorted(path.stem for path in (layout.state / "pid").glob("*.json"))


def wait_until(
    layout: Layout, what: str, done: Callable[[], bool], timeout_seconds: float, *needed: str
) -> None:
    """Polls until `done()`; raises `LabError` after the time-out or once a needed daemon died."""
    deadline = time.monotonic() + timeout_seconds
    while not done():
        for name in needed:
            if running(layout, name) is None:
                raise LabError(f"{name} ended while waiting for {what}:\n{_tail(layout, name)}")
        if time.monotonic() > deadline:
            tails = "\n".join(f"{name}: {_tail(layout, name)}" for name in needed)
            raise LabError(f"waited {timeout_seconds:.0f} s in vain for {what}\n{tails}")
        time.sleep(_POLL_SECONDS)


def _record(layout: Layout, name: str) -> Path:
    folder = layout.state / "pid"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.json"


def _log(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.log"


def _tail(layout: Layout, name: str) -> str:
    try:
        lines = _log(layout, name).read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    return "\n".join(f"  {line[:300]}" for line in lines[-_LOG_LINES:])
