"""The script about Services, run by the shells of images."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs.program_runs import needed
from tests.programs.scripts import SHELLS, run, step_of

NAME = "service-unreachable"


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """Of busybox, whose nc cannot only look."""
    for tool in ("nc", "date", "timeout"):
        (tmp_path / tool).symlink_to(needed("busybox"))
    return str(tmp_path)


@contextmanager
def polite() -> Iterator[int]:
    """A server that takes leave of whoever comes."""
    with socket.create_server(("127.0.0.2", 0), backlog=64) as listening:

        def serve() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize("shell", SHELLS)
def test_steps(shell: list[str], tools: str) -> None:
    """One server, one port that nobody has, one name that does not exist."""
    with polite() as port, socket.create_server(("127.0.0.2", 0)) as gone:
        nobody = gone.getsockname()[1]
        gone.close()
        hosts = (
            f"env:A 127.0.0.2 {port}\nenv:B 127.0.0.2 {nobody}\nargs 127.0.0.2 {port}\n"
            "env:C -x 80\nenv:D name.invalid 80\nenv:E 127.0.0.2 -"
        )
        tried = run(step_of(NAME, "connect"), shell, path=tools, PODMEDIC_ENDPOINTS=hosts)
        services = (
            f"web {port} shop web 127.0.0.2 {port} 2 0 127.0.0.2/{port},127.0.0.2/{nobody}\n"
            f"db 5432 shop db None 5432 1 3 127.0.0.2/{nobody}\n"
            f"none {nobody} shop none 127.0.0.2 {nobody} 0 0 -\nhalf a line"
        )
        stand = run(step_of(NAME, "behind"), shell, path=tools, PODMEDIC_SERVICES=services)
    counts = ("tries", "open", "refused", "timeout", "unresolved")
    assert {(r["source"], r["port"], *(r[c] for c in counts)) for r in tried} == {
        ("env:A", str(port), "8", "8", "0", "0", "0"),
        ("env:B", str(nobody), "8", "0", "8", "0", "0"),
        ("env:D", "80", "2", "0", "0", "0", "2"),
    }
    fields = ("service", "ip", "target", "ready", "unready", "tried", "open", "refused", "bad",
              "tries", "through")  # fmt: skip
    assert {tuple(row[f] for f in fields) for row in stand} == {
        ("shop/web", "127.0.0.2", str(port), "2", "0", "2", "1", "1", "127.0.0.2", "12", "12"),
        ("shop/db", "None", "5432", "1", "3", "1", "0", "1", "127.0.0.2", "0", "0"),
        ("shop/none", "127.0.0.2", str(nobody), "0", "0", "0", "0", "0", "-", "12", "0"),
    }
