"""The scripts about Go, Python and Node.js, run by the shells of images."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.programs.scripts import SHELLS, run, step_of
from tests.programs.test_library_security import looking_at


@pytest.fixture
def catcher() -> Iterator[int]:
    """A process that catches SIGQUIT and lives until it is killed."""
    script = "import signal, sys; signal.signal(3, print); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


SPY = """Process {pid}: python main.py --token hunter2
Python v3.12.1 (/usr/bin/python3.12)

Thread 1 (idle): "MainThread"
    slow (app/main.py:{line})
    handle (app/main.py:31)
    Handle._run (asyncio/events.py:80)
    BaseEventLoop._run_once (asyncio/base_events.py:1922)
    run_forever (asyncio/base_events.py:607)
    <module> (app/main.py:60)
Thread 0x7F01 (active+gil): "spin $(reboot)"
    step{n} (app/main.py:3)
    spin (app/main.py:2{n})
    Thread.run (threading.py:975)
"""
WAITER = """Thread {tid} (idle): "pool-{tid}"
    get (app/db.py:7)
    Thread.run (threading.py:975)
"""
WORKER = """Thread {tid} (idle): "worker-{tid}"
    wait (threading.py:320)
    Thread.run (threading.py:975)
"""
IDLE_LOOP = """Process 7: python main.py
Python v3.12.1 (/usr/bin/python3.12)

Thread 1 (idle): "MainThread"
    EpollSelector.select (selectors.py:468)
    BaseEventLoop._run_once (asyncio/base_events.py:1898)
    run_forever (asyncio/base_events.py:607)
    <module> (app/main.py:60)
"""


def spied(shell: list[str], pid: int, folder: Path, *dumps: str) -> dict[str, str]:
    """The step with a py-spy that answers from files."""
    for n, text in enumerate(dumps):
        (folder / f"dump{n}").write_text(text)
    spy = folder / "py-spy"
    spy.write_text(
        f"#!/bin/sh\ncd {folder}\ncat dump$(cat asked 2>/dev/null | wc -l)\necho >>asked\n"
    )
    spy.chmod(0o755)
    step = looking_at(step_of("python-pyspy", "dumps"), pid)
    assert step.script is not None
    script = step.script.replace("sleep 1", "sleep 0")
    found = run(step.changed(script=script), shell, path=f"{folder}:{os.environ['PATH']}")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_three_dumps_of_python(shell: list[str], catcher: int, tmp_path: Path) -> None:
    """The command line of the process, which py-spy prints too, is left out."""
    more = "".join(WAITER.format(tid=i) for i in range(20, 26))
    more += "".join(WORKER.format(tid=i) for i in range(30, 40))
    found = spied(
        shell, catcher, tmp_path, *(SPY.format(pid=7, n=n, line=20) + more for n in (1, 2, 3))
    )
    assert found == {
        "python": "yes", "readable": "yes", "threads": "18", "loop_blocked": "1",
        "loop_name": "MainThread", "loop_place": "slow (app/main.py:20)", "gil_held": "1",
        "gil_name": "spin $(reboot)", "gil_place": "spin (app/main.py:23)", "waiting": "6",
        "waiting_at": "get (app/db.py:7)",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_an_event_loop_that_waits_for_work(shell: list[str], catcher: int, tmp_path: Path) -> None:
    found = spied(shell, catcher, tmp_path, IDLE_LOOP, IDLE_LOOP, IDLE_LOOP)
    assert (found["loop_blocked"], found["gil_held"], found["waiting"]) == ("0", "0", "0")
    (tmp_path / "asked").unlink()
    assert spied(shell, catcher, tmp_path, "Error", "", "") == {"python": "yes", "readable": "no"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_process_that_is_not_python(shell: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        assert spied(shell, cat.pid, tmp_path) == {"python": "no"}
        cat.kill()


GOROUTINES = """goroutine profile: total {total}
{leaked} @ 0x43e1b6 0x40a5c5
#\t0x47b7b0\tmain.waitForAnswer+0x18\t/app/main.go:13

2 @ 0x43e1b6 0x40a5c5
#\t0x437acc\tinternal/poll.runtime_pollWait+0x84\t/usr/local/go/src/runtime/netpoll.go:351
#\t0x4a3b2c\tnet.(*netFD).accept+0x29\t/usr/local/go/src/net/fd_unix.go:172
#\t0x47b7b0\tmain.serve$(reboot)+0x1f4\t/app/main.go:31
"""


@contextmanager
def go_server(*answers: str) -> Iterator[int]:
    """The port of a server that answers the first GET with the first text, and so on."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not left or self.path != "/debug/pprof/goroutine?debug=1":
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(left.pop(0).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def profiled(shell: list[str]) -> dict[str, str]:
    """The step, told that this process, which has the server, is a Go program."""
    step = looking_at(step_of("profile", "goroutines"), os.getpid())
    assert step.script is not None
    script = step.script.replace("grep -q -a 'Go buildinf:'", "true").replace("sleep 10", "sleep 0")
    found = run(step.changed(script=script), shell)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_goroutines(shell: list[str]) -> None:
    """Counted by the function that is not Go's own."""
    first, second = (GOROUTINES.format(total=n + 2, leaked=n) for n in (600, 650))
    with go_server(first, first, second) as port:
        found = profiled(shell)
    assert found == {
        "go": "yes", "profiles": "yes", "port": str(port), "scope": "loopback", "answered": "yes",
        "goroutines": "652", "grew": "50", "top": "650", "top_grew": "50",
        "top_function": "main.waitForAnswer", "top_place": "/app/main.go:13",
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_a_go_program_without_profiles(shell: list[str]) -> None:
    with go_server():
        assert profiled(shell) == {"go": "yes", "profiles": "no"}
    with go_server("<html>"):
        assert profiled(shell) == {"go": "yes", "profiles": "no"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_that_is_not_go(shell: list[str]) -> None:
    step = looking_at(step_of("profile", "goroutines"), os.getpid())
    assert run(step, shell) == {"go": "no"}
