"""Where a lab keeps its things: one cache folder for the machine, one state folder for each lab."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
# The longest path of a unix socket that a daemon puts below the state folder, from the name on.
_SOCKET_SUFFIX_BYTES = len("/kubelet/device-plugins/kubelet.sock")
_SOCKET_PATH_BYTES = 107


class LabError(Exception):
    """The lab could not do what was asked; the message is for the user, without a traceback."""


@dataclass(frozen=True)
class Layout:
    """The files of one lab. `state` exists only while the lab is up, or half up."""

    name: str
    state: Path
    cache: Path

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.state / "audit.log"

    @property
    def logs(self) -> Path:
        """The daemons' own output; what pods wrote lies in `pod_logs`."""
        return self.state / "log"

    @property
    def pod_logs(self) -> Path:
        return self.state / "pods"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The cgroup, below the root of each hierarchy, that holds the lab's pods."""
        return f"podmedic-lab-{self.name}"

    @property
    def lock(self) -> Path:
        return self.state.parent / f".{self.name}.lock"

    @property
    def marker(self) -> Path:
        """Says that the state folder is a lab's, and may be removed with all that is in it."""
        return self.state / ".podmedic-lab"


@dataclass(frozen=True)
class Network:
    """The addresses of one lab: `number` is what tells labs on one machine apart."""

    number: int

    @property
    def link(self) -> str:
        """The lab's only interface on the machine."""
        return f"podmedic{self.number}"

    @property
    def subnet(self) -> str:
        return f"10.99.{self.number}.0/24"

    @property
    def node_address(self) -> str:
        return f"10.99.{self.number}.1"

    @property
    def machine_address(self) -> str:
        return f"10.99.{self.number}.2"

    @property
    def api(self) -> str:
        return f"https://{self.node_address}:6443"

    @property
    def registry(self) -> str:
        return f"{self.node_address}:5000"


def cache_folder() -> Path:
    """What may outlive every lab: downloads, builds, binaries, images."""
    if explicit := os.environ.get("PODMEDIC_CACHE"):
        return Path(explicit).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "podmedic"


def labs_folder() -> Path:
    """The folder with one state folder for each lab; short, since unix sockets lie below it."""
    return Path(os.environ.get("PODMEDIC_LAB_STATE") or "/var/tmp/podmedic-lab").absolute()


def layout(name: str) -> Layout:
    """Raises `LabError` for a name or a folder that cannot be used."""
    if not _NAME.fullmatch(name):
        raise LabError(f"lab name {name!r}: expected 1 to 20 of a-z, 0-9 and -, no - at the ends")
    state = labs_folder() / name
    if len(os.fsencode(state)) + _SOCKET_SUFFIX_BYTES > _SOCKET_PATH_BYTES:
        raise LabError(
            f"{state}: too long for the unix sockets below it; "
            "set PODMEDIC_LAB_STATE to a folder with a shorter path"
        )
    return Layout(name=name, state=state, cache=cache_folder())


def layouts() -> Iterator[Layout]:
    """Every lab that left a state folder, up or not."""
    folder = labs_folder()
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if _NAME.fullmatch(entry.name) and (one := layout(entry.name)).marker.exists():
            yield one


def save(path: Path, value: object) -> None:
    """Writes JSON so that a reader, or the next start after a kill, never sees half a file."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(json.dumps(value, indent=2) + "\n")
    scratch.replace(path)


def load(path: Path) -> dict[str, object] | None:
    """What `save` wrote, or None where there is nothing."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None
