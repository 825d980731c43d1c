"""podmedic without its start: children of a process that has read every module already.

Half a second of CPU goes into the start of each command; the tests call hundreds of them on two
cores. A child is what `podmedic` is after its imports: it has its own arguments, environment,
folder and streams, and ends as the command does. What is about the process itself, as its start,
signals, kill points and exit codes, is tested with the command; docs/lab.md says where.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

_MODULES = (
    *("run", "resume", "plan", "preflight", "shell", "analyze", "report", "containers", "rbac"),
    *("documents", "policy", "explain", "execute", "deliver", "diff", "bundle", "verify"),
)
_LIBRARIES = ("kubernetes.aio.config", "jinja2", "rich.console", "tenacity", "prometheus_client")
_LARGEST = 1 << 20


def call(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout_seconds: float,
) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run([COMMAND, *arguments])` with both streams captured, and nothing to read.
    Raises subprocess.TimeoutExpired."""
    words = [str(each) for each in arguments]
    request = json.dumps([words, dict(environment), str(folder)]).encode()
    nothing = os.open(os.devnull, os.O_RDONLY)
    pipes = [os.pipe() for _ in range(3)]
    try:
        socket.send_fds(_server(), [request], [nothing, *(write for _, write in pipes)])
    finally:
        for descriptor in (nothing, *(write for _, write in pipes)):
            os.close(descriptor)
    deadline = time.monotonic() + timeout_seconds
    descriptors = [read for read, _ in pipes]
    begun = os.read(descriptors[-1], 64)
    if not begun:
        raise RuntimeError("the process that has read podmedic's modules is gone")
    stdout, stderr, status = _read(descriptors, deadline)
    pid, _, code = (begun + status).decode().partition("\n")
    if not code:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        raise subprocess.TimeoutExpired(words, timeout_seconds, stdout, stderr)
    return subprocess.CompletedProcess(words, int(code), stdout, stderr)


def _read(descriptors: Sequence[int], deadline: float) -> list[bytes]:
    """All of each until they end, or the time does."""
    read = {descriptor: bytearray() for descriptor in descriptors}
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                data = os.read(key.fd, 1 << 16)
                read[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    for descriptor in descriptors:
        os.close(descriptor)
    return [bytes(data) for data in read.values()]


_starting = threading.Lock()


def _server() -> socket.socket:
    with _starting:
        return _started()


@cache
def _started() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.preloaded", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        server.wait(timeout=10)

    atexit.register(stop)
    return ours


def _serve(requests: socket.socket) -> None:
    """Ends when whoever asks has ended."""
    for name in _MODULES:
        importlib.import_module(f"runner.cli.{name}")
    from runner.kube.library import without_the_rest  # noqa: PLC0415

    without_the_rest()
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 4)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _attend(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(request: bytes, descriptors: Sequence[int]) -> NoReturn:
    """Says who runs the command, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, told = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(request, streams)
    for descriptor in streams:
        os.close(descriptor)
    os.write(told, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: bytes, streams: Sequence[int]) -> NoReturn:
    words, environment, folder = json.loads(request)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    time.tzset()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", errors="strict", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["podmedic", *words]
    code = 70
    try:
        from runner.cli.main import main  # noqa: PLC0415

        main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
