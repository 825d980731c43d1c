"""The few system calls the lab needs and Python 3.11 does not offer, and what /proc says."""

import ctypes
import os
import socket
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Raises `OSError`."""
    if _libc.unshare(flags) != 0:
        _raise("unshare")


def setns(descriptor: int) -> None:
    """Enters the namespace of an open /proc/PID/ns file; raises `OSError`."""
    if _libc.setns(descriptor, 0) != 0:
        _raise("setns")


def _raise(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")


@dataclass(frozen=True)
class Process:
    """One process, for good: a pid alone may be somebody else's tomorrow.

    `start_ticks` is its start in clock ticks since the boot named by `boot`.
    """

    pid: int
    start_ticks: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that has this pid now, None where there is none."""
        fields = _stat(pid)
        return cls(pid, int(fields[19]), _boot()) if fields else None

    @classmethod
    def restore(cls, saved: dict[str, object] | None) -> "Process | None":
        """What `record` gave, None for anything else."""
        match saved:
            case {"pid": int(pid), "start_ticks": int(start_ticks), "boot": str(boot)}:
                return cls(pid, start_ticks, boot)
        return None

    def record(self) -> dict[str, object]:
        return asdict(self)

    def alive(self) -> bool:
        """A zombie is dead: it holds nothing any more."""
        fields = _stat(self.pid)
        return (
            bool(fields)
            and int(fields[19]) == self.start_ticks
            and fields[0] not in ("Z", "X")
            and self.boot == _boot()
        )


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, so [0] is the state and [19] the start."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def namespace(pid: int, kind: str) -> int | None:
    """Which namespace of a kind (`net`, `pid`, `mnt`) a process is in, None if it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except OSError:
        return None


def udp_socket(network_namespace: str) -> socket.socket:
    """An IPv4 UDP socket that lives in another network namespace; raises `OSError`.

    A socket keeps the namespace it was born in, so one thread goes there, makes it and ends.
    """
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            descriptor = os.open(network_namespace, os.O_RDONLY)
            try:
                setns(descriptor)
            finally:
                os.close(descriptor)
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
