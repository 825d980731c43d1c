"""Starts and ends a lab's namespaces, and starts daemons in them.

A lab is one process (init.py) that is the first of its own pid namespace. Killing it makes the
kernel kill every daemon, shim and container below it, and with the last of them go the mount
and the network namespace: `down` needs no list of what was started.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import linux
from lab.layout import LabError, Layout, load, save
from lab.linux import Process

_INIT_SECONDS = 30.0
_KILL_SECONDS = 30.0


def init_of(layout: Layout) -> Process | None:
    """The lab's first process while it lives."""
    process = Process.restore(load(layout.state / "init.json"))
    return process if process and process.alive() else None


def network_namespace(init: Process) -> str:
    return f"/proc/{init.pid}/ns/net"


def start(layout: Layout) -> Process:
    """Makes the namespaces and returns their first process; raises `LabError`."""
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _become_init(layout, ready_write, go_read, go_write)
        os.close(ready_write)
        ready_write = -1
        pid = _await_pid(ready_read, child, layout)
        process = Process.of(pid)
        if process is None:
            raise LabError(f"the lab's first process ended at once: {_last_line(layout)}")
        # Only what is on record is let go, so a kill of this program leaves nothing behind.
        save(layout.state / "init.json", process.record())
        os.write(go_write, b"g")
        if _read_line(ready_read, _INIT_SECONDS) != "ready":
            raise LabError(f"the lab's first process did not get ready: {_last_line(layout)}")
        return process
    finally:
        for descriptor in (ready_read, ready_write, go_read, go_write):
            if descriptor >= 0:
                os.close(descriptor)


def _await_pid(descriptor: int, child: int, layout: Layout) -> int:
    line = _read_line(descriptor, _INIT_SECONDS)
    os.waitpid(child, 0)
    if not line.isdigit():
        raise LabError(f"cannot make namespaces: {line or _last_line(layout)}")
    return int(line)


def _become_init(layout: Layout, ready: int, go: int, other_end: int) -> None:
    """In the forked child: never returns."""
    try:
        linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
        pid = os.fork()
        if pid:
            os.write(ready, f"{pid}\n".encode())
            os._exit(0)
        os.close(other_end)
        os.setsid()
        if os.read(go, 1) != b"g":
            os._exit(1)
        _redirect(layout.logs / "init.log")
        os.dup2(ready, 1)
        script = str(Path(__file__).with_name("init.py"))
        arguments = [sys.executable, "-I", "-S", script, str(layout.state), str(layout.cache)]
        os.execve(sys.executable, arguments, _environment())
    except OSError as error:
        os.write(ready, f"{error}\n".encode())
    finally:
        os._exit(1)


def spawn(
    init: Process, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """Starts a daemon in the lab's namespaces, in a session of its own, output appended to `log`.

    Returns its process as the machine sees it; raises `LabError`. That the program could be
    executed is not known yet when this returns.
    """
    spaces = [os.open(f"/proc/{init.pid}/ns/{kind}", os.O_RDONLY) for kind in ("pid", "net", "mnt")]
    read, write = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _become_daemon(spaces, write, command, log, _environment(environment))
        os.close(write)
        write = -1
        line = _read_line(read, _INIT_SECONDS)
        os.waitpid(child, 0)
    finally:
        for descriptor in (*spaces, read, write):
            if descriptor >= 0:
                os.close(descriptor)
    process = Process.of(int(line)) if line.isdigit() else None
    if process is None:
        raise LabError(f"cannot start {command[0]}: {line or 'it ended at once'} (see {log})")
    return process


def _become_daemon(
    spaces: Sequence[int],
    report: int,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
) -> None:
    """In the forked child: never returns."""
    try:
        for descriptor in spaces:
            linux.setns(descriptor)
        pid = os.fork()
        if pid:
            os.write(report, f"{pid}\n".encode())
            os._exit(0)
        os.setsid()
        os.chdir("/")
        _redirect(log)
        os.execve(command[0], list(command), environment)
    except OSError as error:
        os.write(report, f"{error}\n".encode())
    finally:
        os._exit(127)


def _redirect(log: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Not the user's: proxies and credentials have no business in the lab."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": "/", "LC_ALL": "C.UTF-8"} | dict(more or {})


def kill(layout: Layout) -> None:
    """Ends every process of the lab and returns when the last is gone; raises `LabError`."""
    init = init_of(layout)
    if init is None:
        return
    # Held open, the namespace keeps its number, so that no new lab can be taken for this one.
    network = os.open(network_namespace(init), os.O_RDONLY)
    try:
        _kill(layout, init, os.fstat(network).st_ino)
    finally:
        os.close(network)


def _kill(layout: Layout, init: Process, network: int) -> None:
    _signal(init.pid)
    deadline = time.monotonic() + _KILL_SECONDS
    while left := [init.pid] if init.alive() else _in_network(network):
        if time.monotonic() > deadline:
            raise LabError(f"processes of lab {layout.name} do not end: {left}")
        if init.pid not in left:
            # Not below our first process, yet in our network: someone used nsenter.
            for pid in left:
                _signal(pid)
        time.sleep(0.05)


def _in_network(network: int) -> list[int]:
    return [
        pid for pid in linux.pids() if linux.namespace(pid, "net") == network and pid != os.getpid()
    ]


def _signal(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read_line(descriptor: int, timeout_seconds: float) -> str:
    """One line from a pipe, '' at its end or after the time-out."""
    deadline = time.monotonic() + timeout_seconds
    data = b""
    while not data.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(descriptor, 4096) if readable else b""
        if not piece:
            break
        data += piece
    return data.decode(errors="replace").strip()


def _last_line(layout: Layout) -> str:
    try:
        lines = (layout.logs / "init.log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it left no message"
