"""Brings a lab up, says whether it is, and takes it down."""

import contextlib
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import (
    addons,
    binaries,
    cgroups,
    daemons,
    dns,
    images,
    kwok,
    locks,
    namespaces,
    network,
    packages,
    pki,
    settings,
)
from lab.api import Api
from lab.layout import LabError, Layout, Network, load
from lab.linux import Process
from lab.registry import Registry

_PACKAGES = (
    "containerd",
    "containernetworking-plugins",
    "docker-registry",
    "iproute2",
    "iptables",
    "openssl",
    "procps",
    "runc",
    "util-linux",
)
_KUBECONFIGS = {
    "kubeconfig": "admin",
    "controller-manager.kubeconfig": "controller-manager",
    "scheduler.kubeconfig": "scheduler",
    "node.kubeconfig": "node",
    "proxy.kubeconfig": "proxy",
}
_LOCK_SECONDS = 600.0
_API_SECONDS = 180.0
_SOCKET_SECONDS = 30.0
_READY_SECONDS = 180.0
_DNS_NAME = "kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Status:
    """What works right now."""

    daemons: dict[str, Process | None]
    node_ready: bool
    dns_answers: bool

    @property
    def up(self) -> bool:
        return (
            bool(self.daemons)
            and all(self.daemons.values())
            and self.node_ready
            and self.dns_answers
        )


def up(layout: Layout, options: settings.Options) -> None:
    """Starts what does not run yet; returns when the node is Ready and cluster DNS answers.

    Raises `LabError`.
    """
    packages.ensure(_PACKAGES)
    programs = binaries.ensure((*daemons.PROGRAMS, "kubectl", "coredns"), layout.cache)
    with _locked(layout):
        init, net = _begin(layout, options)
        api = Api(net.api, layout.pki)
        every = daemons.commands(layout, net, programs)
        for name in ("etcd", "kube-apiserver", "containerd", "docker-registry"):
            daemons.start(layout, init, every[name])
        registry = Registry(net.registry)
        _wait_for_registry(layout, net)
        images.ensure(images.BASE, registry)
        daemons.wait_until(
            layout, "the API server", api.ready, _API_SECONDS, "etcd", "kube-apiserver"
        )
        daemons.wait_until(
            layout, "containerd", layout.containerd_socket.is_socket, _SOCKET_SECONDS, "containerd"
        )
        for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
            daemons.start(layout, init, every[name])
        addons.apply(api, "dns.yaml")
        _wait_until_ready(layout, init, api)
        if options.kwok_nodes or kwok.NAME in daemons.started(layout):
            kwok.up(layout, net, init, api, options.kwok_nodes)


def _begin(layout: Layout, options: settings.Options) -> tuple[Process, Network]:
    """The lab's namespaces and files: those it has, or new ones in place of a broken lab."""
    init, net = namespaces.init_of(layout), network.of(layout)
    complete = layout.state / "complete"
    if init and net and complete.exists() and network.intact(layout):
        _check_same(layout, options)
        return init, net
    _remove(layout)
    layout.state.mkdir(parents=True, exist_ok=True)
    layout.marker.touch()
    layout.logs.mkdir()
    layout.cache.mkdir(parents=True, exist_ok=True)
    cgroups.create(layout)
    init = namespaces.start(layout)
    net = network.create(layout, init)
    pki.create(layout.pki, pki.identities(net, settings.NODE))
    for file, identity in _KUBECONFIGS.items():
        pki.kubeconfig(layout.pki, identity, net.api, layout.state / file)
    settings.write(layout, net, options)
    complete.touch()
    return init, net


def _check_same(layout: Layout, options: settings.Options) -> None:
    """Raises `LabError` where a lab that is up would have to be another one."""
    kubelet = load(layout.state / "kubelet.yaml") or {}
    has = kubelet.get("containerLogMaxSize")
    if options.log_max_size not in (None, has):
        raise LabError(
            f"lab {layout.name} is up with --log-max-size {has}; take it down first to change that"
        )


def _wait_for_registry(layout: Layout, net: Network) -> None:
    def listening() -> bool:
        try:
            socket.create_connection((net.node_address, 5000), timeout=1).close()
        except OSError:
            return False
        return True

    daemons.wait_until(layout, "the registry", listening, _SOCKET_SECONDS, "docker-registry")


def _wait_until_ready(layout: Layout, init: Process, api: Api) -> None:
    daemons.wait_until(
        layout,
        "the node to be Ready",
        lambda: node_ready(api),
        _READY_SECONDS,
        "kubelet",
        "kube-apiserver",
    )
    space = namespaces.network_namespace(init)
    daemons.wait_until(
        layout,
        "cluster DNS",
        lambda: dns.answers(network.DNS_SERVICE, _DNS_NAME, space),
        _READY_SECONDS,
        "kubelet",
        "kube-proxy",
        "kube-controller-manager",
        "kube-scheduler",
    )


def node_ready(api: Api) -> bool:
    try:
        node = api.get(f"/api/v1/nodes/{settings.NODE}")
    except LabError:
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def status(layout: Layout) -> Status:
    """Never raises: what cannot be asked does not work."""
    init, net = namespaces.init_of(layout), network.of(layout)
    if init is None or net is None or not (layout.pki / "admin.crt").exists():
        return Status(daemons={}, node_ready=False, dns_answers=False)
    known = {name: daemons.running(layout, name) for name in daemons.started(layout)}
    # Without etcd the API server thinks about each answer for a minute.
    answers = known.get("etcd") is not None and known.get("kube-apiserver") is not None
    return Status(
        daemons=known,
        node_ready=answers and node_ready(Api(net.api, layout.pki)),
        dns_answers=dns.answers(network.DNS_SERVICE, _DNS_NAME, namespaces.network_namespace(init)),
    )


def down(layout: Layout) -> bool:
    """Removes all there is of a lab, whatever state it is in; returns whether there was any.

    Raises `LabError` if something cannot be removed.
    """
    if not layout.state.exists() and not cgroups.left(layout):
        return False
    with _locked(layout):
        _remove(layout)
        layout.lock.unlink()
    with contextlib.suppress(OSError):
        layout.state.parent.rmdir()
    return True


def _remove(layout: Layout) -> None:
    if layout.state.exists() and not layout.marker.exists() and any(layout.state.iterdir()):
        raise LabError(f"{layout.state}: not a lab's folder, left as it is; set PODMEDIC_LAB_STATE")
    namespaces.kill(layout)
    network.remove(layout)
    cgroups.remove(layout)
    _unmount_below(layout.state)
    _remove_folder(layout)


def _remove_folder(layout: Layout) -> None:
    """The marker goes last, so that whoever comes after a kill may go on."""
    if not layout.state.exists():
        return
    for entry in layout.state.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != layout.marker:
            entry.unlink()
    layout.marker.unlink(missing_ok=True)
    layout.state.rmdir()


def _unmount_below(folder: Path) -> None:
    """The lab mounts nothing where we see it; a user's mount must not be emptied with it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if Path(mount.encode().decode("unicode_escape")).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], check=True, timeout=30)


def _locked(layout: Layout) -> contextlib.AbstractContextManager[None]:
    """One up or down of a lab at a time."""
    return locks.exclusive(layout.lock, f"lab {layout.name}", _LOCK_SECONDS)
