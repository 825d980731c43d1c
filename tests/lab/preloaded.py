"""podmedic without its start: children of a process that has read every module already.

Half a second of CPU goes into the start of each command; the tests call hundreds of them on two
cores. A child is what `podmedic` is after its imports: it has its own arguments, environment,
folder and streams, is a child of whoever asked, and ends as the command does. What is about the
process itself, as its start and its exit codes, is tested with the command; docs/lab.md says where.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

COMMAND = Path(sys.executable).with_name("podmedic")
_MODULES = (
    *("run", "resume", "plan", "preflight", "shell", "analyze", "report", "containers", "rbac"),
    *("documents", "policy", "explain", "execute", "deliver", "diff", "bundle", "verify", "attach"),
)
_LIBRARIES = ("aiohttp", "jinja2", "rich.console", "tenacity", "prometheus_client")
_LARGEST = 1 << 20
_CLONE_PARENT = 0x8000  # linux/sched.h
_CLONE = {"x86_64": 56, "aarch64": 220}  # its number among the system calls


class Process(subprocess.Popen[Any]):
    """As `subprocess.Popen([COMMAND, *arguments])`; `terminal` makes stdin its controlling one."""

    def __init__(
        self, arguments: Sequence[str | Path], *, terminal: bool = False, **options: Any
    ) -> None:
        self._terminal = terminal
        super().__init__([COMMAND, *arguments], **options)

    # Where the standard library's class forks, with all that was settled before it.
    def _execute_child(
        self, args: Sequence[str | Path], executable: Any, preexec_fn: Any, close_fds: Any,
        pass_fds: Any, cwd: Any, env: Any, startupinfo: Any, creationflags: Any, shell: Any,
        p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int,
        *_: Any,
    ) -> None:  # fmt: skip
        words = [str(each) for each in args[1:]]
        folder = str(cwd or Path.cwd())
        environment = dict(os.environ if env is None else env)
        request = json.dumps([words, environment, folder, self._terminal]).encode()
        # What is not redirected is what the caller has.
        streams = [
            given if given >= 0 else number
            for number, given in enumerate((p2cread, c2pwrite, errwrite))
        ]
        with _asking:
            server = _server()
            socket.send_fds(server, [request], streams)
            answer = server.recv(64)
        if not answer:
            raise RuntimeError("the process that has read podmedic's modules is gone")
        self.pid = int(answer)
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite
        )


def call(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout_seconds: float,
    stdin: bytes | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run([COMMAND, *arguments])` with both streams captured.
    Raises subprocess.TimeoutExpired."""
    with Process(
        arguments, env=environment, cwd=folder,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


_asking = threading.Lock()


@cache
def _server() -> socket.socket:
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
    from runner.kube.library import config_modules  # noqa: PLC0415

    config_modules()
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 3)
        if not request:
            return
        pid = _fork_sibling()
        if pid == 0:
            requests.close()
            _become(request, descriptors)
        requests.send(str(pid).encode())
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_sibling() -> int:
    """`os.fork()`, but the child is our parent's, who can wait for it and signal it."""
    python = ctypes.pythonapi
    # A PyDLL keeps the interpreter's lock, as a fork has to.
    libc = ctypes.PyDLL(None, use_errno=True)
    python.PyOS_BeforeFork()
    pid: int = libc.syscall(_CLONE[os.uname().machine], _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return pid


def _become(request: bytes, streams: Sequence[int]) -> NoReturn:
    words, environment, folder, terminal = json.loads(request)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
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
        from runner import killpoints  # noqa: PLC0415
        from runner.cli.main import main  # noqa: PLC0415

        # It reads the environment once.
        importlib.reload(killpoints)
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
