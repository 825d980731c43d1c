"""The lab's network: one veth pair between the machine and the lab's namespace."""

import hashlib
import ipaddress
import json
import shutil
import subprocess
import zlib

from lab.layout import LabError, Layout, Network, load, save
from lab.linux import Process

SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
PODS = "10.244.0.0/16"

_INSIDE_LINK = "eth0"
_NUMBERS = range(1, 251)
_COMMAND_SECONDS = 30.0


def of(layout: Layout) -> Network | None:
    """The network a lab was given, None before `create`."""
    saved = load(layout.state / "network.json")
    number = saved.get("number") if saved else None
    return Network(number) if isinstance(number, int) else None


def create(layout: Layout, init: Process) -> Network:
    """Links the machine with the lab's namespace; raises `LabError`."""
    network = _claim(layout, init)
    inside = ["nsenter", f"--net=/proc/{init.pid}/ns/net"]
    address, mask = network.node_address, 24
    _run(["ip", "address", "add", f"{network.machine_address}/{mask}", "dev", network.link])
    _run(["ip", "link", "set", network.link, "up"])
    steps = [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{address}/{mask}", "dev", _INSIDE_LINK],
        ["ip", "link", "set", _INSIDE_LINK, "up"],
        # A process of the node finds a route to a service before kube-proxy's rules turn it.
        ["ip", "route", "add", SERVICES, "via", network.machine_address],
        # Nothing else is reached from the lab, and whoever tries hears it at once.
        ["ip", "route", "add", "unreachable", "default"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        # The machine knows no way back to the pods of this lab (other labs have the same ones).
        f"iptables -t nat -A POSTROUTING -s {PODS} -o {_INSIDE_LINK} -j MASQUERADE".split(),
    ]
    for step in steps:
        _run([*inside, *step])
    return network


def _claim(layout: Layout, init: Process) -> Network:
    """Takes the first free number from the name's own on; the link is the claim."""
    taken = _used_subnets()
    start = zlib.crc32(layout.name.encode())
    for offset in range(len(_NUMBERS)):
        network = Network(_NUMBERS[(start + offset) % len(_NUMBERS)])
        if any(used.overlaps(ipaddress.ip_network(network.subnet)) for used in taken):
            continue
        save(layout.state / "network.json", {"number": network.number})
        ours = (network.link, "address", _hardware_address(layout))
        peer = ("peer", "name", _INSIDE_LINK, "netns", str(init.pid))
        made = _try(["ip", "link", "add", *ours, "type", "veth", *peer])
        if made.returncode == 0:
            return network
        if "exists" not in made.stderr:
            raise LabError(f"cannot make a veth pair: {made.stderr.strip()}")
    raise LabError("no free network 10.99.N.0/24 on this machine")


def _used_subnets() -> list[ipaddress.IPv4Network]:
    done = _run(["ip", "-json", "-4", "route", "show", "table", "all"])
    found = []
    for route in json.loads(done.stdout or "[]"):
        destination = str(route.get("dst", "default"))
        if destination != "default":
            found.append(ipaddress.IPv4Network(destination, strict=False))
    return found


def _hardware_address(layout: Layout) -> str:
    """Tells whose link it is from the moment it exists: local, unicast, made of the state path."""
    digest = hashlib.sha256(bytes(layout.state)).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def intact(layout: Layout) -> bool:
    """Whether the lab still has its link to the machine."""
    return bool(_links(layout))


def remove(layout: Layout) -> None:
    """Removes the link, whichever number it has; raises `LabError`.

    It would go with the namespace, but half-closed connections keep that for minutes.
    """
    for link in _links(layout):
        gone = _try(["ip", "link", "delete", link])
        if gone.returncode != 0 and "Cannot find" not in gone.stderr:
            raise LabError(f"cannot remove {link}: {gone.stderr.strip()}")


def _links(layout: Layout) -> list[str]:
    if shutil.which("ip") is None:
        return []  # then no lab was ever up here
    done = _run(["ip", "-json", "link", "show", "type", "veth"])
    return [
        link["ifname"]
        for link in json.loads(done.stdout or "[]")
        if link.get("address") == _hardware_address(layout)
    ]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    done = _try(command)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def _try(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
    )
