"""What of a lab can be seen on the machine, so that tests can say that nothing is left."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import linux
from lab.handle import Lab
from lab.layout import Layout, cache_folder
from lab.linux import Process

_SYSCTLS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all",
    "net/ipv4/conf/default",
    "net/bridge",
    "net/netfilter/nf_conntrack_max",
)
_WRITTEN_BY_CARELESS_DAEMONS = (
    "/run/containerd",
    "/run/netns",
    "/opt/cni",
    "/opt/containerd",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/usr/libexec/kubernetes",
)


def snapshot() -> dict[str, list[str]]:
    """Rules, interfaces, routes, mounts, kernel settings and folders of the machine.

    Without the links of labs and without mounts in the cache folder: others may come and go while
    a test runs.
    """
    return {
        "rules": _rules(),
        "addresses": _without_labs(_lines("ip", "-oneline", "address")),
        "routes": _without_labs(_lines("ip", "route", "show", "table", "all")),
        "routing rules": _lines("ip", "rule"),
        "mounts": _mounts(),
        "sysctls": _sysctls(),
        "folders": [path for path in _WRITTEN_BY_CARELESS_DAEMONS if os.path.lexists(path)],
    }


def traces(layout: Layout, processes: set[Process], link: str) -> list[str]:
    """All that is left of one lab; `processes` and `link` are what it had."""
    left = [f"process {one.pid}" for one in sorted(processes, key=str) if one.alive()]
    left += [f"process {one.pid}" for one in sorted(_mentioning(layout), key=str)]
    left += [f"mount {line}" for line in _mounts_below(layout.state)]
    left += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/{layout.cgroup}")]
    left += [f"link {line}" for line in _lines("ip", "-oneline", "link") if f" {link}@" in line]
    left += [f"file {path}" for path in (layout.state, layout.lock) if path.exists()]
    return left


def processes(layout: Layout, netns: str) -> set[Process]:
    """Every process of a lab: those in its network, and those in its cgroups."""
    network = Path(netns).stat().st_ino
    found = set()
    for pid in linux.pids():
        with contextlib.suppress(OSError):
            cgroups = Path(f"/proc/{pid}/cgroup").read_text()
            mine = f"/{layout.cgroup}/" in cgroups or linux.namespace(pid, "net") == network
            if mine and (process := Process.of(pid)):
                found.add(process)
    return found


@contextlib.contextmanager
def stopped_kubelet(lab: Lab) -> Iterator[None]:
    """It stands still, as on a node that swaps: what it has started goes on."""
    pids = [
        process.pid
        for process in processes(lab.layout, lab.netns)
        if Path(f"/proc/{process.pid}/comm").read_text() == "kubelet\n"
    ]
    assert len(pids) == 1, pids
    os.kill(pids[0], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pids[0], signal.SIGCONT)


def _mentioning(layout: Layout) -> set[Process]:
    found = set()
    for pid in linux.pids():
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            mine = os.fsencode(layout.state) + b"/" in command.replace(b"\0", b"/")
            if mine and (process := Process.of(pid)) and process.alive():
                found.add(process)
    return found


def _mounts() -> list[str]:
    """Without those of the image builder, which may be at work for somebody else meanwhile."""
    lines = sorted(Path("/proc/self/mounts").read_text().splitlines())
    return [line for line in lines if f" {cache_folder()}/" not in line]


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if str(folder) in line]


def _rules() -> list[str]:
    """Of both kinds of iptables; without the counters' times in comments."""
    lines = []
    for program in ("iptables-save", "ip6tables-save", "iptables-legacy-save"):
        if shutil.which(program):
            lines += [line for line in _lines(program) if not line.startswith("#")]
    return lines


def _sysctls() -> list[str]:
    values = []
    for name in _SYSCTLS:
        top = Path("/proc/sys") / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                with contextlib.suppress(OSError):
                    values.append(f"{path} {path.read_text().strip()}")
    return values


def _without_labs(lines: list[str]) -> list[str]:
    return [line for line in lines if "podmedic" not in line]


def _lines(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()
